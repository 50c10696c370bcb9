"""Knowledge of terms: what one means, or which one is meant, with three others of its kind.

`data/templates/FILE.yaml` has `kinds`: each with `of_term` (asks for the meaning of `{{ term }}`),
`of_meaning` (asks for the term of `{{ meaning }}`), either of them or both, and `terms`. The wrong
options are the other terms, or their meanings.
"""

from __future__ import annotations

from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, fill
from workbench.tasks.generators._options import question


def make(seed: int, *, file: str, count: int = 100, letters: bool = True) -> list[Sample]:
    """`letters`: ask for a letter (mode chat), else offer the texts (mode choice)."""
    asked = [
        (kind, term, way)
        for kind in data(file)["kinds"]
        for term in kind["terms"]
        for way in ("of_term", "of_meaning")
        if way in kind
    ]
    chosen = deal(Chance(file, seed), asked, count)
    place = deal(Chance(file, seed, "places"), range(4), count)

    def draw(index: int, chance: Chance) -> Sample:
        kind, term, way = chosen[index]
        terms = kind["terms"]
        others = chance.some([other for other in terms if other != term], 3)
        right, wrong = str(term), others
        if way == "of_term":
            right, wrong = terms[term], [terms[other] for other in others]
        if not letters:  # they go on from the prompt
            right, wrong = f" {right}", [f" {text}" for text in wrong]
        prompt = fill(kind[way], {"term": term, "meaning": terms[term]})
        name = f"{kind['name']}.{seed}.{index}"
        return question(
            name,
            prompt,
            right,
            wrong,
            place[index],
            letters=letters,
            group=f"{kind['name']}/{term}",
        )

    return collect(file, seed, count, draw)

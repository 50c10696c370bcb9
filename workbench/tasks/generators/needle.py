"""Facts hidden in long texts: how well a model finds one at any depth of any length.

Each text holds several facts of the same form about different people; one is asked for, so that
a model cannot simply take the only number there is. Lengths and depths come equally often:
`sample.more["words"]` and `sample.more["depth"]`, from 0 (the beginning) to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, fill

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_LISTS = ["adjective", "animal", "time", "person", "colour", "city", "month", "weekday"]


def make(
    seed: int,
    *,
    count: int = 60,
    lengths: Sequence[int] = (300, 1000, 3000),
    needles: int = 4,
    asked: int = 1,
) -> list[Sample]:
    """`lengths` in words; `needles` facts in each text, `asked` of which are asked for together."""
    places = [(length, depth) for length in lengths for depth in DEPTHS]
    chosen = deal(Chance("needle", seed, asked), places, count)
    source = data("haystack")
    lists = {**data("lists"), **source["lists"]}

    def draw(index: int, chance: Chance) -> Sample:
        length, depth = chosen[index]
        kind = chance.pick(source["needles"])
        names = chance.some(lists["name"], needles)
        values = chance.some(range(10_000, 100_000), needles)
        known = [{"who": who, "value": value} for who, value in zip(names, values, strict=True)]
        text = _haystack(chance, source["sentences"], lists, length)
        spots = [depth, *(chance.between(1, 99) / 100 for _ in known[1:])]
        # from the end to the beginning, so that places stay where they are
        for spot, facts in sorted(zip(spots, known, strict=True), key=lambda pair: -pair[0]):
            text.insert(round(spot * len(text)), fill(kind["fact"], facts))
        questions = " ".join(fill(kind["ask"], facts) for facts in known[:asked])
        return Sample(
            f"needle-{length}-{depth:.2f}.{seed}.{index}",
            f"{' '.join(text)}\n\n{questions}",
            [str(value) for value in values[:asked]],
            more={"depth": depth, "words": length},
        )

    return collect(f"needle {asked}", seed, count, draw)


def _haystack(
    chance: Chance, sentences: Sequence[str], lists: Mapping[str, Any], length: int
) -> list[str]:
    """Sentences with about so many words altogether."""
    text: list[str] = []
    words = 0
    while words < length:
        known = {name: chance.pick(lists[name]) for name in _LISTS}
        known["noun"], known["noun2"] = chance.some(lists["noun"], 2)
        text.append(fill(chance.pick(sentences), known))
        words += len(text[-1].split())
    return text

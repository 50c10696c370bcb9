"""Questions from templates: values are drawn, the text is filled in, the answer is computed.

`data/templates/FILE.yaml` has `lists` of words and `items`. An item:

    id: tank                       several items may share one
    for: [{label: …, text: …}]     one item for each entry: further values of `let`
    let: {n: 3..9, total: = n * 4} see `_fill`
    need: total > 20
    facts: [...]                   sentences; a list among them: one of these
    noise: [...]                   sentences that do not matter, one is strewn in
    loose: true                    facts come in any order
    joined: "\n"                   what stands between sentences, else a blank
    ask: How many …?
    answer: = total                or a text, or an object
    right: …  wrong: [...]         instead of an answer; three of the wrong ones are taken
    fields: {name: string, …}      of an object: makes the schema for the scorer and the prompt
    more: {...}                    what the scorers need
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, evaluate, fill, settle
from workbench.tasks.generators._options import question

Item = Mapping[str, Any]
FEWEST_GROUPS = 10


def make(
    seed: int, *, file: str, count: int = 100, letters: bool = True, noise: int = 1
) -> list[Sample]:
    """`count` samples from the items of a file, whose ids come equally often."""
    source = data(file)
    lists = {**data("lists"), **source.get("lists", {})}
    items = _dealt(source["items"], file, seed, count)
    place = deal(Chance(file, seed, "places"), range(4), count)

    def draw(index: int, chance: Chance) -> Sample:
        item = items[index]
        known = settle(item.get("let", {}), chance, lists, item.get("need", ""))
        prompt = _prompt(item, known, chance, noise)
        name = f"{item['id']}.{seed}.{index}"
        more = evaluate(item.get("more", {}), known)
        if "fields" in item:
            more["schema"] = _schema(item["fields"])
        if "right" in item:
            right, wrong = _options(item, known, chance)
            return question(
                name, prompt, right, wrong, place[index],
                letters=letters, group=item["group"], more=more,
            )  # fmt: skip
        return Sample(name, prompt, evaluate(item["answer"], known), group=item["group"], more=more)

    return collect(file, seed, count, draw)


def _dealt(items: list[Item], file: str, seed: int, count: int) -> list[Item]:
    """Items so that ids come equally often, then the answers of an id, then their entries."""
    kinds: dict[str, dict[str, list[Item]]] = {}
    for item in _unfolded(items):
        answer = str(item["let"].get("label", item.get("answer")))
        kinds.setdefault(item["id"], {}).setdefault(answer, []).append(item)

    def deck(cards: Collection[Any], *words: object) -> Iterator[Any]:
        return iter(deal(Chance(file, seed, *words), list(cards), count))

    answers = {name: deck(found, name) for name, found in kinds.items()}
    entries = {
        (name, answer): deck(cards, name, answer)
        for name, found in kinds.items()
        for answer, cards in found.items()
    }
    return [next(entries[name, next(answers[name])]) for name in deck(kinds)]


def _unfolded(items: list[Item]) -> list[Item]:
    """The items, those with `for` once for each entry, whose values join those of `let`.

    What shares an id is a group; in a file of few ids, what comes of one entry; and nothing where
    there are so few that an interval over groups would say nothing.
    """
    found: list[Item] = [
        {**item, "let": {**item.get("let", {}), **entry}, "group": f"{item['id']}/{n}"}
        for item in items
        for n, entry in enumerate(item.get("for", [{}]))
    ]
    if len({item["id"] for item in items}) >= FEWEST_GROUPS:
        return [{**item, "group": item["id"]} for item in found]
    return found if len(found) >= FEWEST_GROUPS else [{**item, "group": ""} for item in found]


def _prompt(item: Item, known: Mapping[str, Any], chance: Chance, noise: int) -> str:
    """The facts with noise among them, and the question at the end."""
    facts = [
        chance.pick(fact) if isinstance(fact, list) else fact for fact in item.get("facts", [])
    ]
    if item.get("loose"):
        facts = chance.shuffled(facts)
    for extra in chance.some(item.get("noise", []), noise):
        facts.insert(chance.between(min(1, len(facts)), len(facts)), extra)
    ask = item.get("ask", "")
    parts = [*facts, chance.pick(ask) if isinstance(ask, list) else ask]
    filled = [fill(part, known).strip() for part in parts]
    return str(item.get("joined", " ")).join(part for part in filled if part)


def _options(item: Item, known: Mapping[str, Any], chance: Chance) -> tuple[str, list[str]]:
    """The right option and three wrong ones, all distinct."""
    right = str(evaluate(item["right"], known))
    given = item["wrong"]
    pool = evaluate(given, known)
    wrong = [text for text in dict.fromkeys(map(str, pool)) if text != right]
    return right, chance.some(wrong, 3)


def _schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object with these fields: a type's name, "type?" where it can be null,
    "date", or a schema."""
    properties: dict[str, Any] = {}
    for name, kind in fields.items():
        if not isinstance(kind, str):
            properties[name] = kind
        elif kind.startswith("date"):
            properties[name] = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
        else:
            properties[name] = {"type": [kind[:-1], "null"] if kind.endswith("?") else kind}
    return {
        "type": "object",
        "properties": properties,
        "required": list(fields),
        "additionalProperties": False,
    }

"""Python functions to be written, or to be followed in the head.

Each entry of `data/templates/functions_*.yaml` is a family: its numbers and rules (`let`) are
drawn, so that two members differ in what they do. The reference solution is in
`sample.more["solution"]`; what it gives for the drawn calls is what the tests expect.

    id: rotate
    let: {k: 2..5}
    head: "rotate(items: list[int]) -> list[int]"
    ask: Return the items …
    code: "def rotate(items): …"
    drive: "def unchanged(items): …"     what the calls need beside the answer; a class has `drive`
    calls: ["rotate({{ ints(5) }})"]     expressions; the first are shown as examples
    shown: 2
    proof: {let: {k: 2}, call: "rotate([1, 2, 3])", gives: [3, 1, 2]}   worked out by hand
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.errors import TaskError
from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, fill, settle

FILES = ("text", "lists", "maths", "parsing", "classes")

_GUESSED = {"0", "[]", "{}", "()", "None"}  # what anybody would say of an empty input


def families() -> Iterator[Mapping[str, Any]]:
    """All families of functions."""
    for file in FILES:
        yield from data(f"functions_{file}")["items"]


def run(code: str, calls: list[str]) -> list[Any]:
    """What the calls give after `code`; ValueError (the class) where they raise it.

    Only for code that ships with the workbench: it runs in this process.
    """
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    results = []
    for call in calls:
        try:
            results.append(eval(call, names))  # noqa: S307
        except ValueError:
            results.append(ValueError)
    return results


def shown(result: Any) -> str:
    """The result as Python writes it. Sets are refused: their order changes from run to run."""
    if isinstance(result, set | frozenset):
        raise TaskError("A function of a task gives a set: give a sorted list.")
    return "ValueError" if result is ValueError else repr(result)


def member(family: Mapping[str, Any], chance: Chance) -> dict[str, Any]:
    """One member: head, ask, code, drive, calls and what they give, all filled in."""
    known = settle(family.get("let", {}), chance, data("lists"), family.get("need", ""))
    made = {key: fill(family.get(key, ""), known) for key in ("head", "ask", "code", "drive")}
    if made["head"][0].isupper():
        made["drive"] = data("functions")["drive"] % made["head"].split("(")[0]
    calls = list(dict.fromkeys(fill(call, known) for call in family["calls"]))
    return {**made, "calls": calls, "gives": run(made["code"] + "\n\n" + made["drive"], calls)}


def make(seed: int, *, count: int = 100, ask: str = "code") -> list[Sample]:
    """`ask`: "code" (write the function) or "output" (say what a program prints)."""
    chance = Chance("functions", ask, seed)
    chosen = deal(
        chance, [f for f in families() if ask == "code" or not f["head"][0].isupper()], count
    )

    def draw(index: int, chance: Chance) -> Sample:
        family = chosen[index]
        made = member(family, chance)
        name = f"{family['id']}.{seed}.{index}"
        form = _written if ask == "code" else _followed
        return form(name, family, made, chance)

    return collect(f"functions {ask}", seed, count, draw)


def _written(
    name: str, family: Mapping[str, Any], made: Mapping[str, Any], chance: Chance
) -> Sample:
    """To write the function."""
    pairs = list(zip(made["calls"], made["gives"], strict=True))
    examples = [
        f"    {call}  # {'raises ' if gives is ValueError else ''}{shown(gives)}"
        for call, gives in pairs[: family.get("shown", 2)]
    ]
    kind = "class" if made["head"][0].isupper() else "function"
    prompt = "\n".join(
        [f"Write the Python {kind} `{made['head']}`.", made["ask"].strip(), ""]
        + (["For example:", *examples] if examples and kind == "function" else [])
    ).strip()
    checks = [f"_check({call!r}, {shown(gives)})" for call, gives in pairs]
    parts = [made["drive"].strip(), data("functions")["check"], "\n".join(checks)]
    more = {
        "tests": "\n\n".join(part for part in parts if part),
        "solution": made["code"],
        "entry": made["head"].split("(")[0],
    }
    return Sample(name, prompt, group=family["id"], more=more)


def _followed(
    name: str, family: Mapping[str, Any], made: Mapping[str, Any], chance: Chance
) -> Sample:
    """To say what a program prints."""
    own = made["head"].split("(")[0] + "("
    pairs = zip(made["calls"], map(str, made["gives"]), strict=True)
    fit = [
        (call, prints)
        for call, prints in pairs
        if 0 < len(prints.strip()) <= 80 and "ValueError" not in prints and call.startswith(own)
    ]
    telling = [pair for pair in fit if pair[1] not in _GUESSED]
    call, prints = chance.pick(telling or fit)
    program = f"{made['code'].strip()}\n\n\nprint({call})"
    return Sample(name, f"```python\n{program}\n```", prints, group=family["id"])

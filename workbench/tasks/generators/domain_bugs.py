"""A function with one wrong line, and an example that shows that it is wrong.

Each item of `data/templates/development_bugs.yaml` has `let`, what the function should do (`ask`),
the right `code`, `slips` (a piece of the code that occurs once → what stands there instead) and
`calls`. Both versions are run (they ship with us); the example is a call that tells them apart.
"""

from __future__ import annotations

from typing import Any

from workbench.errors import TaskError
from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, fill, settle

_FILE = "development_bugs"


def make(seed: int, *, count: int = 100) -> list[Sample]:
    """`count` samples; the target is the number of the wrong line."""
    cases = [(item, slip) for item in data(_FILE)["items"] for slip in item["slips"].items()]
    chosen = deal(Chance(_FILE, seed), cases, count)

    def draw(index: int, chance: Chance) -> Sample:
        item, slip = chosen[index]
        known = settle(item.get("let", {}), chance, data("lists"))
        good = fill(item["code"], known).strip()
        piece, instead = (fill(text, known) for text in slip)
        if good.count(piece) != 1:
            raise TaskError(f"{piece!r} does not occur once in the code of {item['id']}.")
        bad = good.replace(piece, instead)
        line = good[: good.index(piece)].count("\n") + 1
        calls = [fill(call, known) for call in item["calls"]]
        for call in chance.shuffled(calls):
            if (want := outcome(good, call)) != (got := outcome(bad, call)):
                break
        else:
            raise TaskError(f"No call tells {piece!r} of {item['id']} from {instead!r}.")
        numbered = "\n".join(f"{n:2}  {text}".rstrip() for n, text in enumerate(bad.split("\n"), 1))
        prompt = (
            f"{fill(item['ask'], known)} One line of it is wrong: `{call}` should give {want}, "
            f"but it {got if got.startswith('raises') else f'gives {got}'}.\n\n"
            f"```\n{numbered}\n```\n\nWhat is the number of the wrong line?"
        )
        more = {"good": good, "bad": bad, "call": call}
        name = f"{item['id']}.{seed}.{index}"
        return Sample(name, prompt, line, group=item["id"], more=more)

    return collect(_FILE, seed, count, draw)


def outcome(code: str, call: str) -> str:
    """What the call gives behind the code, as Python writes it, or which error it raises."""
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - it ships with us
    try:
        return repr(eval(call, names))  # noqa: S307
    except Exception as error:
        return f"raises {type(error).__name__}"

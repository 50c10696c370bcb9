"""What code gives: Python and SQL are run and patterns tried, so that the answers are facts.

`data/templates/FILE.yaml` has items with `let` and `need` (see `_fill`), `ask`, and one of

    python: a program; what it prints is the answer
    sql: tables, an empty line, a query; the one value that it selects is the answer
    pattern: a regular expression; `texts`: some that it matches as a whole, some that it does not

Only code that ships with the workbench is run, in this process.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, evaluate, fill, settle
from workbench.tasks.generators._options import question

_ASKS = (
    "Which of these texts does the regular expression `{}` match as a whole?",
    "Which of these texts does the regular expression `{}` not match as a whole?",
)


def make(seed: int, *, file: str, count: int = 100) -> list[Sample]:
    """`count` samples from the items of a file, which come equally often."""
    source = data(file)
    lists = {**data("lists"), **source.get("lists", {})}
    items = deal(Chance(file, seed, "items"), source["items"], count)
    place = deal(Chance(file, seed, "places"), range(4), count)

    def draw(index: int, chance: Chance) -> Sample:
        item = items[index]
        known = settle(item.get("let", {}), chance, lists, item.get("need", ""))
        name = f"{item['id']}.{seed}.{index}"
        if "pattern" in item:
            return _tried(name, item, known, place[index], chance)
        language = "sql" if "sql" in item else "python"
        code = fill(item[language], known).strip()
        answer = selected(code) if language == "sql" else printed(code)
        prompt = f"{fill(item['ask'], known)}\n\n```{language}\n{code}\n```"
        return Sample(name, prompt, answer, group=item["id"], more={language: code})

    return collect(file, seed, count, draw)


def printed(program: str) -> str:
    """What the program prints."""
    lines: list[str] = []

    def write(*what: object) -> None:
        lines.append(" ".join(map(str, what)))

    exec(program, {"print": write})  # noqa: S102 - it ships with us
    return "\n".join(lines)


def selected(script: str) -> str:
    """The one value that the query behind the last empty line selects."""
    tables, _, query = script.rpartition("\n\n")
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(tables)
        [[value]] = base.execute(query)
    return str(value)


def _tried(
    name: str, item: Mapping[str, Any], known: Mapping[str, Any], place: int, chance: Chance
) -> Sample:
    """Which text a pattern matches, or which it does not."""
    pattern = fill(item["pattern"], known)
    texts = list(dict.fromkeys(map(str, evaluate(item["texts"], known))))
    sides: tuple[list[str], list[str]] = ([], [])
    for text in texts:
        sides[re.fullmatch(pattern, text) is None].append(text)
    fit = [side for side in (0, 1) if sides[side] and len(sides[1 - side]) >= 3]
    side = chance.pick(fit)
    right, wrong = chance.pick(sides[side]), chance.some(sides[1 - side], 3)
    more = {"pattern": pattern}
    ask = _ASKS[side].format(pattern)
    return question(name, ask, right, wrong, place, letters=True, group=item["id"], more=more)

"""What docs/tasks.md says is so: its files can be read, its tables are complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

from workbench import tasks as room
from workbench.scorers import _registry, scorers
from workbench.scorers._rules import KINDS
from workbench.tasks import _templates, load_suite, load_task

TEXT = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
FILES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def rows(head: str) -> dict[str, str]:
    """A table's rows by what stands in backticks in their first cell."""
    lines = TEXT.partition(f"| {head} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [re.split(r"(?<!\\)\|", line) for line in lines]
    return {name: "|".join(row[2:]) for row in cells for name in re.findall(r"`([^`]+)`", row[1])}


def test_its_files_can_be_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in ("tasks", "suites"):
        (home / folder).mkdir(parents=True)
    (home / "tasks" / "capitals.yaml").write_text(FILES[0])
    assert load_task(home / "tasks" / "capitals.yaml").samples()[0].prompt.endswith("France?")
    (home / "suites" / "contracts.yaml").write_text(
        f"{FILES[1]}\nsamples: [{{question: q, choices: [x, y], target: 1}}]\nscorers: [letter]"
    )
    prompt = load_task(home / "suites" / "contracts.yaml").samples()[0].prompt
    assert prompt == "q\nA. x\nB. y\nAnswer with a letter.\n"
    (home / "suites" / "mine.yaml").write_text(FILES[2])
    assert [task.name for task in load_suite(home / "suites" / "mine.yaml").tasks] == [
        "capitals",
        "contracts",
        "greeting",
    ]


def test_its_tables_are_complete() -> None:
    schema = Path(room.__file__).parent / "data" / "schema.json"
    known = json.loads(schema.read_text(encoding="utf-8"))["$defs"]["task"]["properties"]
    assert set(rows("key | meaning")) == set(known)
    table = rows("scorer | value | options (default)")
    reserved = {name for names in _registry.LIKELIHOOD.values() for name in names}
    assert set(table) == {*scorers(), *reserved}
    for name, scorer in scorers().items():
        for option in _registry._options(scorer) or {}:
            assert f"`{option}`" in table[name], f"{name} has an option {option}"


def test_its_lists_are_complete() -> None:
    said = TEXT.partition("the filters abs")[2].partition(". No calls")[0]
    listed = {"abs", *re.findall(r"\w+", said)}
    assert listed | {"d"} == set(_templates._FILTERS.pattern.split("|"))
    rules = TEXT.partition("**constraints**")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", rules))
    assert {kind for kind in KINDS if not kind.startswith(("min_", "max_"))} <= named

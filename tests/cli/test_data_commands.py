"""`workbench data`: from files to a split dataset, in real jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PAGES = {
    "tea.md": "# Tea\n\nBoil fresh water and pour it over the leaves. Wait for four minutes before "
    "you take the leaves out again, since the tea turns bitter when they stay longer than that. "
    "Black tea wants boiling water, and green tea wants water that has cooled down a little.\n",
    "bread.txt": "Mix the flour with water, salt and a little yeast, and knead the dough until it "
    "no longer sticks to the hands. Let it rise under a cloth for two hours in a warm place. Bake "
    "it in a hot oven for forty minutes, until the crust sounds hollow when it is knocked on.\n",
    "mail.txt": "Everybody who wants to bake along on Sunday may write to baker@oven-club.net by "
    "Friday evening, so that there is enough flour for all of us. The oven is hot from nine in "
    "the morning, and whoever comes first may choose the place near the window.\n",
}
CODE = '''"""Sums."""


def total(values: list[int]) -> int:
    """Add up all the values of a list and return their sum."""
    result = 0
    for value in values:
        result += value
    return result
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three texts, one of them twice, a module and a picture."""
    place = tmp_path / "pages"
    place.mkdir()
    for name, text in PAGES.items():
        (place / name).write_text(text, "utf-8")
    (place / "bread again.txt").write_text(PAGES["bread.txt"], "utf-8")
    (place / "sums.py").write_text(CODE, "utf-8")
    (place / "picture.bin").write_bytes(bytes(range(256)) * 8)
    return place


def told(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_from_files_to_a_split_dataset(run: Any, folder: Path, tmp_path: Path) -> None:
    added = told(run("data", "add", "kitchen", str(folder), "--json", timeout=120))["result"]
    assert added["documents"] == 5 and added["skipped"] == 1
    left = told(run("data", "show", "kitchen", "--skipped", "--json"))
    assert left[0]["address"].endswith("picture.bin")
    assert "5" in run("data", "show", "kitchen").stdout

    made = run("data", "clean", "kitchen", timeout=120)
    assert made.returncode == 0, made.stderr
    report = run("data", "show", "kitchen@", "--report").stdout
    assert "bread again.txt" in report or "bread.txt" in report
    listed = told(run("data", "show", "--json"))
    assert listed["datasets"][0]["splits"] == {"train": 4}
    shown = told(run("data", "show", "kitchen@", "--examples", "9", "--json"))
    assert "baker@oven-club.net" not in json.dumps(shown) and "<EMAIL>" in json.dumps(shown)

    again = told(run("data", "remake", "kitchen@", "--json", timeout=120))["result"]
    assert again["digest"] == listed["datasets"][0]["digest"]
    split = told(run("data", "split", "kitchen@", "--validation", "0.25", "--json", timeout=120))
    assert split["result"]["splits"] == {"train": 3, "validation": 1}
    compared = run("data", "diff", listed["datasets"][0]["digest"], split["result"]["label"])
    assert compared.returncode == 0 and "4" in compared.stdout
    file = tmp_path / "out.jsonl"
    assert told(run("data", "export", "kitchen@", str(file), "--json"))["examples"] == 4
    assert len(file.read_text("utf-8").splitlines()) == 4
    assert run("data", "validate", "kitchen@").returncode in (0, 1)

    coded = told(run("data", "code", "--from", "kitchen", "--name", "sums", "--json", timeout=120))[
        "result"
    ]
    assert coded["form"] in {"completion", "conversation"} and coded["splits"] == {"train": 1}
    assert told(run("data", "rm", "sums", "--yes", "--json"))["removed"] == [coded["label"]]
    assert run("data", "rm", "kitchen", "--collection", "--yes").returncode == 0
    assert told(run("data", "show", "--json"))["collections"] == []


def test_a_file_of_examples_is_recognised_and_imported(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "alpaca.jsonl"
    rows = [{"instruction": f"Say {n}.", "input": "", "output": f"It is {n}."} for n in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n", "utf-8")
    seen = run("data", "preview", str(file))
    assert "Say 0." in seen.stdout
    made = told(run("data", "import", str(file), "--json", timeout=120))["result"]
    assert made["name"] == "alpaca" and made["splits"] == {"train": 20}
    checked = json.loads(run("data", "validate", str(file), "--json").stdout)
    assert any(21 in one["lines"] for one in checked["findings"])


def test_words_for_what_cannot_be(run: Any, folder: Path) -> None:
    unknown = run("data", "clean", "nothing-here")
    assert unknown.returncode == 1 and "no collection" in unknown.stderr
    bad = run("data", "add", "Bad Name", str(folder))
    assert bad.returncode == 1 and "cannot name a collection" in bad.stderr
    rule = run("data", "clean", "kitchen", "--rule", "neer=0.5")
    assert rule.returncode != 0 and "near" in rule.stderr
    loop = run("data", "git", "code", "ext::sh -c id", timeout=120)
    assert loop.returncode == 1 and "ext" in loop.stderr
    inside = run("data", "crawl", "web", "http://127.0.0.1:1/", timeout=120)
    assert inside.returncode == 1 and "allow-private" in inside.stderr

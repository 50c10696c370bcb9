"""Cards of one's own and of plug-ins: what is taken, what is refused, and that others go on."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.cards import own_cards, read_cards
from workbench.cards._shipped import _FIELDS as FIELDS
from workbench.errors import InvalidRequest


def write(path: Path, *cards: Any, **head: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema": "workbench-cards/1", "sources": ["us"], "cards": list(cards)} | head
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


MINE = {
    "name": "ours:1b",
    "categories": ["law"],
    "parameters": 1_000_000_000,
    "architecture": {
        "name": "llama", "layers": 4, "width": 256, "heads": 4, "kv_heads": 2,
        "inner": 512, "vocabulary": 1000, "tied": True,
    },
    "variants": [["Q4_0", "ours:1b-q4_0", 600_000_000], ["Q8_0", "ours:1b-q8_0", 1, True]],
    "scores": [["Our test", 71.5, "0-shot", 0]],
    "notes": ["Trained here."],
}  # fmt: skip


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (card,) = read_cards(write(tmp_path / "mine.json", MINE))
    assert card.categories == ("law",) and card.origins == ("own",)
    assert card.architecture is not None and card.architecture.key_size == (64,) * 4
    assert [variant.exact for variant in card.variants] == [False, True]
    assert card.scores[0].source == "us"
    assert card.notes == ("Trained here.",)


Change = Callable[[dict[str, Any]], object]
SHAPE = MINE["architecture"]
BAD: dict[str, tuple[Change, str]] = {
    "no name": (lambda card: card.pop("name"), "no name"),
    "name is null": (lambda card: card.update(name=None), "no name"),
    "empty name": (lambda card: card.update(name=""), "name"),
    "name is a number": (lambda card: card.update(name=3), "name"),
    "huge name": (lambda card: card.update(name="x" * 1000), "name"),
    "control characters": (lambda card: card.update(name="a\x1b[31mb"), "name"),
    "turned text": (lambda card: card.update(publisher="a\u202eb"), "publisher"),
    "half a character": (lambda card: card.update(publisher="\ud800"), "publisher"),
    "unknown field": (lambda card: card.update(colour="red"), "colour"),
    "negative": (lambda card: card.update(parameters=-1), "parameters"),
    "zero": (lambda card: card.update(context=0), "context"),
    "fraction": (lambda card: card.update(parameters=1.5), "parameters"),
    "truth": (lambda card: card.update(parameters=True), "parameters"),
    "too large": (lambda card: card.update(download=10**30), "download"),
    "month": (lambda card: card.update(released="yesterday"), "released"),
    "categories": (lambda card: card.update(categories="code"), "categories"),
    "a list in a list": (lambda card: card.update(aliases=[["a"]]), "aliases"),
    "many": (lambda card: card.update(aliases=["a"] * 5000), "aliases"),
    "score is text": (lambda card: card.update(scores=[["M", "9", "s", "u"]]), "scores"),
    "score above 100": (lambda card: card.update(scores=[["M", 101, "s", "u"]]), "scores"),
    "score without source": (lambda card: card.update(scores=[["M", 9, "s"]]), "scores"),
    "source out of the table": (lambda card: card.update(scores=[["M", 9, "s", 7]]), "scores"),
    "variant": (lambda card: card.update(variants=[["Q4_0"]]), "variants"),
    "variant's bytes": (lambda card: card.update(variants=[["Q4_0", "n", -5]]), "variants"),
    "sources": (lambda card: card.update(sources=["us"]), "sources"),
    "architecture": (lambda card: card.update(architecture="llama"), "architecture"),
    **{
        f"architecture: {name}": (
            lambda card, more=more: card.update(architecture=SHAPE | more),
            word,
        )
        for name, more, word in [
            ("no layers", {"layers": None}, "layers"),
            ("million layers", {"layers": 1_000_000}, "layers"),
            ("negative width", {"width": -1}, "width"),
            ("untold", {"tied": None}, "tied"),
            ("unknown field", {"depth": 4}, "depth"),
            ("pattern", {"pattern": "FZ"}, "pattern"),
            ("window", {"pattern": "SF"}, "window"),
            ("more key heads than heads", {"kv_heads": 8}, "heads"),
            ("heads without numbers", {"heads": 512, "kv_heads": 2}, "heads"),
            ("experts", {"experts_used": 2}, "experts_used"),
            ("extras", {"extras": [1]}, "extras"),
            ("extras of text", {"extras": {"types": "2"}}, "types"),
            ("half the extras", {"extras": {"mamba_heads": 2}}, "extras"),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_rubbish_is_refused_by_name(tmp_path: Path, case: str) -> None:
    change, word = BAD[case]
    card = json.loads(json.dumps(MINE))
    change(card)
    with pytest.raises(InvalidRequest, match=word) as caught:
        read_cards(write(tmp_path / "bad.json", card))
    assert len(str(caught.value)) < 1500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema": "workbench-cards/9", "cards": []}',
        b'{"schema": "workbench-cards/1"}',
        b'{"schema": "workbench-cards/1", "cards": {}}',
        b'{"schema": "workbench-cards/1", "cards": [3]}',
        b'{"schema": "workbench-cards/1", "sources": [1], "cards": []}',
        b'{"schema": "workbench-cards/1", "cards": [{"name": "a", "parameters": NaN}]}',
        b'{"schema": "workbench-cards/1", "cards": [{"name": "a", "parameters": 1e999}]}',
        b'{"schema": "workbench-cards/1", "cards": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"schema": "workbench-cards/1", "cards": [{"name": "a"}, {"name": "a"}]}',
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text)
    with pytest.raises(InvalidRequest, match=re.escape("other.json")):
        read_cards(path)


def test_the_example_in_the_docs_is_a_file_of_cards(tmp_path: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "cards.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", docs, re.S)
    (tmp_path / "example.json").write_text(example, encoding="utf-8")
    (card,) = read_cards(tmp_path / "example.json")
    assert card.architecture is not None and card.categories == ("law",)
    table = docs[docs.index("| field |") : docs.index("Two scores are")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {field for row in rows for field in re.findall(r"`(\w+)`", row)} == set(FIELDS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_cards(tmp_path / "none.json")


def test_a_bad_file_hides_no_other(tmp_path: Path) -> None:
    folder = Path(os.environ["WORKBENCH_HOME"]) / "cards"
    write(folder / "good.json", MINE)
    write(folder / "bad.json", {"name": "a", "parameters": -3})
    (folder / "folder.json").mkdir()
    found = own_cards()
    assert [card.name for card in found.cards] == ["ours:1b"]
    assert len(found.problems) == 2
    assert "parameters" in found.problems[0] and "folder.json" in found.problems[1]


def test_without_a_folder_there_is_nothing() -> None:
    assert own_cards() == ((), ())


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that names two sources of cards, one of which is broken."""
    site = tmp_path / "site"
    write(site / "their_cards" / "cards.json", MINE | {"name": "theirs:1b"})
    (site / "their_cards" / "__init__.py").write_text(
        "from pathlib import Path\n"
        "def path():\n    return Path(__file__).with_name('cards.json')\n"
        "def broken():\n    raise RuntimeError('no cards today')\n"
    )
    information = site / "their_cards-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-cards\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[workbench.cards]\nbroken = their_cards:broken\ngood = their_cards:path\n"
        "none = their_cards:nothing\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "their_cards", raising=False)


@pytest.mark.usefixtures("plugins")
def test_plugins_bring_cards() -> None:
    found = own_cards()
    assert [card.name for card in found.cards] == ["theirs:1b"]
    assert len(found.problems) == 2
    assert "broken" in found.problems[0] and "no cards today" in found.problems[0]

"""From documents to one corpus: the same bytes each time, also after kills; a true report."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import DataError
from workbench.gather import Document
from workbench.refine import STEPS, Report, Rules, _pool, clean, rules_of

WORDS = [
    f"{a}{b}{c}" for a in ("ka", "lo", "mi", "tu") for b in ("ran", "sel", "dor") for c in "aeiou"
]
PLAIN = Rules(suites=())


def prose(seed: int, words: int = 300) -> str:
    """Sentences like none of another seed."""
    chance = random.Random(seed)
    sentences = [" ".join(chance.choices(WORDS, k=12)) + "." for _ in range(words // 12)]
    return "\n".join(sentences)


def page(text: str, address: str, kind: str = "text") -> Document:
    return Document(text, address, kind)  # type: ignore[arg-type]


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]


def kept(folder: Path) -> list[object]:
    return [row["about"]["address"] for row in rows(folder)]  # type: ignore[index]


def step(report: Report, name: str) -> object:
    return next(one for one in report.steps if one.name == name)


def test_rows_say_where_they_came_from_and_have_no_times(tmp_path: Path) -> None:
    document = Document(prose(1), "a.md", "markdown", "A", "", "MIT", "ab" * 32, "2026-01-01")
    report = clean([document], PLAIN, tmp_path)
    (row,) = rows(tmp_path)
    assert row == {
        "text": prose(1),
        "about": {"address": "a.md", "kind": "markdown", "title": "A", "language": "",
                  "licence": "MIT", "digest": "ab" * 32},
    }  # fmt: skip
    assert report.corpus == hashlib.sha256((tmp_path / "corpus.jsonl").read_bytes()).hexdigest()


def test_equal_and_alike_documents_give_way_to_the_first(tmp_path: Path) -> None:
    first, other = prose(1), prose(2)
    alike = first.replace(first.split()[50], "quite", 1)
    report = clean(
        [page(first, "1"), page(other, "2"), page(alike, "3"), page(first + "\n\n", "4")],
        PLAIN, tmp_path,
    )  # fmt: skip
    assert kept(tmp_path) == ["1", "2"]
    exact, near = report.steps[-2:]
    assert exact.examples == {"equal to an earlier document": (("4", "1"),)}
    assert near.examples == {"alike to an earlier document": (("3", "1"),)}
    assert (exact.documents_in, exact.documents_out, near.documents_out) == (4, 3, 2)


@pytest.mark.parametrize("near", [0.0, 0.8])
def test_what_another_dataset_has_is_dropped_with_its_label(tmp_path: Path, near: float) -> None:
    alike = prose(5).replace(prose(5).split()[50], "quite", 1)
    report = clean(
        [page(prose(4), "equal"), page(alike, "alike"), page(prose(6), "new")],
        Rules(suites=(), near=near), tmp_path,
        against={"old@12345678": lambda: iter([prose(4), prose(5)])},
    )  # fmt: skip
    assert kept(tmp_path) == (["new"] if near else ["alike", "new"])
    assert report.steps[-2].dropped == {"equal to a text of old@12345678": 1}
    assert report.rules.against == ("old@12345678",)


def test_rules_that_name_texts_which_are_not_given_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="old@1"):
        clean([], Rules(against=("old@1",)), tmp_path)


def many(count: int = 240) -> Iterator[Document]:
    """Enough for several chunks; with duplicates, secrets, and damaged letters in them."""
    for number in range(count):
        seed = number if number % 7 else number // 2
        text = prose(seed, 4_000) + f"\nwrite to person{number % 50}@mail{number % 9}.org \n"
        yield page(text + "\r\n\ud800", f"{number}.txt")


def test_the_number_of_processes_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "_TOO_FEW", 2)
    reports = [clean(many(), PLAIN, tmp_path / str(workers), workers=workers) for workers in (1, 2)]
    assert len(list((tmp_path / "1" / "parts").glob("*.json"))) > 2
    assert reports[0].to_json(seconds=False) == reports[1].to_json(seconds=False)
    one, two = ((tmp_path / n / "corpus.jsonl").read_bytes() for n in "12")
    assert one == two
    assert reports[0].personal[0].kind == "EMAIL"
    assert b"@mail" not in one


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from test_clean import PLAIN, many
from workbench.refine import _pool, clean
_pool._TOO_FEW = 2
if __name__ == "__main__":
    def tell(fraction, words):
        print(words, flush=True)
    clean(many(), PLAIN, Path(sys.argv[1]), tell=tell, workers=int(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("words", "workers"),
    [("2 parts of", "2"), ("3 of", "1"), ("Comparing", "1"), ("Writing", "1")],
)
def test_killed_and_begun_again_it_gives_the_same_bytes(
    tmp_path: Path, words: str, workers: str
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    here = str(Path(__file__).parent)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "killed"), here, workers]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(words):
            os.kill(process.pid, signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert not (tmp_path / "killed" / "report.json").exists()
    told: list[str] = []
    again = clean(many(), PLAIN, tmp_path / "killed", workers=1, tell=lambda _, w: told.append(w))
    whole = clean(many(), PLAIN, tmp_path / "whole", workers=1)
    assert again == whole
    files = [(tmp_path / name / "corpus.jsonl").read_bytes() for name in ("killed", "whole")]
    assert files[0] == files[1]


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    documents = [page(prose(n), str(n)) for n in range(5)]
    first = clean(documents, PLAIN, tmp_path)
    files = [*(tmp_path / "parts").iterdir(), tmp_path / "corpus.jsonl"]
    before = {path: path.stat().st_mtime_ns for path in files}
    time.sleep(0.01)
    assert clean(documents, PLAIN, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in files} == before
    other = clean(documents, Rules(suites=(), near=0.5), tmp_path)  # the first pass is used again
    assert other.rules.near == 0.5
    assert {path: path.stat().st_mtime_ns for path in files[:-1]} == {
        path: before[path] for path in files[:-1]
    }


def test_other_documents_in_the_same_folder_leave_nothing_of_the_first(tmp_path: Path) -> None:
    clean([page(prose(1), "1")], PLAIN, tmp_path)
    clean([page(prose(2), "2")], PLAIN, tmp_path)
    assert kept(tmp_path) == ["2"]
    assert len(list((tmp_path / "parts").glob("*.texts"))) == 1
    assert not list(tmp_path.glob("work-*"))


def test_no_documents_make_an_empty_corpus(tmp_path: Path) -> None:
    report = clean([], PLAIN, tmp_path)
    assert report.documents == report.characters == 0
    assert [one.name for one in report.steps] == list(STEPS)
    assert (tmp_path / "corpus.jsonl").read_bytes() == b""


def test_each_step_begins_with_what_the_one_before_left(tmp_path: Path) -> None:
    documents = [page(prose(n), str(n)) for n in range(4)]
    documents += [page("short", "s"), page("  \n", "e"), page(prose(2), "twice")]
    report = clean(documents, PLAIN, tmp_path)
    assert report.steps[0].documents_in == 7
    for before, after in zip(report.steps, report.steps[1:], strict=False):
        assert after.documents_in == before.documents_out
        assert after.characters_in == before.characters_out
    for one in report.steps:
        assert sum(one.dropped.values()) == one.documents_in - one.documents_out
    assert report.documents == len(rows(tmp_path)) == 4


def test_a_report_goes_through_json(tmp_path: Path) -> None:
    report = clean(many(20), PLAIN, tmp_path)
    back = Report.of_json(json.loads(json.dumps(report.to_json())))
    assert back == report
    assert back.seconds == report.seconds
    with pytest.raises(DataError, match="not a report"):
        Report.of_json({"rules": {}})


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    def documents() -> Iterator[Document]:
        with pytest.raises(DataError, match="at this moment"):
            clean([], PLAIN, tmp_path)
        yield page(prose(1), "1")

    assert clean(documents(), PLAIN, tmp_path).documents == 1


def test_who_is_told_may_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "_TOO_FEW", 2)

    class Stop(Exception):
        pass

    def tell(fraction: float | None, words: str) -> None:
        if words.startswith("2 parts"):
            raise Stop

    with pytest.raises(Stop):
        clean(many(), PLAIN, tmp_path, tell=tell, workers=2)
    assert clean(many(30), PLAIN, tmp_path, workers=1).documents > 0


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"nears": 0.8}, "Did you mean near"),
        ({"near": 1.5}, "from 0"),
        ({"near": True}, "from 0"),
        ({"secrets": "hide"}, "There are: drop, keep, mask"),
        ({"languages": "en"}, "list"),
        ({"languages": 3}, "list"),
        ({"exact": "yes"}, "true or false"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        rules_of(rules)


def test_rules_go_through_json() -> None:
    rules = Rules(languages=("en", "de"), secrets="drop", near=0.7, contamination="report")
    assert rules_of(json.loads(json.dumps(rules.to_json()))) == rules


def test_suites_that_there_are_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean reasoning"):
        clean([], Rules(suites=("reasonin",)), tmp_path)

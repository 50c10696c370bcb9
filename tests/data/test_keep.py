"""Datasets are kept by what is learnt from them, and nothing half-written is ever one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.data import (
    Dataset,
    datasets,
    examples,
    find,
    history,
    remove,
    verify,
    writing,
)
from workbench.errors import DataError
from workbench.examples import Example


def made(name: str, *texts: str, address: str = "", **splits: list[str]) -> Dataset:
    with writing(name, "text", recipe={"kind": "test"}) as draft:
        for split, found in {"train": [*texts], **splits}.items():
            for text in found:
                draft.add(Example("text", {"text": text}, {"address": address}), split)
    assert draft.dataset is not None
    return draft.dataset


def test_equal_content_has_an_equal_hash() -> None:
    one, two = made("a", "x", "y", address="here"), made("b", "x", "y", address="there")
    assert one.digest == two.digest
    others = [
        made("c", "y", "x"),
        made("c", "x"),
        made("c", "xy"),
        made("c", "x", validation=["y"]),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 5
    assert verify(find("a")) == verify(find("b")) == []
    assert [e.about["address"] for e in examples(find("b"))] == ["here", "here"]


def test_names_have_a_history() -> None:
    first, second = made("a", "x"), made("a", "y")
    made("b", "z")
    assert [one.digest for one in history("a")] == [second.digest, first.digest]
    assert [one.name for one in datasets()] == ["b", "a"]
    assert find("a").digest == second.digest
    assert find(first.label) == find(first.digest[:10]) == find(f"a@{first.digest}")
    made("a", "x")
    assert find("a").digest == first.digest
    assert len(history("a")) == 2


@pytest.mark.parametrize("label", ["aa", "a@ffff", "ffffffff", "", "@", "a@@", "../a", "a\0"])
def test_what_is_not_there_is_not_found(label: str) -> None:
    made("a", "x")
    with pytest.raises(DataError, match="no dataset"):
        find(label)


@pytest.mark.parametrize("name", ["", "A", "-a", "../a", "a/b", "a" * 65, "a b", "a\n", "ä"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="cannot name a dataset"):
        made(name, "x")


@pytest.mark.parametrize("split", ["", "../x", "Train", "a.b", "x\n"])
def test_bad_splits_are_refused(split: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot name a split"):
        made("a", "x", **{split: ["y"]})
    assert not list((tmp_path / "home" / "datasets").glob("*"))


def test_other_forms_and_empty_sets_are_refused() -> None:
    with pytest.raises(DataError, match="one form"), writing("a", "text", recipe={}) as draft:
        draft.add(Example("gap", {"prefix": "", "middle": "x", "suffix": ""}))
    with pytest.raises(DataError, match="No example is left"):
        made("a")
    assert datasets() == []


def test_what_cannot_be_written_is_hashed_as_it_is_read() -> None:
    one = made("a", "x\ud800y", "z\0")
    found = [e.fields["text"] for e in examples(one)]
    assert found == ["x?y", "z\0"]
    assert made("b", *found).digest == one.digest


def test_damaged_line_is_told() -> None:
    one = made("a", "x", "y")
    for bad in ('{"text": "x"', "[1]", '"x"', "{}", "[" * 100_000):
        one.path().write_text(f'{{"text": "x"}}\n{bad}\n')
        with pytest.raises(DataError, match="line 2: This line is damaged"):
            list(examples(one))
    with pytest.raises(DataError, match="Did you mean train"):
        list(examples(one, "trian"))


def test_changed_and_missing_files_are_told_and_mended() -> None:
    one = made("a", "x", validation=["y"])
    one.path().write_text('{"text": "z"}\n')
    one.path("validation").unlink()
    changed, missing = verify(one)
    assert "train.jsonl was changed" in changed
    assert "validation.jsonl is missing" in missing
    again = made("a", "x", validation=["y"], address="again")
    assert verify(again) == verify(find("a")) == []
    made("b", "x", validation=["y"])
    assert verify(find("b")) == []


def test_files_go_with_the_last_name() -> None:
    one, _ = made("a", "x"), made("b", "x")
    remove("a")
    assert find("b").folder.is_dir()
    with pytest.raises(DataError):
        find("a")
    remove(one.digest[:12])
    assert not one.folder.exists()
    assert datasets() == []


def test_dataset_without_its_files_can_be_removed() -> None:
    one = made("a", "x")
    one.folder.rename(one.folder.with_name("gone"))
    with pytest.raises(DataError, match="not on this machine"):
        find("a")
    remove("a")
    assert datasets() == []


def test_facts_lie_beside_the_examples() -> None:
    one = made("a", "x")
    facts = json.loads((one.folder / "dataset.json").read_text("utf-8"))
    assert facts["digest"] == one.digest
    assert facts["recipe"] == {"kind": "test"}
    assert "home" not in facts["folder"]


WRITER = """
import sys, time
from workbench.data import writing
from workbench.examples import Example
with writing("a", "text", recipe={}) as draft:
    for n in range(10_000_000):
        draft.add(Example("text", {"text": f"text {n}"}))
        if n == 20_000:
            print("writing", flush=True)
"""


def test_killed_writer_leaves_no_dataset(tmp_path: Path) -> None:
    kept = made("a", "x")
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert find("a") == kept
    assert len(history("a")) == 1
    (left,) = (tmp_path / "home" / "datasets").glob(".new-*")
    made("b", "y")
    assert left.exists(), "it could be a writer that is at work"
    old = time.time() - 2 * 86_400
    for path in (*left.iterdir(), left):
        os.utime(path, (old, old))
    made("b", "z")
    assert not left.exists()

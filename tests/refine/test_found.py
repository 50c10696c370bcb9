"""Samples of benchmarks and duplicates: what is found, and what it is found by."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from refine.corpora import WORDS, prose, run

from workbench.gather import Document
from workbench.refine import Rules
from workbench.refine._duplicates import Texts, alike, merged, signature, write_run
from workbench.refine._judge import sign_texts
from workbench.refine._words import _BLOCK, sequences, shape
from workbench.settings import home
from workbench.tasks import find_suite

# ---- what benchmarks ask


def test_documents_with_samples_are_found(tmp_path: Path) -> None:
    (task,) = [one for one in find_suite("reasoning").tasks if one.name == "word_problems"]
    sample = next(one for one in task.samples() if len(one.prompt.split()) > 25)
    documents = [
        Document(f"{prose(1)}\n{sample.prompt.upper()}\n{prose(2)}", "dirty"),
        Document(prose(3), "clean"),
    ]
    report, texts = run(tmp_path / "drop", *documents, suites=("reasoning",))
    assert list(texts) == ["clean"]
    assert report.steps[6].dropped == {"word_problems": 1}
    (found,) = report.contamination
    assert found.task == "word_problems"
    assert found.suites == ("reasoning",)
    assert found.samples[sample.id] == ("dirty",)
    report, texts = run(
        tmp_path / "report", *documents, suites=("reasoning",), contamination="report"
    )
    assert list(texts) == ["dirty", "clean"]
    assert len(report.contamination) == 1


CAPITALS = """
scorers: [normalised]
prompt: "What is the capital of {{ country }}?"
target: capital
samples:
  - {country: France, capital: [Paris, Lutetia]}
  - {country: Kiribati, capital: Tarawa}
"""


def test_a_short_sample_counts_only_as_a_whole(tmp_path: Path) -> None:
    for kind, text in (("tasks", CAPITALS), ("suites", "tasks: [capitals]\n")):
        (home() / kind).mkdir(parents=True)
        (home() / kind / ("capitals.yaml" if kind == "tasks" else "places.yaml")).write_text(text)
    texts = {
        "whole": "Q: What is the capital of Kiribati? A: Tarawa!",
        "question": "What is the capital of Kiribati?",
        "other answer": "What is the capital of Kiribati? Suva",
        "common": "a word: tick tock",
    }
    documents = [
        Document(f"{prose(n)}\n{t}\n{prose(n + 9)}", a) for n, (a, t) in enumerate(texts.items())
    ]
    report, left = run(tmp_path, *documents, suites=("places",))
    assert list(left) == ["question", "other answer", "common"]
    assert report.contamination[0].suites == ("places",)


def test_the_words_of_a_template_do_not_count(tmp_path: Path) -> None:
    rule = "Answer with one word only and give no reason for it whatsoever, not even when asked."
    samples = "".join(f'  - {{q: "{prose(n, 20)[:90]}", a: "yes"}}\n' for n in range(12))
    task = f'scorers: [normalised]\nprompt: "{{{{ q }}}} {rule}"\ntarget: a\nsamples:\n{samples}'
    (home() / "tasks").mkdir(parents=True)
    (home() / "tasks" / "ruled.yaml").write_text(task)
    (home() / "suites").mkdir()
    (home() / "suites" / "ruled-suite.yaml").write_text("tasks: [ruled]\n")
    asked = " ".join(prose(3, 20)[:90].split())
    documents = [
        Document(f"{prose(50)}\n{rule}\n{prose(51)}", "rule"),
        Document(f"{prose(52)}\n{asked}\n{prose(53)}", "sample"),
    ]
    _, left = run(tmp_path, *documents, suites=("ruled-suite",))
    assert list(left) == ["rule"]


def test_samples_that_ship_are_made_once(tmp_path: Path) -> None:
    (task,) = [one for one in find_suite("reasoning").tasks if one.name == "word_problems"]
    sample = next(one for one in task.samples() if len(one.prompt.split()) > 25)
    document = Document(f"{prose(1)}\n{sample.prompt}\n{prose(2)}", "dirty")
    first, _ = run(tmp_path / "first", document, suites=("reasoning",))
    files = sorted((home() / "cache" / "suites").iterdir())
    assert [one.name.partition("-")[0] for one in files] == sorted(
        one.name for one in find_suite("reasoning").tasks
    )
    kept = {one: (one.read_bytes(), one.stat().st_mtime_ns) for one in files}
    for damaged, left in zip(files[:-1], (0, 5_000), strict=False):
        damaged.write_bytes(kept[damaged][0][:left])
    second, _ = run(tmp_path / "second", document, suites=("reasoning",))
    assert second == first
    assert {one: one.read_bytes() for one in files} == {one: raw for one, (raw, _) in kept.items()}
    assert files[-1].stat().st_mtime_ns == kept[files[-1]][1]


# ---- words, signatures, sorting


def python_words(text: str) -> list[str]:
    import re

    return re.findall(r"\w+", text.lower())


@settings(deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "Über", "x_1", "42", "—", "ÉTÉ"]), max_size=30))
def test_words_are_those_of_a_regular_expression(words: list[str]) -> None:
    text = " ".join(words)
    expected = python_words(text)
    found = shape(text).words.tolist()
    assert len(found) == len(expected)
    assert len(set(found)) == len(set(expected))
    alone = {word: shape(f"({word})").words.tolist() for word in set(expected)}
    assert found == [number for word in expected for number in alone[word]]


def test_chinese_characters_are_words_of_their_own() -> None:
    assert len(shape("数据清理, data").words) == 5
    assert shape("数据").words.tolist() == shape("数 据").words.tolist()


def test_long_texts_are_read_in_parts_without_a_seam() -> None:
    text = prose(1, 90_000)
    assert len(text) > _BLOCK
    words = shape(text).words
    assert len(words) == 90_000
    assert len(set(words.tolist())) == len(WORDS)
    there = np.array([3, 89_999])
    assert sequences(words, 5, there).tolist() == [sequences(words, 5)[3]]


def test_signatures_estimate_the_jaccard_index() -> None:
    errors = []
    for seed in range(60):
        chance = random.Random(seed)
        words = [str(chance.random()) for _ in range(400)]
        other = [word if chance.random() > seed / 600 else "other" for word in words]
        one, two = shape(" ".join(words)), shape(" ".join(other))
        sets = [set(x.fives.tolist()) for x in (one, two)]
        truth = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        errors.append(float((signature(one) == signature(two)).mean()) - truth)
    assert abs(np.mean(errors)) < 0.015
    assert np.std(errors) < 0.05


def test_alike_texts_are_those_of_all_pairs(tmp_path: Path) -> None:
    """Against the plain comparison of each with each."""
    texts = []
    for n in range(120):
        chance = random.Random(n)
        share = chance.choice([0.002, 0.01, 0.3])
        base = prose(n // 4, 400).split()
        texts.append(" ".join(w if chance.random() > share else str(chance.random()) for w in base))
    count = sign_texts(texts, tmp_path / "part", Rules(normalise=False))
    each = np.arange(count, dtype=np.int32)
    found = alike([Texts(tmp_path / "part", 0, count)], each, 0.8, lambda: None)
    signs = [signature(shape(text)) for text in texts]
    expected = list(range(count))
    for a, b in itertools.combinations(range(count), 2):
        if (signs[a] == signs[b]).mean() >= 0.8:
            low, high = sorted((expected[a], expected[b]))
            expected = [low if one == high else one for one in expected]
    assert len(set(expected)) < count
    assert found.tolist() == expected


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=40), min_size=1, max_size=4),
    st.integers(1, 20),
)
def test_runs_are_merged_in_order(lists: list[list[int]], together: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for n, numbers in enumerate(lists):
            path = Path(folder) / f"{n}.npy"
            keys = np.array(numbers, np.uint64)
            write_run(path, keys, np.arange(len(keys), dtype=np.uint64))
            runs.append((path, n * 100))
        parts = list(merged(runs, together))
    expected = sorted((k, n * 100 + i) for n, one in enumerate(lists) for i, k in enumerate(one))
    found = [pair for part in parts for pair in zip(*part.tolist(), strict=True)]
    assert found == expected
    for a, b in itertools.pairwise(parts):
        assert a[0, -1] < b[0, 0]

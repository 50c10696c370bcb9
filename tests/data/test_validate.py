"""What cannot be learnt from is found, with file and line; the score says what it is made of."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data import PARTS, RULES, Dataset, Validation, validate, writing
from workbench.errors import DataError
from workbench.examples import Example, Form

GOOD = [{"prompt": f"What is {n}?", "completion": f"A number, {n}."} for n in range(1000)]


def rows_file(folder: Path, rows: Iterable[Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def kept(form: Form, **splits: list[dict[str, Any]]) -> Dataset:
    with writing("kept", form, recipe={}) as draft:
        for split, rows in splits.items():
            for row in rows:
                draft.add(Example.of(form, row), split)
    assert draft.dataset is not None
    return draft.dataset


def places(found: Validation) -> dict[str, tuple[int, ...]]:
    return {one.code: one.lines for one in found.findings}


def talk(*said: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def test_good_file_is_ok(tmp_path: Path) -> None:
    found = validate(rows_file(tmp_path, GOOD))
    assert (found.verdict, found.reasons, found.findings) == ("ok", (), ())
    assert (found.score, found.rows, found.examples) == (1.0, 1000, 1000)


def test_each_fault_is_found_at_its_line(tmp_path: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"prompt": "", "completion": "x"},
        {"prompt": "a", "completion": ["x"]},
        GOOD[3],
        {"prompt": " what IS  5?! ", "completion": "Another answer."},
        {"prompt": "b", "completion": "See <|im_end|> there"},
        {"prompt": "c", "completion": "TODO"},
        {"prompt": "d", "completion": "GroÃŸe StraÃŸe"},
        {"prompt": "e", "completion": "x \ufffd y"},
        {"prompt": "f", "completion": "x" * 900},
        {"prompt": "g", "completion": "[Insert your name]"},
    ]
    path = rows_file(tmp_path, GOOD + bad)
    with path.open("ab") as file:
        file.write(b'{bad\n{"prompt": "h", "completion": "\xc3\xbc \xff"}\n')
    found = validate(path, context_length=200)
    assert places(found) == {
        "empty": (1001,),
        "format": (1002, 1011),
        "duplicate": (1003,),
        "contradiction": (6, 1004),
        "markup": (1005,),
        "placeholder": (1006, 1010),
        "damage": (1007, 1008, 1012),
        "too-long": (1009,),
        "bytes": (1012,),
    }
    assert {one.file for one in found.findings} == {str(path)}
    assert (found.verdict, found.rows, found.examples) == ("warnings", 1012, 1009)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["score"] == found.score


@pytest.mark.parametrize(
    ("code", "row"),
    [
        ("system-late", talk(("user", "a"), ("system", "s"), ("assistant", "b"))),
        ("user-late", talk(("assistant", "b"), ("user", "a"), ("assistant", "b"))),
        ("twice", talk(("user", "a"), ("user", "a"), ("assistant", "b"))),
        ("twice", talk(("user", "a"), ("assistant", "b"), ("assistant", "b"))),
        ("no-answer", talk(("system", "s"), ("user", "a"))),
        ("unanswered", talk(("user", "a"), ("assistant", "b"), ("user", "c"))),
        ("empty", talk(("user", "a"), ("assistant", " "))),
        ("unknown-role", talk(("user", "a"), ("assistant", "b"), ("narrator", "c"))),
        ("format", {"messages": "no list"}),
        ("format", {"messages": []}),
        ("format", {"messages": [{"role": "user", "content": None}]}),
    ],
)
def test_roles_of_conversations(code: str, row: dict[str, Any]) -> None:
    good = [talk(("system", "s"), ("user", f"q {n}"), ("assistant", "b")) for n in range(2)]
    found = validate(kept("conversation", train=[good[0], row, good[1]]))
    assert places(found)[code] == (2,)
    (roles,) = (one for one in found.parts if one.name == "roles")
    assert (roles.value < 1) == (RULES[code].part == "roles")


def test_answers_of_tools_and_calls_are_in_order() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    said = [{"role": "user", "content": "a"}, call, {"role": "tool", "content": "3"}]
    row = {"messages": [*said, {"role": "assistant", "content": "three"}]}
    assert set(places(validate(kept("conversation", train=[row])))) == {"few"}


def test_equal_answers_of_a_pair_and_several_pairs_of_a_prompt() -> None:
    rows = [{"prompt": "p", "chosen": "a", "rejected": f"r{n}"} for n in range(20)]
    found = validate(kept("preference", train=[*rows, rows[0] | {"rejected": "a"}]))
    assert places(found) == {"same-pair": (21,), "few": ()}
    assert found.verdict == "refused"


def test_leaks_between_splits_are_found_in_the_later_one() -> None:
    train, validation = GOOD[:900], [GOOD[950], {"prompt": "what is 7", "completion": "seven"}]
    found = validate(kept("completion", train=train, validation=validation))
    (leak,) = (one for one in found.findings if one.code == "leak")
    assert (leak.lines, Path(leak.file).name, leak.severity) == ((2,), "validation.jsonl", "error")
    assert found.verdict == "refused"
    (separate,) = (one for one in found.parts if one.name == "separate")
    assert separate.value == 0.5
    clean = validate(kept("completion", train=train, validation=GOOD[900:]))
    assert clean.verdict == "ok"


def test_prompts_of_other_datasets_are_found(tmp_path: Path) -> None:
    other = rows_file(tmp_path, [GOOD[3] | {"completion": "x"}, *GOOD[3:4]], "other.jsonl")
    found = validate(rows_file(tmp_path, GOOD), others=[other])
    assert places(found) == {"leak": (4,)}
    assert found.verdict == "warnings"


def test_sums_that_differ_in_a_sign_are_different(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}+5", "completion": str(n + 5)} for n in range(200)]
    rows += [{"prompt": f"{n}-5", "completion": str(n - 5)} for n in range(200)]
    assert not validate(rows_file(tmp_path, rows)).findings


def test_duplicates_of_another_split_are_no_duplicates() -> None:
    rows = [{"text": f"a text {n}"} for n in range(10)]
    found = validate(kept("text", train=[*rows, rows[2], rows[2]], validation=rows[:1]))
    assert places(found) == {"duplicate": (11, 12), "leak": (1,), "few": ()}


def test_lengths_by_the_models_tokenizer() -> None:
    batches = []

    def count(texts: Sequence[str]) -> list[int]:
        batches.append(len(texts))
        return [len(text.split()) for text in texts]

    rows = [{"text": " ".join(["word"] * n)} for n in range(1, 601)]
    found = validate(kept("text", train=rows), context_length=590, count=count)
    assert places(found)["too-long"] == tuple(range(591, 601))
    assert (found.lengths["longest"], found.lengths["mean"], found.lengths["over"]) == (
        600, 300.5, 10,
    )  # fmt: skip
    assert found.lengths["estimated"] is False
    assert batches == [256, 256, 88]
    guess = validate(kept("text", train=rows)).lengths
    assert (guess["estimated"], guess["longest"]) == (True, math.ceil((600 * 5 - 1) / 4))
    with pytest.raises(DataError, match="gave 1 lengths"):
        validate(kept("text", train=rows), count=lambda texts: [1])


def test_classes_by_label_and_by_short_answers(tmp_path: Path) -> None:
    labels = ["good"] * 180 + ["bad"] * 10
    rows = [{"text": f"text {n}", "label": label} for n, label in enumerate(labels)]
    found = validate(rows_file(tmp_path, rows))
    assert found.classes == {"good": 180, "bad": 10}
    assert places(found) == {"balance": ()}
    share = 180 / 190
    entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share)) / math.log(2)
    (part,) = (one for one in found.parts if one.name == "balanced")
    assert part.value == pytest.approx(entropy, abs=1e-4)
    answers = [{"prompt": f"text {n}", "completion": "yes" if n % 2 else "no"} for n in range(200)]
    assert validate(rows_file(tmp_path, answers)).classes == {"no": 100, "yes": 100}
    assert validate(rows_file(tmp_path, GOOD)).classes == {}
    one = [{"text": f"text {n}", "label": "good"} for n in range(200)]
    assert "one label" in validate(rows_file(tmp_path, one)).reasons[0]


@pytest.mark.parametrize(("count", "verdict"), [(9, "refused"), (99, "warnings"), (100, "ok")])
def test_too_few(tmp_path: Path, count: int, verdict: str) -> None:
    assert validate(rows_file(tmp_path, GOOD[:count])).verdict == verdict


def test_share_decides_how_severe(tmp_path: Path) -> None:
    few, many = [*GOOD, *[[1]] * 10], [*GOOD, *[[1]] * 11]
    assert validate(rows_file(tmp_path, few)).verdict == "warnings"
    found = validate(rows_file(tmp_path, many))
    assert found.verdict == "refused"
    assert found.reasons == ("A row must be an object of JSON, with names and values. (11 times)",)


def test_changed_dataset_is_refused() -> None:
    dataset = kept("completion", train=GOOD, validation=[{"prompt": "p", "completion": "c"}])
    dataset.path("validation").unlink()
    lines = dataset.path().read_text().splitlines()
    dataset.path().write_text("\n".join([*lines[:10], "{bad", '{"prompt": "x"}', *lines[10:]]))
    found = validate(dataset)
    assert places(found)["format"] == (11, 12)
    changed = sorted(Path(one.file).name for one in found.findings if one.code == "changed")
    assert changed == ["train.jsonl", "validation.jsonl"]
    assert found.verdict == "refused"


def test_twenty_places_of_many(tmp_path: Path) -> None:
    found = validate(rows_file(tmp_path, [*GOOD, *GOOD[:50]]))
    (one,) = found.findings
    assert (one.count, one.lines) == (50, tuple(range(1001, 1021)))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=30))
def test_same_things_are_seen_as_by_sets(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    pairs = [("first", "one"), *pairs]
    rows = [{"prompt": a, "completion": b} for a, b in pairs]
    found = places(validate(rows_file(tmp_path_factory.mktemp("same"), rows)))
    answers = {a: {b for c, b in pairs if c == a} for a, _ in pairs}
    again = tuple(n for n, pair in enumerate(pairs, 1) if pair in pairs[: n - 1])
    against = tuple(n for n, (a, _) in enumerate(pairs, 1) if len(answers[a]) > 1)
    assert found.get("duplicate", ()) == again[:20]
    assert found.get("contradiction", ()) == against[:20]


def test_score_is_the_weighted_mean_of_its_parts(tmp_path: Path) -> None:
    found = validate(rows_file(tmp_path, [*GOOD[:300], *GOOD[:100], [1]]), context_length=4000)
    total = sum(one.weight for one in found.parts)
    product = math.prod(one.value ** (one.weight / total) for one in found.parts)
    assert found.score == pytest.approx(product, abs=1e-4)
    assert 0.8 < found.score < 0.95
    assert {one.name for one in found.parts} == {
        "readable", "filled", "encoding", "unique", "consistent", "clean", "fitting", "enough",
    }  # fmt: skip
    assert all(one.weight == PARTS[one.name][0] and one.why for one in found.parts)


def test_file_that_nobody_knows_asks_for_columns(tmp_path: Path) -> None:
    path = rows_file(tmp_path, [{"f": "a", "g": str(n)} for n in range(200)])
    with pytest.raises(DataError, match="Columns: f, g"):
        validate(path)
    assert validate(path, columns={"prompt": "g", "completion": "f"}).examples == 200


MEASURE = """
import re, sys
from pathlib import Path
from workbench.data import validate
found = validate(sys.argv[1])
peak = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())
print(found.rows, peak[1])
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 4000):  # 1 and 20 MB
        rows = ({"text": f"{n} " + "all the words of a long text " * 180} for n in range(count))
        path = rows_file(tmp_path, rows)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
        )
        read, peak = map(int, done.stdout.split())
        assert read == count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 16_000, "kilobytes; the file grew by 19 MB"

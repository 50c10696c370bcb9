"""Scorers of text, and scoring as such: thinking, hostile answers, scorers that fail."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from asked import value, verdict
from hypothesis import given
from hypothesis import strategies as st

from workbench.scorers import LIKELIHOOD, Sample, ScorerUse, Tools, meant, score, scorers
from workbench.scorers import _registry as table
from workbench.scorers._answers import blocks
from workbench.tasks import Task

CAUGHT = {"pattern": r"answer: (\w+)", "group": 1}


@pytest.mark.parametrize(
    ("scorer", "answer", "target", "wanted", "options"),
    [
        ("exact", " Paris\n", "Paris", 1, {}),
        ("exact", "paris", "Paris", 0, {}),
        ("exact", "b", ["a", "b"], 1, {}),
        ("exact", "4", 4, 1, {}),
        ("exact", "x", None, None, {}),
        ("normalised", "The  Eiffel-Tower!", "eiffel tower", 1, {}),
        ("normalised", "**Ｐａｒｉｓ**.", "paris", 1, {}),
        ("normalised", "A", "A", 1, {}),
        ("normalised", "B", "A", 0, {}),
        ("normalised", "+", "+", 1, {}),
        ("normalised", "", "+", 0, {}),
        ("normalised", "Paris\nis big", "paris", 0, {}),
        ("normalised", "\nParis\nis big", "paris", 1, {"first_line": True}),
        ("includes", "It is in PARIS.", "paris", 1, {}),
        ("includes", "It is in PARIS.", "paris", 0, {"ignore_case": False}),
        ("includes", "I know", "no", 1, {}),
        ("includes", "I know", "no", 0, {"whole_words": True}),
        ("includes", "no, c++", ["c++"], 1, {"whole_words": True}),
        ("includes", "a b", ["a", "x"], 1, {}),
        ("includes", "a b", ["a", "x"], 0, {"all": True}),
        ("includes", "a b", [""], None, {}),
        ("regex", "call 555-1234 now", r"\d{3}-\d{4}", 1, {}),
        ("regex", "call 555-1234 now", None, 0, {"pattern": r"\d{3}-\d{4}", "full": True}),
        ("regex", "ANSWER: blue", "Blue", 1, {"ignore_case": True, **CAUGHT}),
        ("regex", "ANSWER: red", "Blue", 0, {"ignore_case": True, **CAUGHT}),
        ("regex", "none", "Blue", 0, CAUGHT),
        ("regex", "x", "(", None, {}),
        ("regex", "x", "x", None, {"group": 3}),
        ("regex", "x", None, None, {}),
    ],
)  # fmt: skip
def test_equal_contained_matching(
    scorer: str, answer: str, target: Any, wanted: float | None, options: dict[str, Any]
) -> None:
    assert value(scorer, answer, target, **options) == wanted


def test_a_pattern_that_never_ends_is_stopped() -> None:
    found = verdict("regex", "a" * 60 + "!", r"^(a|aa)+$", seconds=0.05)
    assert found.value is None and "takes too long" in found.detail


def test_rouge_l_by_hand() -> None:
    # the, cat, on, mat are common; 6 and 6 words
    found = verdict("rouge_l", "The cat lay on a mat.", "the cat sat on the mat")
    assert found.value == pytest.approx(4 / 6)
    found = verdict("rouge_l", "cat", "the cat sat on the mat")
    assert found.value == pytest.approx(2 * 1 / 7)
    assert found.parts == {"precision": 1.0, "recall": pytest.approx(1 / 6)}
    assert value("rouge_l", "nothing", ["other", "nothing"]) == 1
    assert value("rouge_l", "", "word") == 0
    assert value("rouge_l", "word", "…") is None


def test_bleu_and_chrf_by_hand() -> None:
    assert value("bleu", "the cat sat on the mat", "the cat sat on the mat") == pytest.approx(1)
    assert value("chrf", "the cat", "the cat") == pytest.approx(1)
    assert value("bleu", "", "the cat") == value("chrf", "", "the cat") == 0
    # 4 of 5 words, 3 of 4 pairs, 2 of 3 and 1 of 2; as long as the reference
    by_hand = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert value("bleu", "a b c d x", "a b c d e") == pytest.approx(by_hand)
    assert value("bleu", "x", "  ") is None


def embed(texts: Any) -> list[list[float]]:
    """The texts' counts of a and b."""
    return [[float(text.count("a")), float(text.count("b"))] for text in texts]


def test_similarity() -> None:
    tools = Tools(embed=embed)
    assert value("similarity", "aaa", "a", tools=tools) == pytest.approx(1)
    assert value("similarity", "ab", "a", tools=tools) == pytest.approx(math.sqrt(0.5))
    assert value("similarity", "b", ["a", "b"], tools=tools) == pytest.approx(1)
    assert value("similarity", " ", "a", tools=tools) == 0
    assert value("similarity", "x", "a", tools=tools) is None  # a vector of zeros
    found = verdict("similarity", "a", "a")
    assert found.value is None and "embedding model" in found.detail
    for vectors in (
        [[1.0], [1.0, 2.0]],
        [[math.nan], [1.0]],
        [[], []],
        [[1.0]],
        [["x"], [1.0]],
        None,
    ):
        tools = Tools(embed=lambda texts, vectors=vectors: vectors)  # type: ignore[misc]
        assert value("similarity", "a", "a", tools=tools) is None
    assert value("similarity", "a", "a", tools=Tools(embed=lambda t: [[1.0], [-1.0]])) == 0


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("<think>I wonder: 7</think>\n\n42", "42"),
        ("<thinking>7</thinking>42", "42"),
        ("\n<think>a</think><think>b</think>42", "42"),
        ("I wonder\n</think>\n42", "42"),
        ("<think>never ends 42", ""),
        ("42 <think>later</think>", "42 <think>later</think>"),
        ("The tag <think> is old", "The tag <think> is old"),
        ("\n    plain\n", "\n    plain\n"),  # what goes on from a prompt may begin with a line end
        ("a\ud83d\ude00b\ud800c", "a😀b\ufffdc"),
    ],
)
def test_thinking_is_not_scored(answer: str, wanted: str) -> None:
    assert meant(answer) == wanted


def test_blocks_of_markdown() -> None:
    text = "x\n```Python title\na\n\n  b\n```\n  ~~~\n  c\n    d\n  ~~~\n"
    text += "````\n```\ne\n````\n``` `no`\n```js\nf"
    assert blocks(text) == [
        ("python", "a\n\n  b"),
        ("", "c\n  d"),
        ("", "```\ne"),
        ("js", "f"),
    ]


HOSTILE = {
    "empty": "",
    "NUL": "\0" * 100,
    "halves": "\ud800\udfff\udc00",
    "turned": "\u202eabc\u2066",
    "a megabyte of a": "a" * 1_000_000,
    "a megabyte of words": "word " * 200_000,
    "a megabyte of lines": "\n" * 1_000_000,
    "a megabyte of spaces": "x" + " " * 1_000_000 + "x",
    "dots": "." * 1_000_000 + "x",
    "digits": "9" * 1_000_000,
    "commas": "1," * 500_000,
    "groups": "1" + ",000" * 250_000,
    "minus": "-" * 1_000_000 + "1",
    "deep JSON": "[" * 1_000_000,
    "deep objects": '{"a":' * 200_000 + "1" + "}" * 200_000,
    "braces": "{ " * 500_000,
    "fences": "```\n" * 250_000,
    "ticks": "`" * 1_000_000 + "x",
    "unclosed fence": "```python\n" + "x = 1\n" * 1000,
    "code": "x = 1\n" * 150_000,
    "brackets": "(" * 500_000,
    "bullets": "- \n" * 300_000,
    "thinking": "<think>" * 100_000,
    "unthinking": "</think>" * 100_000,
    "numbers": "nan inf -inf 1e999 -1e-999 0x10 1/0 ١٢٣ ²",
    "grades": "GRADE: " * 100_000,
    "article": "a A " * 250_000,
    "ligatures": "\ufdfa" * 100_000,
    "huge number": '{"a": 1e999}',
    "not a number": '{"a": NaN, "b": -Infinity}',
    "long integer": '{"a": ' + "9" * 5000 + "}",
}
RULES = [
    *({"kind": kind, "value": 3} for kind in ("min_words", "max_sentences", "lines", "paragraphs")),
    *({"kind": kind, "value": 3} for kind in ("bullets", "numbered", "max_characters")),
    *({"kind": kind, "value": "x"} for kind in ("starts_with", "excludes", "json", "quoted")),
]
NEEDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "regex": (r"\bword\b", {}),
    "numeric": (4, {}),
    "letter": ("B", {"choices": ("yes", "no")}),
    "json_schema": ({"a": 1}, {"more": {"schema": {"type": "object", "required": ["a"]}}}),
    "python_tests": (None, {"more": {"tests": "assert f(1) == 2"}}),
    "constraints": (None, {"more": {"constraints": RULES}}),
    "refusal": ("refuse", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_scored_and_wrong(name: str) -> None:
    """No scorer may fail, or take them for right."""
    tools = Tools(embed=lambda texts: [[1.0, 0.0], [0.0, 1.0]], judge=lambda prompt: "GRADE: 1")
    for scorer in scorers():
        target, fields = NEEDS.get(scorer, ("the target", {}))
        found = verdict(scorer, HOSTILE[name], target, sample=fields, tools=tools)
        if scorer == "python_syntax":
            assert found.value in (0, 1)
        elif (scorer, name) == ("regex", "a megabyte of words"):
            assert found.value == 1
        else:
            assert found.value is not None and found.value < 0.5, (scorer, found)


MARKS = st.sampled_from(["```", "<think>", "</think>", "{", "[1,", "GRADE: ", "A", "1,0", "\ud800"])


@given(st.lists(st.one_of(st.text(max_size=20), MARKS), max_size=12).map("".join))
def test_any_answer_gets_a_value(answer: str) -> None:
    tools = Tools(embed=lambda texts: [[1.0, 0.0] for _ in texts], judge=lambda prompt: "GRADE: 3")
    for scorer in set(scorers()) - {"python_tests"}:
        target, fields = NEEDS.get(scorer, ("the target", {}))
        found = verdict(scorer, answer, target, sample=fields, tools=tools)
        assert found.value is not None and 0 <= found.value <= 1, (scorer, found)


def failing(answer: str, sample: Sample, tools: Tools, *, kind: str = "") -> Any:
    if kind == "raise":
        raise RuntimeError("no")
    if kind == "recurse":
        return failing(answer, sample, tools, kind=kind)
    return {"none": None, "nan": table.Verdict(math.nan), "large": table.Verdict(7.0)}[kind]


@pytest.mark.parametrize("kind", ["raise", "recurse", "none", "nan", "large"])
def test_a_scorer_that_fails_is_that_samples_trouble(kind: str, plugged: None) -> None:
    found = verdict("failing", "x", kind=kind)
    assert found.value is None and "failing" in found.detail


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An installed package with scorers, one of them broken, one with a name of ours."""
    package = tmp_path / "site"
    info = package / "extra-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[workbench.scorers]\nfailing = test_scorers:failing\n"
        "missing = extra_that_is_not:there\nexact = test_scorers:failing\n"
        "choice = test_scorers:failing\nnumber = math:pi\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(package)])
    table._table.cache_clear()
    with pytest.warns(UserWarning, match="is left out"):
        known = scorers()
    assert known["failing"].__name__ == "failing"
    assert known["exact"].__module__.startswith("workbench")
    assert not {"missing", "choice", "number"} & set(known)
    yield
    table._table.cache_clear()


def test_scorers_of_other_packages(plugged: None) -> None:
    assert "no option" not in table.problem_of(ScorerUse("failing", {"kind": "x"}), "chat")
    assert "takes no" in table.problem_of(ScorerUse("failing", {"kid": "x"}), "chat")


def test_scorers_keep_their_order_and_come_twice() -> None:
    uses = (
        ScorerUse("includes", {"whole_words": True}),
        ScorerUse("exact"),
        ScorerUse("includes"),
        ScorerUse("gone"),
    )
    asked = Sample("1", "q", "no")
    found = score(Task("t", "t", "chat", uses, lambda seed: [asked]), asked, "I know")
    assert list(found) == ["includes", "exact", "includes#2", "gone"]
    assert [one.value for one in found.values()] == [0, 0, 1, None]
    assert "no scorer 'gone'" in found["gone"].detail


@pytest.mark.parametrize("mode", ["choice", "perplexity"])
def test_likelihoods_are_not_scored_from_text(mode: Any) -> None:
    asked = Sample("1", "q", 0, choices=("a", "b"))
    uses = tuple(map(ScorerUse, LIKELIHOOD[mode]))
    assert score(Task("t", "t", mode, uses, lambda seed: [asked]), asked, "a") == {}

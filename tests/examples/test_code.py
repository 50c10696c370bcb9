"""Examples out of Python sources: of made ones, and of the standard library."""

from __future__ import annotations

import ast
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DataError
from workbench.examples import Example, code_examples
from workbench.gather import Document

SOURCE = '''\
"""A module."""

import os


class Shop:
    @property
    def price(self):
        """Tell what the thing costs in cents.

        Taxes are in it.
        """
        # by weight
        total = self.weight * 2
        return total

    def empty(self):
        """This one has nothing in its body."""

    def silent(self):
        return self.weight * 2 + 1

    def short(self):
        """Short."""
        return self.weight * 2 + 1

    def refused(self):
        """A method that others have to write."""
        raise NotImplementedError


def on_one_line(): """Tell something about a line."""; return 1 + 2 + 3 + 4 + 5


async def wide(größe):
    """Count the ☃ characters of a text."""
    return "☃☃" + größe + "a value that is long"
'''


def document(text: str = SOURCE, address: str = "shop/main.py", **more: str) -> Document:
    return Document(text, address, "code", language="python", licence="MIT", **more)


@pytest.fixture(scope="module")
def library() -> list[Document]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(folder.glob("*.py"))[:60]
    return [document(path.read_text("utf-8"), path.name) for path in paths]


def test_bodies_of_functions_with_docstrings() -> None:
    counts: Counter[str] = Counter()
    found = list(code_examples([document()], counts=counts))
    assert [one.about["name"] for one in found] == ["Shop.price", "wide"]
    first = found[0]
    assert first.form == "completion"
    assert first.fields["prompt"] == (
        '@property\ndef price(self):\n    """Tell what the thing costs in cents.\n\n'
        '    Taxes are in it.\n    """\n'
    )
    assert first.fields["completion"] == (
        "    # by weight\n    total = self.weight * 2\n    return total\n"
    )
    assert first.about == {
        "address": "shop/main.py", "line": 8, "name": "Shop.price", "kind": "docstring",
        "language": "python", "licence": "MIT",
    }  # fmt: skip
    assert counts["functions left out: no useful docstring"] == 2
    assert counts["functions left out: empty, too long or oddly written"] == 3
    assert counts["examples: docstring"] == 2 and counts["files read"] == 1


def test_docstrings_of_functions() -> None:
    first, second = code_examples([document()], ["function"])
    assert first.fields["completion"] == "Tell what the thing costs in cents.\n\nTaxes are in it."
    assert "cents" not in first.fields["prompt"] and "# by weight" in first.fields["prompt"]
    assert second.fields["completion"] == "Count the ☃ characters of a text."


def test_conversations() -> None:
    both = list(code_examples([document()], ["docstring", "function"], form="conversation"))
    assert [one.about["kind"] for one in both] == ["docstring"] * 2 + ["function"] * 2
    for one in both:
        user, assistant = one.fields["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert "```python\n" in user["content"]
    assert "return total" in both[0].fields["messages"][1]["content"]


def whole(example: Example, text: str) -> bool:
    parts = [example.fields[name] for name in ("prefix", "middle", "suffix")]
    return "".join(parts) in text


def test_functions_of_the_library_parse_when_put_together(library: list[Document]) -> None:
    found = list(code_examples(library))
    assert len(found) > 300
    for one in found:
        tree = ast.parse(one.fields["prompt"] + one.fields["completion"])
        [function] = tree.body
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        assert ast.get_docstring(function)
        assert function.name == one.about["name"].rpartition(".")[2]


def test_gaps_of_the_library_fit(library: list[Document]) -> None:
    texts = {one.address: one.text for one in library}
    found = list(code_examples(library, ["gap"]))
    assert len(found) > 200
    for one in found:
        assert one.form == "gap" and whole(one, texts[one.about["address"]])
        assert 4 <= len(one.fields["middle"]) <= 1200
        assert len(one.fields["prefix"]) <= 3000 and len(one.fields["suffix"]) <= 3000
        assert one.fields["middle"].strip()
    lines = [one.fields["middle"].count("\n") for one in found]
    assert 0 in lines and max(lines) > 5, "some are short and some are blocks"


def test_the_same_again_and_another_seed(library: list[Document]) -> None:
    def digests(documents: list[Document], seed: int) -> list[str]:
        return [one.digest for one in code_examples(documents, ["gap"], seed=seed)]

    assert digests(library, 0) == digests(library, 0)
    assert digests(library, 0) != digests(library, 1)
    alone = digests(library[-1:], 0)
    assert digests(library, 0)[-len(alone) :] == alone, "a file does not hang on the others"


def test_what_comes_twice_comes_once() -> None:
    counts: Counter[str] = Counter()
    again = document(SOURCE.replace("\n", "\r\n"), "copy.py")
    assert len(list(code_examples([document(), again], counts=counts))) == 2
    assert counts["duplicates left out"] == 2


@pytest.mark.parametrize(
    ("text", "address", "reason"),
    [
        ("def f(:\n", "a.py", "do not parse"),
        ("x = '\0'", "a.py", "do not parse"),
        ("(" * 5000, "a.py", "do not parse"),
        ("x = " + "-" * 200_000 + "1", "a.py", "do not parse"),
        (SOURCE, "tests/a.py", "tests"),
        (SOURCE, "pkg/test_shop.py", "tests"),
        ("# Generated by a tool. DO NOT EDIT.\n" + SOURCE, "a.py", "generated"),
        (SOURCE, "a_pb2.py", "generated"),
        ("#" * 1_000_001, "a.py", "too long"),
    ],
)
def test_files_that_are_left_out(text: str, address: str, reason: str) -> None:
    counts: Counter[str] = Counter()
    found = code_examples([document(text, address), document()], counts=counts)
    assert len(list(found)) == 2, "the rest goes on"
    assert counts[f"files left out: {reason}"] == 1


def test_tests_on_request_and_other_languages() -> None:
    assert list(code_examples([document(address="tests/a.py")], tests=True))
    assert not list(code_examples([Document(SOURCE, "a.txt", "text")]))


def test_limits_are_kept_without_reading_on() -> None:
    read = []

    def documents() -> Iterator[Document]:
        for number in range(100):
            read.append(number)
            yield document(SOURCE.replace("price", f"price{number}"))

    assert len(list(code_examples(documents(), limit=5))) == 5
    assert len(read) < 10
    assert not list(code_examples([document()], limit=0))


@pytest.mark.parametrize(
    ("kinds", "form", "words"),
    [
        (["gap", "function"], "completion", "of one form"),
        (["gaps"], "completion", "Did you mean gap"),
        ([], "completion", "of one form"),
        (["docstring"], "text", "no 'text'"),
    ],
)
def test_bad_kinds(kinds: list[str], form: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        code_examples([], kinds, form=form)  # type: ignore[arg-type]


LINES = st.lists(
    st.sampled_from(
        ["def f(a):", '    """One two three four."""', "    return 'ä' + a", "x = [1, 'ö', (2, 3)]",
         "if x:", "    y = 1", "    z = f(y)", "", "# c", "class A:", "    é = '''", "'''"]
    ),
    max_size=14,
)  # fmt: skip


@given(LINES, st.integers(0, 5))
def test_any_source(lines: list[str], seed: int) -> None:
    text = "\n".join(lines)
    for kinds in (["docstring", "function"], ["gap"]):
        for one in code_examples([document(text)], kinds, seed=seed):
            assert kinds != ["gap"] or whole(one, text)

"""What the starter reads: sources without tables, functions, turns, tokens, rows."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import TrainingError
from workbench.pretrain._rows import Stream
from workbench.pretrain._tokenizer import (
    BEGIN,
    CHAT_TEMPLATE,
    END,
    SPECIAL,
    encode_texts,
    save_tokenizer,
    train_tokenizer,
)
from workbench.starter._corpus import Source, read_corpus
from workbench.starter._functions import functions
from workbench.starter._turns import Gap, examples, written
from workbench.types import Message

SOURCE = '''
import os

@decorated
def read_lines(path, limit=10):
    """Read the first lines of a file. They keep their ends.

    More words.
    """
    with open(path) as file:
        return [file.readline() for _ in range(limit)]

class Thing:
    def undocumented(self, value):
        self.value = value
        return self.value and value + 1

    def described(self, value):
        """Keep the value and count it."""
        self.value = value
        self.count += 1
'''


@pytest.fixture(scope="module")
def texts(sources: Path) -> list[str]:
    return [source.text for source in read_corpus(sources).training]


def test_the_standard_library_is_read_without_tests_and_tables() -> None:
    corpus = read_corpus()
    paths = {source.path for source in (*corpus.training, *corpus.held_out)}
    assert {"textwrap.py", "json/decoder.py", "asyncio/queues.py"} <= paths
    assert not [p for p in paths if p.startswith(("test/", "encodings/", "site-packages/"))]
    assert len(corpus.training) > 10 * len(corpus.held_out) > 0
    assert not {s.text for s in corpus.training} & {s.text for s in corpus.held_out}
    assert corpus.characters > 1_000_000


def test_a_text_counts_once_and_the_digest_names_the_content(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.py").write_text(f"# {number}\n" + "x = 1\n" * 100)
    first = read_corpus(tmp_path)
    (tmp_path / "copy.py").write_text((tmp_path / "0.py").read_text())
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe" * 500)
    (tmp_path / "short.py").write_text("x = 1\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "more.py").write_text("y = 1\n" * 100)
    assert read_corpus(tmp_path) == first
    (tmp_path / "3.py").write_text("# changed\n" + "x = 1\n" * 100)
    assert read_corpus(tmp_path).digest != first.digest
    assert len(read_corpus(tmp_path, limit=2).training) == 1


def test_a_corpus_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no folder .*missing"):
        read_corpus(tmp_path / "missing")
    with pytest.raises(TrainingError, match=r"has 0 Python files .* at least 2 are needed"):
        read_corpus(tmp_path)


def test_functions_are_found_with_their_words() -> None:
    found = {function.name: function for function in functions([Source("x.py", SOURCE)])}
    assert set(found) == {"read_lines", "described"}
    lines = found["read_lines"]
    assert lines.docstring == "Read the first lines of a file"
    assert lines.call == "read_lines(path, limit)"
    assert lines.code.startswith("def read_lines(") and "More words" not in lines.code
    assert '    """Read the first lines of a file."""\n    with open' in lines.code
    assert '"""' not in lines.bare and lines.bare.endswith("range(limit)]")
    assert found["described"].call == "described(value)"
    for function in found.values():
        ast.parse(function.code)
        ast.parse(function.bare)


def test_a_source_that_is_not_python_gives_no_functions() -> None:
    assert list(functions([Source("x.py", "def broken(:\n" * 20)])) == []


def test_turns_ask_and_answer_with_python() -> None:
    found = list(functions(read_corpus(limit=60).training))
    made = list(examples(found, 0))
    assert made == list(examples(found, 0)) != list(examples(found, 1))
    chats = [example for example in made if not isinstance(example, Gap)]
    assert all(chat[-1].role == "assistant" and chat[-2].content for chat in chats)
    answers = [chat[-1].content for chat in chats]
    code = [a[10:-4] for a in answers if a.startswith("```python\n") and a.endswith("\n```")]
    assert len(code) > len(chats) / 2
    for one in code:
        ast.parse(one)
    gaps = [example for example in made if isinstance(example, Gap)]
    assert gaps
    for gap in gaps:
        ast.parse(gap.prefix + gap.middle + gap.suffix)


def test_the_tokenizer_loses_nothing(texts: list[str]) -> None:
    tokenizer = train_tokenizer(texts, 600)
    assert [tokenizer.id_to_token(number) for number in range(len(SPECIAL))] == list(SPECIAL)
    tried = [*texts[:2], "naïve 😀 \x00\t\r\n  def"]
    for text, ids in zip(tried, encode_texts(tokenizer, tried), strict=True):
        assert (ids[0], ids[-1]) == (SPECIAL.index(BEGIN), SPECIAL.index(END))
        assert tokenizer.decode(ids) == text


def test_turns_are_written_as_transformers_writes_them(tmp_path: Path, texts: list[str]) -> None:
    from transformers import AutoTokenizer

    tokenizer = train_tokenizer(texts, 600)
    save_tokenizer(tokenizer, tmp_path, 128)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template == CHAT_TEMPLATE
    turns = (Message("user", "Write it."), Message("assistant", "pass"))
    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    text = loaded.apply_chat_template(plain, tokenize=False)
    [ours] = encode_texts(tokenizer, [written(turns)])
    assert loaded(text)["input_ids"] == ours[:-1]
    prompt = loaded.apply_chat_template(plain[:1], tokenize=False, add_generation_prompt=True)
    assert text.startswith(prompt)


def test_every_row_comes_once_in_an_epoch() -> None:
    stream = Stream.pack([list(range(50)), list(range(50, 101))], 10, (0, 1))
    assert stream.rows.shape == (10, 11)
    assert (stream.rows[3] == np.arange(30, 41)).all()
    drawn = [int(row[0]) for row in stream.draw(0, 20)]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(0, 100, 10))
    assert drawn[:10] != drawn[10:]
    assert drawn[5:12] == [int(row[0]) for row in stream.draw(5, 7)]


def test_a_text_shorter_than_a_row_is_repeated() -> None:
    assert Stream.pack([[1, 2, 3]], 8, (0,)).rows.tolist() == [[1, 2, 3, 1, 2, 3, 1, 2, 3]]

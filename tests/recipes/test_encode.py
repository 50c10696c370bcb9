"""Examples as tokens: exactly the characters that the Data panel marks are learnt; rows are full,
apart from each other and always in the same order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes.lessons import rows, write_tiny_folder

from workbench.errors import TrainingError
from workbench.examples import Example, Form, render
from workbench.learn._encode import Encoded, encode, template_for, tokenizer_of
from workbench.learn._rows import IGNORED, Rows, collate, pack


@pytest.fixture(scope="module")
def tokenizer(tiny_folder: Path) -> Any:
    return tokenizer_of(tiny_folder)


def encoded(folder: Path, tokenizer: Any, some: Iterable[Example], context: int = 128) -> Encoded:
    return encode(some, tokenizer, template_for(folder, tokenizer), context)


@pytest.mark.parametrize("form", ["text", "conversation", "completion", "gap", "preference"])
def test_what_is_learnt_is_what_the_panel_marks(
    form: Form, tiny_folder: Path, tokenizer: Any
) -> None:
    example = rows(form, 1)[0]
    found = encoded(tiny_folder, tokenizer, [example])
    shown = render(example, template_for(tiny_folder, tokenizer))
    learnt = "".join(text for text, is_learnt in shown.parts() if is_learnt)
    assert tokenizer.decode(found.ids[found.learnt]) == learnt
    assert tokenizer.decode(found.ids) == shown.text
    assert found.counts.learnt == found.learnt.sum() > 0


def test_the_end_of_an_answer_is_learnt(tiny_folder: Path, tokenizer: Any) -> None:
    found = encoded(tiny_folder, tokenizer, rows("conversation", 1))
    ends = found.ids == tokenizer.eos_token_id
    assert found.learnt[ends].tolist() == [False, True]


def test_letters_of_several_bytes_are_whole(tiny_folder: Path, tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "Grüße 🎈?"}, {"role": "assistant", "content": "日本 🎈"}]
    found = encoded(tiny_folder, tokenizer, [Example("conversation", {"messages": turns})])
    assert tokenizer.decode(found.ids[found.learnt]).startswith("日本 🎈<|im_end|>")


def test_a_long_text_goes_on_in_the_next_row(tiny_folder: Path, tokenizer: Any) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    whole = encoded(tiny_folder, tokenizer, [Example("text", {"text": text})], 10_000)
    cut = encoded(tiny_folder, tokenizer, [Example("text", {"text": text})], 32)
    predicted = [cut.ids[a + 1 : b] for a, b in zip(cut.starts, cut.starts[1:], strict=False)]
    assert np.concatenate(predicted).tolist() == whole.ids[1:].tolist()
    assert cut.lengths.max() == 32
    assert cut.counts.truncated == 0


def test_what_holds_no_answer_is_left_out_and_told(tiny_folder: Path, tokenizer: Any) -> None:
    good, long, empty = rows("conversation", 3)
    long.fields["messages"][0]["content"] = "why " * 500
    empty.fields["messages"].pop()
    found = encoded(tiny_folder, tokenizer, [good, long, empty])
    assert (len(found), found.counts.examples, found.counts.truncated) == (1, 3, 1)
    assert found.counts.dropped == 2
    assert any("longer context" in why for why in found.counts.why)
    with pytest.raises(TrainingError, match=r"nothing to learn from: .* longer context"):
        encoded(tiny_folder, tokenizer, [long])
    with pytest.raises(TrainingError, match="there is no example"):
        encoded(tiny_folder, tokenizer, [])


def test_a_base_without_a_template_is_given_one_that_ends(tmp_path: Path) -> None:
    folder = write_tiny_folder(tmp_path / "plain", template=None)
    tokenizer = tokenizer_of(folder)
    tokenizer.eos_token = "<|bos|>"
    vocabulary = tokenizer.get_vocab()
    tokenizer.get_vocab = lambda: {k: v for k, v in vocabulary.items() if "im_end" not in k}
    template = template_for(folder, tokenizer)
    assert "eos_token" in tokenizer.chat_template
    assert "no chat template" in template.notes[0]


def test_no_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"No tokenizer can be read .* tokenizer\.json"):
        tokenizer_of(tmp_path)


def test_rows_are_full_and_hold_each_sequence_once(tiny_folder: Path, tokenizer: Any) -> None:
    found = encoded(tiny_folder, tokenizer, rows("completion", 40))
    packed = pack(found, 128)
    assert sorted(n for row in packed for n in row) == list(range(40))
    sizes = [int(found.lengths[row].sum()) for row in packed]
    assert max(sizes) <= 128
    assert len(packed) <= -(-sum(sizes) // 128) + 1


def test_no_sequence_predicts_the_next_one(tiny_folder: Path, tokenizer: Any) -> None:
    found = encoded(tiny_folder, tokenizer, rows("text", 4), 64)
    batch = collate([Rows(found, pack(found, 128), total=1, packed=True).row(n) for n in (0, 1)])
    ids, labels, positions = batch["input_ids"], batch["labels"], batch["position_ids"]
    for row in range(2):
        for at in range(ids.shape[1] - 1):
            if labels[row, at] != IGNORED:
                assert labels[row, at] == ids[row, at + 1]
                assert positions[row, at + 1] == positions[row, at] + 1
    assert "attention_mask" not in batch
    one = collate([Rows(found, [[0], [1]]).row(n) for n in (0, 1)])
    assert "position_ids" not in one


def test_the_order_follows_from_the_seed(tiny_folder: Path, tokenizer: Any) -> None:
    found = encoded(tiny_folder, tokenizer, rows("completion", 30))
    alone = [[n] for n in range(30)]

    def order(seed: int, packed: bool) -> list[list[int]]:
        rows = Rows(found, alone, batch=2, seed=seed, total=90, packed=packed)
        return [rows[n][0].tolist() for n in range(90)]

    for packed in (True, False):
        assert order(1, packed) == order(1, packed) != order(2, packed)
        epochs = [order(1, packed)[at : at + 30] for at in (0, 30, 60)]
        assert epochs[0] != epochs[1]
        assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    pairs = [len(one) for one in order(1, False)]
    assert sum(abs(a - b) for a, b in zip(pairs[::2], pairs[1::2], strict=True)) <= 15

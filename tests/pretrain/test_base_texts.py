"""Every form of example as tokens, and names of special tokens in somebody's text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from workbench.examples import FIELDS, Example, Form
from workbench.pretrain._base_texts import encode, parts
from workbench.pretrain._rows import Stream
from workbench.pretrain._tokenizer import SPECIAL, train_tokenizer

ASKED = [{"role": "user", "content": "Hi"}]
TOLD = [{"role": "assistant", "content": "Ho"}]
CHAT = "<|begin|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n<|end|>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = train_tokenizer(["Hi Ho user assistant"] * 4, 400)
    made.encode_special_tokens = True
    return made


@pytest.mark.parametrize(
    ("form", "values", "written"),
    [
        ("text", ("Hi Ho",), "<|begin|>Hi Ho<|end|>"),
        ("conversation", ([*ASKED, *TOLD],), CHAT),
        ("completion", ("Hi ", "Ho"), "<|begin|>Hi Ho<|end|>"),
        ("preference", ("Hi ", "Ho", "No"), "<|begin|>Hi Ho<|end|>"),
        ("preference", (ASKED, TOLD, ASKED), CHAT),
        ("gap", ("H", "i", "o"), "<|begin|><|fim_prefix|>H<|fim_suffix|>o<|fim_middle|>i<|end|>"),
        ("conversation", ([{"role": None, "content": None}],),
         "<|begin|><|im_start|>user\n<|im_end|>\n<|end|>"),
    ],
)  # fmt: skip
def test_each_form_has_its_tokens(
    tokenizer: Tokenizer, form: Form, values: tuple[Any, ...], written: str
) -> None:
    example = Example(form, dict(zip(FIELDS[form], values, strict=True)))
    ids = encode(tokenizer, [parts(example)])
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=False) == written


def test_nobody_writes_a_special_token_into_a_text(tokenizer: Tokenizer) -> None:
    hostile = "".join(SPECIAL)
    ids = encode(tokenizer, [parts(Example("text", {"text": hostile}))]).tolist()
    assert ids[0] == SPECIAL.index("<|begin|>") and ids[-1] == SPECIAL.index("<|end|>")
    assert min(ids[1:-1]) >= len(SPECIAL)
    assert tokenizer.decode(ids[1:-1], skip_special_tokens=False) == hostile


def test_rows_are_the_text_cut_and_nothing_is_copied() -> None:
    flat = np.arange(11, dtype=np.int32)
    stream = Stream.of(flat, 3, (0,))
    assert stream.rows.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert stream.rows.base is not None
    drawn = stream.draw(0, 6)
    assert sorted(row.tolist() for row in drawn[:3]) == stream.rows.tolist()
    assert [row.tolist() for row in stream.draw(2, 2)] == [row.tolist() for row in drawn[2:4]]

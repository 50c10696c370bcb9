"""The same text gives the same token ids in llama.cpp as in the tokenizers library."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from engine import LlamaCpp
from hf_models import SPLITS, make_folder, save_tokenizer
from tokenizers import Tokenizer

from workbench.errors import GGUFError
from workbench.gguf import convert
from workbench.gguf._tokenizer import read_vocabulary

TEXTS = [
    "Hello world",
    "",
    "a",
    "\n",
    "a  few   spaces and\ttabs\t\tx\n\n\nnew lines \n x ",
    "def f(x):\n    return x**2  # comment\n",
    "I'm you'RE we'll THEY'D",
    "12345 3.14 1e-10 0xFF 1,000,000 ٣٤ ½ ² Ⅷ",
    "snake_case CamelCase HTTPServer mixed123abc",
    "!!!???...,,,---___ don’t “quotes” — dash…",
    "naïve café Größe ÅÄÖ ß ﬁ",
    "你好,世界!今天是2024年 日本語テキスト한국어",
    "Привет, мир! Ελληνικά عربى नमस्ते ไทย",
    "🙂👩‍👩‍👧 e\u0301 \u200b zero\u00a0nbsp",
    "\x01 ctrl",
    "\r\n\r\nCRLF\r\n",
    "<|im_start|>x</s><unk>",
]
LEADING = [" ", "  ", "  two spaces first", "▁▁ x", "a" * 300]
# limits of llama.cpp, described in docs/gguf.md
NOT_SAME = {
    "unigram": {"  two spaces first", "  ", " ", "▁▁ x", TEXTS[-1]},
    "wordpiece": {"a" * 300},
}
KINDS = ["gpt2", *SPLITS, "digits", "sentencepiece", "gemma", "unigram", "wordpiece"]


@pytest.mark.parametrize("kind", KINDS)
def test_token_ids_are_the_same(kind: str, tmp_path: Path) -> None:
    model = "bert" if kind == "wordpiece" else "llama"
    folder = make_folder(model, tmp_path / "hf", tokenizer=kind)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True  # text that looks like a special token is text
    path = convert(folder, tmp_path / "m.gguf")
    texts = [text for text in TEXTS + LEADING if text not in NOT_SAME.get(kind, ())]
    with LlamaCpp(path, embedding=model == "bert", context=512) as engine:
        for text in texts:
            found, expected = engine.tokenize(text), tokenizer.encode(text).ids
            if kind == "unigram" and found != expected:  # two cuts can be equally good
                pieces = read_vocabulary(folder).pieces
                totals = [sum(pieces[one].score for one in ids) for ids in (found, expected)]
                assert totals[0] == pytest.approx(totals[1], abs=1e-4), repr(text)
                words = ["".join(pieces[one].text for one in ids) for ids in (found, expected)]
                assert words[0] == words[1], repr(text)
            else:
                assert found == expected, repr(text)


def test_a_sentencepiece_file_alone(tmp_path: Path) -> None:
    """tokenizer.model, written here field by field, gives what tokenizer.json gave."""
    folder = make_folder("mistral", tmp_path / "hf")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    vocabulary = read_vocabulary(folder)
    data = b""
    for _, piece in sorted(vocabulary.pieces.items()):
        text = piece.text.encode()
        inner = b"\x0a" + _varint(len(text)) + text
        inner += b"\x15" + struct.pack("<f", piece.score) + b"\x18" + _varint(int(piece.kind))
        data += b"\x0a" + _varint(len(inner)) + inner
    data += b"\x12\x02\x18\x02"  # trainer: BPE
    data += b"\x1a\x04\x18\x01\x20\x00"  # normalizer: a space in front, others are kept
    (folder / "tokenizer.model").write_bytes(data)
    (folder / "tokenizer.json").unlink()
    with LlamaCpp(convert(folder, tmp_path / "m.gguf"), context=512) as engine:
        for text in TEXTS:
            assert engine.tokenize(text) == tokenizer.encode(text).ids, repr(text)


def _varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


@pytest.mark.parametrize("size", [0, 1, 5, 100, 3000])
def test_a_damaged_sentencepiece_file_is_refused(size: int, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\xff\xff\x03" + bytes(range(256)) * size)
    with pytest.raises(GGUFError, match="not a SentencePiece"):
        read_vocabulary(tmp_path)


def test_an_unknown_way_of_splitting_is_refused(tmp_path: Path) -> None:
    save_tokenizer("qwen2", tmp_path)
    path = tmp_path / "tokenizer.json"
    data = json.loads(path.read_text())
    data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\d\d|\w"
    path.write_text(json.dumps(data))
    with pytest.raises(GGUFError, match="no pre-tokenizer for this"):
        read_vocabulary(tmp_path)


@pytest.mark.parametrize("ids", ["1000000000", "-5", '"x"', "null"])
def test_hostile_ids_are_refused(ids: str, llama_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(llama_folder, tmp_path / "hf"))
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    data["added_tokens"][0]["id"] = json.loads(ids)
    path.write_text(json.dumps(data))
    with pytest.raises(GGUFError):
        convert(folder, tmp_path / "m.gguf")

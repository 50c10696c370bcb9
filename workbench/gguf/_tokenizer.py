"""A Hugging Face tokenizer in llama.cpp's words.

    tokenizer.json        llama.cpp's model   how text becomes tokens
    BPE, byte level       gpt2                merges in order, text split by a named rule
    BPE, byte fallback    llama               the pair whose union has the best score is joined
    Unigram               t5                  the best sum of scores
    WordPiece             bert                the longest match in each word
    tokenizer.model       llama               SentencePiece's own file, when it is all there is

SentencePiece's BPE has scores where tokenizer.json has merges: a token's score is minus the
place of the first merge that makes it, which orders joins as the merges do.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, SpecialVocab
from gguf import TokenType as Kind

from workbench.errors import GGUFError
from workbench.gguf._checkpoint import DAMAGE, read_json
from workbench.gguf._pretokenizers import pretokenizer_name
from workbench.gguf._sentencepiece import read_sentencepiece
from workbench.gguf._vocabulary import Piece, Vocabulary


def add_tokenizer(writer: GGUFWriter, folder: Path, rows: int) -> Vocabulary:
    """Write the vocabulary of `folder`, filled up to the `rows` of the embedding matrix."""
    vocabulary = read_vocabulary(folder)
    pieces = vocabulary.padded(rows)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list([piece.text for piece in pieces])
    writer.add_token_types([int(piece.kind) for piece in pieces])
    if vocabulary.model in {"llama", "t5"}:
        writer.add_token_scores([piece.score for piece in pieces])
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    for key, flag in vocabulary.flags.items():
        writer.add_bool(f"tokenizer.ggml.{key}", flag)
    if vocabulary.charsmap:
        writer.add_precompiled_charsmap(vocabulary.charsmap)
    _add_special(writer, folder, rows, vocabulary)
    return vocabulary


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of tokenizer.json, else of tokenizer.model."""
    if (folder / "tokenizer.json").is_file():
        tokenizer = read_json(folder / "tokenizer.json")
        try:
            return _from_json(tokenizer)
        except DAMAGE as error:
            raise GGUFError(f"{folder / 'tokenizer.json'} is damaged ({error!r}).") from error
    if (folder / "tokenizer.model").is_file():
        return read_sentencepiece(folder / "tokenizer.model")
    raise GGUFError(f"{folder} has no tokenizer.json. Call tokenizer.save_pretrained on it.")


def _from_json(tokenizer: Mapping[str, Any]) -> Vocabulary:
    kind = tokenizer["model"].get("type")
    bytewise = bool(tokenizer["model"].get("byte_fallback"))
    bpe = _sentencepiece_bpe if bytewise else _byte_level
    reader = {"BPE": bpe, "Unigram": _unigram, "WordPiece": _wordpiece}.get(kind)
    if reader is None:
        raise GGUFError(f"A tokenizer of the kind {kind!r} is not supported.")
    return reader(tokenizer)


def _pieces(tokenizer: Mapping[str, Any], vocabulary: Mapping[str, int]) -> dict[int, Piece]:
    """Tokens by id; added ones are control tokens (special) or the user's own words."""
    unknown = tokenizer["model"].get("unk_token")
    pieces = {
        int(number): Piece(text, kind=Kind.UNKNOWN if text == unknown else Kind.NORMAL)
        for text, number in vocabulary.items()
    }
    for added in tokenizer.get("added_tokens") or []:
        kind = Kind.CONTROL if added["special"] else Kind.USER_DEFINED
        if added["content"] == unknown:
            kind = Kind.UNKNOWN
        pieces[int(added["id"])] = Piece(str(added["content"]), kind=kind)
    return pieces


def _byte_level(tokenizer: Mapping[str, Any]) -> Vocabulary:
    pieces = _pieces(tokenizer, tokenizer["model"]["vocab"])
    merges = [_merge(one) for one in tokenizer["model"]["merges"]]
    return Vocabulary("gpt2", pieces, pre=pretokenizer_name(tokenizer), merges=merges)


def _merge(pair: str | list[str]) -> str:
    """`left right`; the newer form is a pair of texts."""
    return pair if isinstance(pair, str) else " ".join(pair)


def _sentencepiece_bpe(tokenizer: Mapping[str, Any]) -> Vocabulary:
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(tokenizer["model"]["merges"]):
        left, _, right = _merge(pair).partition(" ")
        ranks.setdefault(left + right, rank)
    pieces = {
        number: _scored(piece, float(-ranks.get(piece.text, len(ranks))))
        for number, piece in _pieces(tokenizer, tokenizer["model"]["vocab"]).items()
    }
    flags = {"add_space_prefix": _adds_space(tokenizer), "remove_extra_whitespaces": False}
    return Vocabulary("llama", pieces, flags=flags)


def _scored(piece: Piece, score: float) -> Piece:
    """The same with a score, and known as a byte when it looks like `<0x0A>`."""
    if piece.kind is Kind.USER_DEFINED:
        return Piece(piece.text, score, piece.kind)
    if piece.kind is not Kind.NORMAL:
        return Piece(piece.text, 0.0, piece.kind)
    is_byte = len(piece.text) == 6 and piece.text.startswith("<0x") and piece.text.endswith(">")
    return Piece(piece.text, 0.0 if is_byte else score, Kind.BYTE if is_byte else Kind.NORMAL)


def _adds_space(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a space is put before the text (the normalizer's or Metaspace's prefix)."""
    for step in _steps(tokenizer.get("normalizer"), "normalizers"):
        if step.get("type") == "Prepend":
            return True
    for step in _steps(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        if step.get("type") == "Metaspace":
            scheme = step.get("prepend_scheme")
            return bool(scheme != "never" if scheme else step.get("add_prefix_space", True))
    return False


def _steps(step: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    if not step:
        return []
    return list(step.get(inner) or []) if step.get("type") == "Sequence" else [step]


def _unigram(tokenizer: Mapping[str, Any]) -> Vocabulary:
    listed = tokenizer["model"]["vocab"]
    pieces = _pieces(tokenizer, {text: number for number, (text, _) in enumerate(listed)})
    for number, (_, score) in enumerate(listed):
        pieces[number] = _scored(pieces[number], float(score))
    unknown = tokenizer["model"].get("unk_id")
    if unknown is not None:
        pieces[unknown] = Piece(pieces[unknown].text, 0.0, Kind.UNKNOWN)
    steps = _steps(tokenizer.get("normalizer"), "normalizers")
    maps = [step["precompiled_charsmap"] for step in steps if step.get("type") == "Precompiled"]
    flags = {
        "add_space_prefix": _adds_space(tokenizer),
        "remove_extra_whitespaces": any(step.get("type") == "Replace" for step in steps),
    }
    charsmap = base64.b64decode(maps[0]) if maps and maps[0] else b""
    return Vocabulary("t5", pieces, flags=flags, charsmap=charsmap)


def _wordpiece(tokenizer: Mapping[str, Any]) -> Vocabulary:
    prefix = tokenizer["model"].get("continuing_subword_prefix", "##")
    pieces = {
        number: Piece(_phantom(piece, prefix), kind=piece.kind)
        for number, piece in _pieces(tokenizer, tokenizer["model"]["vocab"]).items()
    }
    normalizer = next(iter(_steps(tokenizer.get("normalizer"), "normalizers")), {})
    lowercase = bool(normalizer.get("lowercase", True))
    accents = normalizer.get("strip_accents")
    flags = {
        "normalizer.lowercase": lowercase,
        "normalizer.strip_accents": lowercase if accents is None else bool(accents),
    }
    return Vocabulary("bert", pieces, flags=flags)


def _phantom(piece: Piece, prefix: str) -> str:
    """llama.cpp marks a word's beginning with ▁ where WordPiece marks its other parts."""
    if piece.kind is Kind.CONTROL:
        return piece.text
    inside = piece.text.startswith(prefix)
    return piece.text[len(prefix) :] if inside else "▁" + piece.text


def _add_special(writer: GGUFWriter, folder: Path, rows: int, vocabulary: Vocabulary) -> None:
    """Ids of the special tokens, whether they surround a text, and the chat template."""
    kinds = ("bos", "eos", "unk", "sep", "pad", "mask")
    special = SpecialVocab(folder, n_vocab=rows, special_token_types=kinds)
    for name in ("bos", "eos"):
        special.add_special_token.setdefault(name, vocabulary.adds.get(name, False))
    if vocabulary.model == "bert":  # [CLS] text [SEP] is the rule there, without flags
        special.add_special_token = {}
    special.add_to_gguf(writer, quiet=True)

"""A tokenizer as the comparison asks it: tokens, what each writes, conversations as texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.errors import TrainingError

Turns = Sequence[Mapping[str, Any]]

TEXTS = (
    "The lighthouse keeper wrote in her book every evening: wind from the north, two ships, rain.",
    'def mean(values):\n    """The average."""\n    return sum(values) / len(values)\n',
    "1. Boil 250 ml of water.\n2. Add 3 spoons of rice; wait 12 min.\n\n\tServe it naïvely: ☃ 你好",
)
CHATS: tuple[Turns, ...] = (
    ({"role": "user", "content": "What is the capital of France?"},),
    (
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": "  Why is the sky blue? "},
    ),
    (
        {"role": "user", "content": "Name a colour."},
        {"role": "assistant", "content": "Green."},
        {"role": "user", "content": "Another one,\nplease."},
    ),
)
_TEXTS, _CHATS = 12, 6  # at most
_PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that are their own letters
_OTHERS = [byte for byte in range(256) if byte not in _PLAIN]
_LETTERS = {chr(byte): byte for byte in _PLAIN} | {
    chr(256 + at): byte for at, byte in enumerate(_OTHERS)
}  # of a vocabulary on bytes


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as its template writes it, up to where the answer begins."""

    turns: Turns
    written: str
    tokens: int  # with the one that begins


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer. Raises TrainingError."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise TrainingError(
            f"{folder} has no tokenizer.json. Copy the base model's tokenizer files there "
            "(tokenizer.save_pretrained writes them)."
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a damaged file provokes
        raise TrainingError(
            f"The tokenizer in {folder} cannot be read ({short(error)}). Copy its files again."
        ) from error


class Words:
    """A tokenizer, as the comparison asks it."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        begin, bare = tokenizer.bos_token_id, self.bare("a")
        whole = list(tokenizer("a")["input_ids"])
        self._begin = [begin] if whole[:1] == [begin] != bare[:1] else []
        self.begin = tokenizer.bos_token or "" if self._begin else ""
        added = tokenizer.added_tokens_decoder
        self._silent = {number for number, one in added.items() if one.special}
        special = [str(added[number]) for number in sorted(self._silent)]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")

    def bare(self, text: str) -> list[int]:
        """The tokens of a text alone."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def ids(self, text: str) -> list[int]:
        """The tokens of a text with the one that begins."""
        return self._begin + self.bare(text)

    @cached_property
    def pieces(self) -> list[str | None]:
        """What each token writes inside a text, "" for a special one; None for a part of a
        character."""
        added = self.tokenizer.added_tokens_decoder
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        of_bytes = _LETTERS if "Ġ" in self.tokenizer.get_vocab() else None
        return [
            ("" if added[at].special else str(added[at])) if at in added else _text(token, of_bytes)
            for at, token in enumerate(tokens)
        ]

    def cut(self, texts: Sequence[str], length: int) -> list[str]:
        """The first texts, each once, up to `length` tokens."""
        found = {self._beginning(text, length): None for text in texts[: 4 * _TEXTS]}
        return [text for text in found if len(self.bare(text)) > 1][:_TEXTS]

    def _beginning(self, text: str, length: int) -> str:
        text = text[: length * 64].encode("utf-8", "replace").decode()
        ends = self.ends(text)
        return text[: ends[length - 1]] if len(ends) > length else text

    def ends(self, text: str) -> list[int]:
        """Where each token of the text ends in it, in characters."""
        pairs = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [end for _, end in pairs["offset_mapping"]]

    def without_special(self, texts: Sequence[str]) -> list[str]:
        """What is between the special tokens of the texts, and long enough to tell something."""
        parts = (part for text in texts for part in self._special.split(text))
        return list(dict.fromkeys(part for part in parts if len(self.bare(part)) > 2)) or [TEXTS[0]]

    def chats(self, conversations: Sequence[Turns], folder: Path) -> Iterator[Chat]:
        """The conversations that the template can write; ours, then the given ones."""
        if not self.tokenizer.chat_template:
            return
        asked = [*CHATS, *(without_answer(one) for one in conversations)]
        refused, written = "", 0
        for turns in asked[: len(CHATS) + _CHATS]:
            if not turns:
                continue
            try:
                text = self.tokenizer.apply_chat_template(
                    list(turns), tokenize=False, add_generation_prompt=True
                )
            except Exception as error:  # whatever a template does, like refusing a role
                refused = short(error)
                continue
            written += 1
            text = text.removeprefix(self.begin)
            yield Chat(turns, text, len(self.ids(text)))
        if not written:
            raise TrainingError(
                f"The chat template in {folder} cannot write a plain question ({refused}). "
                "Take the base model's."
            )


def without_answer(turns: Turns) -> Turns:
    """The conversation up to its last question."""
    kept = list(turns)
    while kept and kept[-1].get("role") == "assistant":
        kept.pop()
    return kept


def _text(token: str | None, letters: Mapping[str, int] | None) -> str | None:
    """What a token of a vocabulary writes: of bytes as letters, else of SentencePiece's kind."""
    if token is None:
        return None
    byte = re.fullmatch("<0x([0-9A-F]{2})>", token)
    try:
        if letters is not None:
            return bytes(letters[letter] for letter in token).decode()
        return bytes([int(byte[1], 16)]).decode() if byte else token.replace("▁", " ")
    except (KeyError, UnicodeDecodeError):
        return None


def short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

"""Tokens as llama.cpp keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gguf import TokenType as Kind

from workbench.errors import GGUFError


@dataclass(frozen=True, slots=True)
class Piece:
    """One token; `kind` is gguf's TokenType: normal, control, byte, …"""

    text: str
    score: float = 0.0
    kind: Kind = Kind.NORMAL


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All tokens by id and how text is cut; `adds`: "bos", "eos" when they surround a text."""

    model: str
    pieces: Mapping[int, Piece]
    pre: str = "default"
    merges: list[str] = field(default_factory=list)
    flags: Mapping[str, bool] = field(default_factory=dict)
    adds: Mapping[str, bool] = field(default_factory=dict)
    charsmap: bytes = b""

    @property
    def texts(self) -> set[str]:
        """All tokens' texts."""
        return {piece.text for piece in self.pieces.values()}

    def padded(self, rows: int) -> list[Piece]:
        """Tokens 0 to `rows`, unused ones in the gaps; GGUFError when there are more."""
        if not self.pieces or min(self.pieces) < 0 or max(self.pieces) >= rows:
            raise GGUFError(
                f"The tokenizer has a token {max(self.pieces, default=0)}, but the model's "
                f"embedding has {rows} rows. Call model.resize_token_embeddings and save again."
            )
        return [
            self.pieces.get(number, Piece(f"[PAD{number}]", kind=Kind.UNUSED))
            for number in range(rows)
        ]

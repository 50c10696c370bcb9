"""Token rows for training: two streams, each shuffled anew every epoch, drawn by counting.

Texts are written one after the other and cut into rows of the context's length, so nothing is
padded. Which row comes next follows from the seed and from how many were drawn, nothing else: a
run that was cut goes on with exactly the rows that it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Tokens = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows of `context` + 1 tokens: the last one is only predicted, never an input."""

    rows: np.ndarray  # (rows, context + 1), int32
    seed: tuple[int, ...]

    @classmethod
    def pack(cls, texts: Tokens, context: int, seed: tuple[int, ...]) -> Stream:
        """The texts in a row, cut; a corpus shorter than one row is repeated to fill it."""
        import numpy as np

        flat = np.concatenate([np.asarray(text, np.int32) for text in texts])
        if len(flat) < context + 1:
            flat = np.tile(flat, (context + 1) // len(flat) + 1)
        return cls.of(flat, context, seed)

    @classmethod
    def of(cls, flat: np.ndarray, context: int, seed: tuple[int, ...]) -> Stream:
        """The tokens of a text cut into rows, nothing copied."""
        import numpy as np

        return cls(np.lib.stride_tricks.sliding_window_view(flat, context + 1)[::context], seed)

    def draw(self, drawn: int, count: int) -> list[np.ndarray]:
        """Rows number `drawn` to `drawn + count` of the endless shuffled sequence."""
        return [self._row(number) for number in range(drawn, drawn + count)]

    def _row(self, number: int) -> np.ndarray:
        import numpy as np

        epoch, place = divmod(number, len(self.rows))
        return np.asarray(self.rows[_order(self.seed, epoch, len(self.rows))[place]])


@lru_cache(maxsize=4)
def _order(seed: tuple[int, ...], epoch: int, count: int) -> np.ndarray:
    """The rows' order in an epoch."""
    import numpy as np

    return np.random.default_rng((*seed, epoch)).permutation(count)


def tensor(rows: Sequence[np.ndarray]) -> Tensor:
    """The rows as int64, the type that embeddings and losses take."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack(rows).astype(np.int64))

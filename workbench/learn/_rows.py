"""Rows of tokens in the order in which they are learnt.

Which row comes next follows from the seed and from how many came before, nothing else, so a
training that was cut goes on with exactly the rows that it would have had. Packed rows hold
several sequences; positions begin anew with each, by which the attention keeps them apart.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.learn._encode import Encoded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_POOL = 64  # batches among which rows of like length are put together
IGNORED = -100  # a target that is not learnt
# Rows of a batch end at a multiple: for each new shape bf16's multiplications on a processor are
# prepared anew, which takes longer than the step itself, and kept, which takes memory.
_MULTIPLE = 32


@dataclass
class Rows:
    """`total` rows for training, drawn from `rows` (numbers of sequences) epoch after epoch."""

    encoded: Encoded
    rows: list[list[int]]
    batch: int = 1
    seed: int = 0
    total: int = 0
    packed: bool = False
    order: tuple[int, Any] = field(default=(-1, None), repr=False)

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, number: int) -> list[np.ndarray]:
        epoch, place = divmod(number, len(self.rows))
        if self.order[0] != epoch or self.order[1] is None:
            self.order = epoch, self.drawn(epoch)
        return self.row(int(self.order[1][place]))

    def row(self, number: int) -> list[np.ndarray]:
        """Ids (int32), targets (int64) and positions of one row."""
        import numpy as np

        parts = [self._sequence(one) for one in self.rows[number]]
        return [np.concatenate(one) for one in zip(*parts, strict=True)]

    def _sequence(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One sequence; its last token predicts nothing."""
        import numpy as np

        start, end = self.encoded.starts[number : number + 2]
        ids, learnt = self.encoded.ids[start:end], self.encoded.learnt[start:end]
        targets = np.full(len(ids), IGNORED, np.int64)
        targets[:-1] = np.where(learnt[1:], ids[1:], IGNORED)
        return ids, targets, np.arange(len(ids))

    def drawn(self, epoch: int) -> np.ndarray:
        """The order of one epoch. Rows that are not packed come with others of like length, which
        saves padding."""
        import numpy as np

        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self.rows))
        if self.packed or self.batch == 1:
            return order
        lengths = self.encoded.lengths[[row[0] for row in self.rows]]
        pools = np.split(order, range(_POOL * self.batch, len(order), _POOL * self.batch))
        alike = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        batches = np.split(alike, range(self.batch, len(alike), self.batch))
        return np.concatenate([batches[n] for n in random.permutation(len(batches))])


def pack(encoded: Encoded, context: int) -> list[list[int]]:
    """Sequences together in rows of at most `context` tokens: the longest first, each into the
    fullest row that has room for it."""
    import numpy as np

    lengths = encoded.lengths.tolist()
    rows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # the keys of `by_room`, in order
    for number in np.argsort(-encoded.lengths, kind="stable").tolist():
        need = lengths[number]
        place = bisect_left(rooms, need)
        if place == len(rooms):
            rows.append([])
            row, room = len(rows) - 1, context
        else:
            room = rooms[place]
            row = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[place]
        rows[row].append(number)
        left = room - need
        if left not in by_room:
            by_room[left] = []
            insort(rooms, left)
        by_room[left].append(row)
    return rows


def collate(rows: list[list[np.ndarray]]) -> dict[str, Any]:
    """A batch: `input_ids` and `labels` (rows, longest), `position_ids` where a row holds several
    sequences, and `tokens`, the number of those that are no padding.

    There is no attention mask: padding comes last, where no token looks at it.
    """
    import numpy as np
    import torch

    longest = -(-max(len(ids) for ids, _, _ in rows) // _MULTIPLE) * _MULTIPLE
    batch = [np.zeros((len(rows), longest), np.int64) for _ in range(3)]
    batch[1].fill(IGNORED)
    for n, row in enumerate(rows):
        for into, values in zip(batch, row, strict=True):
            into[n, : len(values)] = values
    ids, labels, positions = (torch.from_numpy(one) for one in batch)
    found: dict[str, Tensor] = {"input_ids": ids, "labels": labels}
    if any((row[2][1:] == 0).any() for row in rows):
        found["position_ids"] = positions
    found["tokens"] = torch.tensor(sum(len(row[0]) for row in rows))
    return found

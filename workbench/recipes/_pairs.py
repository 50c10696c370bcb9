"""Pairs of a better and a worse answer as token ids, and as batches of TRL's `DPOTrainer`.

What counts of an answer are the tokens of the characters that `examples.render` marks, as in
fine-tuning; TRL's own preparation would write conversations by its own reading of the template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, TrainingError
from workbench.examples import Example, Rendered, Template, render
from workbench.learn import Counts, Encoder

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerFast

Side = tuple["np.ndarray", "np.ndarray"]  # ids (int32), and which of them count (bool)
Pair = tuple[Side, Side]  # the better and the worse answer to one question
_SAME = "both answers are the same as far as the context reaches."
_CUT = "nothing of an answer is left in {} tokens; a longer context would hold it."


@dataclass
class Pairs:
    """Pairs in the order of the dataset. `reference` has their log-probabilities by the base model
    in nats, (pairs, 2), when these are known."""

    pairs: list[Pair]
    counts: Counts
    reference: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def lengths(self) -> list[int]:
        """Tokens of the longer side of each."""
        return [max(len(ids) for ids, _counts in pair) for pair in self.pairs]

    def order(self, total: int, seed: int) -> list[int]:
        """The numbers of `total` pairs, epoch after epoch, each in an order of its own."""
        import numpy as np

        epochs = range(-(-total // len(self)))
        drawn = [np.random.default_rng((seed, epoch)).permutation(len(self)) for epoch in epochs]
        found: list[int] = np.concatenate(drawn)[:total].tolist()
        return found

    def batch(self, numbers: Sequence[int]) -> dict[str, Any]:
        """What `DPOTrainer` takes: `input_ids`, `attention_mask`, `completion_mask` (2 n, longest),
        the better answers first; `ref_chosen_logps` and `ref_rejected_logps` (n) where known."""
        import numpy as np
        import torch

        sides = [self.pairs[number][side] for side in (0, 1) for number in numbers]
        longest = max(len(ids) for ids, _counts in sides)
        ids, mask, answer = (np.zeros((len(sides), longest), np.int64) for _ in range(3))
        for n, (tokens, counts) in enumerate(sides):
            ids[n, : len(tokens)] = tokens
            mask[n, : len(tokens)] = 1
            answer[n, : len(tokens)] = counts
        found = {"input_ids": ids, "attention_mask": mask, "completion_mask": answer}
        batch = {name: torch.from_numpy(values) for name, values in found.items()}
        if self.reference is not None:
            told = torch.from_numpy(self.reference[list(numbers)])
            batch |= {"ref_chosen_logps": told[:, 0], "ref_rejected_logps": told[:, 1]}
        return batch

    def collate(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        """A batch of the rows of the Trainer's dataset, which hold numbers of pairs."""
        return self.batch([row["pair"] for row in rows])


def encode_pairs(
    examples: Iterable[Example],
    tokenizer: PreTrainedTokenizerFast,
    template: Template,
    context: int,
    *,
    between: Callable[[], None] = lambda: None,
) -> Pairs:
    """Pairs of at most `context` tokens a side; `between` is called from time to time.

    Raises TrainingError when nothing is left to learn.
    """
    counts, why = Counts(), Counter[str]()
    encoder = Encoder(tokenizer, template, context)
    pairs: list[Pair] = []
    for number, example in enumerate(examples):
        if number % 64 == 0:
            between()
        counts.examples += 1
        try:
            pair, cut = _encoded(render(example, template), encoder)
        except DataError as error:
            why[str(error)] += 1
            continue
        counts.truncated += cut
        pairs.append(pair)
    if not pairs:
        said = max(why, key=lambda one: why[one], default="there is no example.")
        raise TrainingError(
            f"There is nothing to learn from: {said} Look at the dataset with "
            "`workbench data show`, or choose another one."
        )
    counts.dropped, counts.why = why.total(), dict(why.most_common(5))
    sides = [side for pair in pairs for side in pair]
    counts.tokens = sum(len(ids) for ids, _counts in sides)
    counts.learnt = sum(int(which.sum()) for _ids, which in sides)
    return Pairs(pairs, counts)


def _encoded(text: Rendered, encoder: Encoder) -> tuple[Pair, bool]:
    """A pair, and whether something was cut. Raises DataError where nothing is left of it."""
    assert text.other is not None, "the example is a preference"
    whole = [
        encoder._masked(one, encoder.inner.encode(one.text, add_special_tokens=False))
        for one in (text, text.other)
    ]
    sides = [(ids[: encoder.context], counts[: encoder.context]) for ids, counts in whole]
    if not all(counts[1:].any() for _ids, counts in sides):
        raise DataError(_CUT.format(encoder.context))
    if sides[0][0].tolist() == sides[1][0].tolist():
        raise DataError(_SAME)
    return (sides[0], sides[1]), any(len(ids) > encoder.context for ids, _counts in whole)

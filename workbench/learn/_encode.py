"""Examples as token ids, with which of them are learnt.

What is learnt are the characters that `examples.render` marks, the ones that the Data panel shows.
A token is learnt when one of its characters is: a tokenizer may join the last character of a
question with the first of its answer. Texts that are too long go on in the next row; anything else
is cut at the end, and left out when nothing of its answer is left.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, TrainingError
from workbench.examples import Example, Rendered, Template, render, template_of

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerFast

_BATCH = 256  # examples that are encoded at once
# for a base model without a template: a turn ends with the token that ends its texts
_TURNS = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass
class Counts:
    """What became of the examples. Tokens as they are read, `learnt` of them predicted."""

    examples: int = 0
    tokens: int = 0
    learnt: int = 0
    truncated: int = 0  # examples whose end was cut off
    dropped: int = 0
    why: dict[str, int] = field(default_factory=dict)  # of those that were dropped

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Sequences one after the other: number n is `ids[starts[n]:starts[n + 1]]`."""

    ids: np.ndarray  # int32
    learnt: np.ndarray  # bool, a token for each of `ids`
    starts: np.ndarray  # int64, one more than there are sequences
    counts: Counts

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence."""
        import numpy as np

        return np.diff(self.starts)


def tokenizer_of(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a Hugging Face folder, whose code is not run. Raises TrainingError."""
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        inner = found.backend_tokenizer
        inner.no_truncation()
        inner.no_padding()
    except Exception as error:  # of every kind, and with long advice
        why = str(error).strip().partition("\n")[0][:200]
        raise TrainingError(
            f"No tokenizer can be read in {folder} ({why}). Copy the model's folder again, with "
            "its tokenizer.json."
        ) from None
    return found


def template_for(folder: Path, tokenizer: PreTrainedTokenizerFast) -> Template:
    """The chat template of a base model; where it has none, one is given to it that ends turns
    as its texts end, so that the model stops where it was taught to."""
    found = template_of(folder)
    if tokenizer.chat_template:
        return found
    if "<|im_end|>" in tokenizer.get_vocab() or not tokenizer.eos_token:
        tokenizer.chat_template = found.text
        return found
    tokenizer.chat_template = _TURNS
    note = f"This model has no chat template: turns are written with {tokenizer.eos_token!r}."
    return Template(found.name, _TURNS, found.end, found.gap, (note,), found.special)


def encode(
    examples: Iterable[Example],
    tokenizer: PreTrainedTokenizerFast,
    template: Template,
    context: int,
    *,
    between: Callable[[], None] = lambda: None,
) -> Encoded:
    """Sequences of at most `context` tokens; `between` is called from time to time.

    Raises TrainingError when nothing is left to learn.
    """
    import numpy as np

    encoder = Encoder(tokenizer, template, context)
    # bytes that grow in place: nothing is held but what comes of the examples
    ids, learnt, ends = bytearray(), bytearray(), array("q", [0])
    left = iter(examples)
    while batch := list(islice(left, _BATCH)):
        between()
        for tokens, mask in encoder.encode(batch):
            ids += tokens.tobytes()
            learnt += mask.tobytes()
            ends.append(len(learnt))
    if not ids:
        why = max(encoder.why, key=lambda one: encoder.why[one], default="there is no example.")
        raise TrainingError(
            f"There is nothing to learn from: {why} Look at the dataset with "
            "`workbench data show`, or choose another one."
        )
    counts = encoder.counts
    masks, starts = np.frombuffer(learnt, bool), np.frombuffer(ends, np.int64)
    counts.tokens, counts.learnt = len(masks), int(masks.sum())
    counts.dropped, counts.why = encoder.why.total(), dict(encoder.why.most_common(5))
    return Encoded(np.frombuffer(ids, np.int32), masks, starts, counts)


class Encoder:
    """Renders and tokenizes, and counts what it leaves out."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, template: Template, context: int
    ) -> None:
        self.inner, self.template, self.context = tokenizer.backend_tokenizer, template, context
        self.counts, self.why = Counts(), Counter[str]()
        first = self.inner.encode("").ids[:1]
        self.begin = first if first == [tokenizer.bos_token_id] else []

    def encode(self, batch: list[Example]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The sequences of a few examples."""
        rendered = [(one.form, text) for one in batch if (text := self._render(one)) is not None]
        encodings = self.inner.encode_batch([t.text for _, t in rendered], add_special_tokens=False)
        for (form, text), encoding in zip(rendered, encodings, strict=True):
            self.counts.examples += 1
            tokens, mask = self._masked(text, encoding)
            yield from self._cut(tokens, mask, form == "text")

    def _render(self, example: Example) -> Rendered | None:
        try:
            return render(example, self.template)
        except DataError as error:
            self.counts.examples += 1
            self.why[str(error)] += 1
            return None

    def _masked(self, text: Rendered, encoding: Any) -> tuple[np.ndarray, np.ndarray]:
        """Token ids, and which are learnt; the token that begins texts is not."""
        import numpy as np

        ids = np.asarray(encoding.ids, np.int32)
        if text.spans == ((0, len(text.text)),):
            mask = np.ones(len(ids), bool)
        else:
            characters = np.zeros(len(text.text) + 1, np.int32)
            for start, end in text.spans:
                characters[start + 1 : end + 1] = 1
            before = np.cumsum(characters)  # learnt characters before each place
            offsets = np.asarray(encoding.offsets, np.int64).reshape(-1, 2)
            mask = before[offsets[:, 1]] > before[offsets[:, 0]]
        if self.begin and encoding.ids[:1] != self.begin:
            ids = np.concatenate([np.asarray(self.begin, np.int32), ids])
            mask = np.concatenate([[False], mask])
        return ids, mask

    def _cut(
        self, ids: np.ndarray, mask: np.ndarray, whole: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Sequences that fit; the first token of each is read, never predicted."""
        size = self.context
        if whole:  # the last token of a piece is the first of the next
            for start in range(0, max(1, len(ids) - 1), size - 1):
                yield from self._checked(ids[start : start + size], mask[start : start + size])
            return
        self.counts.truncated += len(ids) > size
        yield from self._checked(ids[:size], mask[:size])

    def _checked(
        self, ids: np.ndarray, mask: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if mask[1:].any():
            yield ids, mask
            return
        long = len(ids) == self.context
        self.why[
            f"the first {self.context} tokens hold nothing of an answer; a longer context would."
            if long
            else "no answer could be found in it."
        ] += 1

"""What a base model reads: the examples of a dataset as tokens, kept as files beside the run.

| form         | becomes                                                              |
|--------------|----------------------------------------------------------------------|
| text         | the text between its begin and its end                               |
| conversation | turns in ChatML                                                      |
| completion   | prompt and completion, one after the other                           |
| preference   | the same with the better answer; in ChatML where they are messages   |
| gap          | before, after and middle, between their tokens                       |

A token's name in somebody's text ("<|im_end|>") is plain text: nobody ends a turn by writing it.
Held out is the split `validation`; without one, a twentieth of the examples, chosen by hash and
seed, or of a few long texts their last twentieth. The split `test` is not read at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.data import Dataset
from workbench.data import examples as examples_of
from workbench.errors import TrainingError
from workbench.examples import Example
from workbench.pretrain._dial import BaseSettings
from workbench.pretrain._rows import Stream
from workbench.pretrain._tokenizer import (
    BEGIN,
    END,
    MIDDLE,
    PREFIX,
    SPECIAL,
    SUFFIX,
    TURN,
    TURN_END,
    train_tokenizer,
)
from workbench.work import writing

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from workbench.jobs import JobContext

LEAST_CHARACTERS = 10_000
_SEEN = 100  # characters of text for each token of the vocabulary: what is rare is not learnt
_SMALLEST = 512  # tokens of a vocabulary
_SAMPLE = 32_000_000  # characters that a vocabulary is learnt from
_FEW = 40  # examples: fewer are cut at their end instead of being held out whole
_SHARE = 20  # one in so many is held out
HELD_OUT = 1 / _SHARE  # where the dataset has no such part
_TOGETHER = 4_000_000  # characters that are encoded at a time

Parts = list[int | str]  # ids of special tokens, and plain texts


@dataclass(frozen=True, slots=True)
class Reading:
    """A dataset as its own tokenizer writes it."""

    tokenizer: Tokenizer
    learnt: np.ndarray  # (tokens,), int32, one text after the other
    held_out: np.ndarray

    def streams(self, settings: BaseSettings) -> tuple[Stream, Stream]:
        """Rows to learn from and rows to be examined on; never longer than there are tokens."""
        return tuple(  # type: ignore[return-value]
            Stream.of(flat, min(settings.context, len(flat) - 1), (settings.seed, number))
            for number, flat in enumerate((self.learnt, self.held_out))
        )


def check_dataset(dataset: Dataset) -> None:
    """Raise TrainingError for a dataset that is too small to learn a language from."""
    if dataset.characters < LEAST_CHARACTERS:
        raise TrainingError(
            f"{dataset.label} has {dataset.characters:,} characters; a model from nothing needs "
            f"at least {LEAST_CHARACTERS:,}, and a useful one millions. Gather more documents, or "
            "fine-tune a model that can read already."
        )


def read_dataset(
    job: JobContext, dataset: Dataset, settings: BaseSettings, folder: Path
) -> Reading:
    """The dataset's tokens, from the files in `folder` where they were written before.

    Raises TrainingError for a dataset that is too small and a disk that refuses, DataError for a
    damaged one.
    """
    from tokenizers import Tokenizer

    check_dataset(dataset)
    vocabulary, paths = folder / "tokenizer.json", (folder / "learnt.bin", folder / "held_out.bin")
    if not vocabulary.is_file():
        job.progress(0.0, "Learning a vocabulary")
        tokenizer = train_tokenizer(
            _sample(dataset, settings.seed), vocabulary_size(dataset, settings)
        )
        with writing(vocabulary):
            unfinished = vocabulary.with_suffix(".part")
            tokenizer.save(str(unfinished))
            unfinished.replace(vocabulary)
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.encode_special_tokens = True  # those in somebody's text are text
    if not all(path.is_file() for path in paths):
        _write(job, dataset, settings.seed, tokenizer, paths)
    return Reading(tokenizer, *_arrays(paths))


def vocabulary_size(dataset: Dataset, settings: BaseSettings) -> int:
    """How many tokens there are to be: as set, less where the text is too short for them."""
    return min(settings.vocab_size, max(_SMALLEST, dataset.characters // _SEEN))


def _sample(dataset: Dataset, seed: int) -> Iterator[str]:
    """Texts to learn a vocabulary from, evenly over the dataset where it is large."""
    every = -(-dataset.characters // _SAMPLE)
    for number, (example, held_out) in enumerate(_sides(dataset, seed)):
        if number % every == 0 and not held_out:
            yield from (part for part in parts(example) if isinstance(part, str))


def _sides(dataset: Dataset, seed: int) -> Iterator[tuple[Example, bool]]:
    """Each example that is read, and whether it is held out."""
    for example in examples_of(dataset, "train"):
        yield example, _drawn(dataset, example, seed)
    if "validation" in dataset.splits:
        for example in examples_of(dataset, "validation"):
            yield example, True


def _drawn(dataset: Dataset, example: Example, seed: int) -> bool:
    if "validation" in dataset.splits or dataset.splits["train"] < _FEW:
        return False
    lot = hashlib.sha256(f"{seed} {example.digest}".encode()).digest()
    return int.from_bytes(lot[:4], "big") % _SHARE == 0


def _write(
    job: JobContext, dataset: Dataset, seed: int, tokenizer: Tokenizer, paths: Sequence[Path]
) -> None:
    """The tokens of both sides into files, all or nothing."""
    unfinished = [path.with_suffix(".part") for path in paths]
    done = 0
    with writing(paths[0]), unfinished[0].open("wb") as learnt, unfinished[1].open("wb") as held:
        for batch in _batches(_sides(dataset, seed)):
            job.check_cancelled()
            for side, file in ((False, learnt), (True, held)):
                encode(tokenizer, [parts(one) for one, out in batch if out is side]).tofile(file)
            done += len(batch)
            job.progress(done / dataset.examples, f"Turning {done:,} examples into tokens")
    for path, part in zip(paths, unfinished, strict=True):
        part.replace(path)


def _batches(found: Iterator[tuple[Example, bool]]) -> Iterator[list[tuple[Example, bool]]]:
    batch: list[tuple[Example, bool]] = []
    characters = 0
    for example, held_out in found:
        batch.append((example, held_out))
        characters += sum(len(part) for part in parts(example) if isinstance(part, str))
        if characters >= _TOGETHER:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _arrays(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Both sides' tokens, read from the disk as they are needed."""
    import numpy as np

    learnt, held_out = (
        np.memmap(path, np.int32, mode="r") if path.stat().st_size else np.zeros(0, np.int32)
        for path in paths
    )
    if len(held_out) < 2:  # a few long texts
        border = len(learnt) - max(2, len(learnt) // _SHARE)
        learnt, held_out = learnt[:border], learnt[border:]
    return learnt, held_out


def encode(tokenizer: Tokenizer, found: Sequence[Parts]) -> np.ndarray:
    """The tokens of all, one after the other, int32."""
    import numpy as np

    words = [part for one in found for part in one if isinstance(part, str)]
    encoded = iter(tokenizer.encode_batch_fast(words, add_special_tokens=False))
    ids: list[int] = []
    for part in (part for one in found for part in one):
        ids.extend(next(encoded).ids if isinstance(part, str) else (part,))
    return np.asarray(ids, np.int32)


def parts(example: Example) -> Parts:
    """An example between its begin and its end: what `examples.render` writes of it."""
    fields = example.fields
    asked, answer = fields.get("prompt"), fields.get("completion", fields.get("chosen"))
    if example.form == "text":
        inside: Parts = [fields["text"]]
    elif example.form == "gap":
        inside = [_ID[PREFIX], fields["prefix"], _ID[SUFFIX], fields["suffix"]]
        inside += [_ID[MIDDLE], fields["middle"]]
    elif isinstance(asked, str) and isinstance(answer, str):
        inside = [asked + answer]
    else:
        inside = []
        for turn in fields.get("messages") or [
            *_turns(asked, "user"),
            *_turns(answer, "assistant"),
        ]:
            role, content = turn.get("role") or "user", turn.get("content") or ""
            inside += [_ID[TURN], f"{role}\n{content}", _ID[TURN_END], "\n"]
    return [_ID[BEGIN], *inside, _ID[END]]


def _turns(said: Any, role: str) -> Sequence[Mapping[str, Any]]:
    return [{"role": role, "content": said}] if isinstance(said, str) else said or []


_ID = {token: number for number, token in enumerate(SPECIAL)}

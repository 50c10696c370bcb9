"""Whether a dataset, or a file that may become one, can be learnt from: findings and a verdict.

One pass reads; what is the same as what is decided at its end from 8-byte hashes (`_seen`).
Texts are compared as they are for duplicates, and without case, spaces and punctuation at their
ends for contradictions and for what is in two splits at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from workbench.data import _quality as quality
from workbench.data._checks import check, sides_of, texts_of
from workbench.data._keep import verify
from workbench.data._quality import Part
from workbench.data._records import Dataset
from workbench.data._seen import Place, Seen, key, loose_key
from workbench.errors import DataError
from workbench.examples import Example, Finding, Findings, read_rows, shape_of, to_examples

Count = Callable[[Sequence[str]], Sequence[int]]
Tell = Callable[[float | None, str], None]
_BATCH, _BATCH_CHARACTERS = 256, 4 << 20
_MOST_CLASSES, _LABEL = 50, 40  # characters of an answer that may be a class


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found. `score` is nothing without its `parts`."""

    source: str
    form: str
    rows: int
    examples: int
    verdict: Literal["ok", "warnings", "refused"]
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    score: float
    parts: tuple[Part, ...]
    lengths: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def validate(
    source: Dataset | str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    format: str = "auto",
    context_length: int | None = None,
    count: Count | None = None,
    others: Sequence[Dataset | str | Path] = (),
    tell: Tell = lambda fraction, words: None,
) -> Validation:
    """Read all of it and judge it. Raises DataError where nothing can be read or mapped.

    `count` gives the tokens of texts, by the model's own tokenizer; without it, a token is taken
    for 4 characters, and the lengths say so. `others` are datasets whose prompts must not be in
    this one, such as those it is evaluated with.
    """
    work = _Work(context_length, count)
    for other in others:
        for path, stream in _streams(other):
            work.files.append(str(path))
            for _line, one in stream:
                if isinstance(one, Example):
                    work.know(one)
    known = len(work.files)
    for path, stream in _streams(source, columns, form, format):
        work.files.append(str(path))
        for line, one in stream:
            if work.rows % 1000 == 0:
                tell(None, f"{work.rows:,} rows of {path.name}")
            work.take(line, one)
    if isinstance(source, Dataset):
        for sentence in verify(source):
            files = (str(source.folder / name) for name in source.files)
            file = next((one for one in files if sentence.startswith(one)), "")
            work.findings.add(Finding("changed", "error", sentence, file))
    name = source.label if isinstance(source, Dataset) else str(source)
    return work.end(name, known)


class _Work:
    """One pass over the examples."""

    def __init__(self, context_length: int | None, count: Count | None) -> None:
        self.context_length, self.count = context_length, count
        self.findings, self.seen = Findings(), Seen()
        self.files: list[str] = []
        self.rows = self.examples = self.held_out = 0
        self.form = ""
        self.longest = self.total = 0
        self.labels: Counter[str] = Counter()
        self.answers: Counter[str] | None = Counter()
        self._waiting: list[tuple[int, str, str]] = []  # line, file, text: to be counted
        self._characters = 0

    def know(self, example: Example) -> None:
        """Of another dataset: what it asks."""
        if not any(code == "format" for code, _ in check(example)):
            prompt = loose_key(sides_of(example)[0])
            self.seen.add(0, prompt, 0, Place(len(self.files) - 1, 0))

    def take(self, line: int, one: Example | Finding) -> None:
        if isinstance(one, Finding):
            self.rows += one.code not in {"bytes", "guessed"}  # these rows come as well
            self.findings.add(one)
            return
        self.rows += 1
        file = self.files[-1]
        for code, message in check(one):
            self.findings.add(Finding(code, "note", message, file, line))
            if code == "format":
                return
        self.examples += 1
        self.form = one.form
        asked, answered = sides_of(one)
        self._class(one, answered)
        place = Place(len(self.files) - 1, line)
        self.seen.add(key(one.canonical()), loose_key(asked), loose_key(answered), place)
        self._length(line, file, one)

    def _class(self, example: Example, answered: str) -> None:
        label = example.about.get("label")
        if label is not None and len(self.labels) <= _MOST_CLASSES:
            self.labels[str(label)[:_LABEL]] += 1
        if self.answers is not None and example.form == "completion":
            self.answers[answered.strip()[:_LABEL]] += 1
            if len(answered) > _LABEL or len(self.answers) > _MOST_CLASSES:
                self.answers = None

    def _length(self, line: int, file: str, example: Example) -> None:
        fields = dict(example.fields)
        if example.form == "preference":  # each answer is read with the prompt, not with the other
            both = ("".join(texts_of(fields.pop(name))) for name in ("chosen", "rejected"))
            fields["answer"] = max(both, key=len)
        text = "\n".join(texts_of(fields))
        self._waiting.append((line, file, text))
        self._characters += len(text)
        if len(self._waiting) >= _BATCH or self._characters >= _BATCH_CHARACTERS:
            self._measure()

    def _measure(self) -> None:
        texts = [text for _line, _file, text in self._waiting]
        lengths = list(self.count(texts)) if self.count else [-(-len(t) // 4) for t in texts]
        if len(lengths) != len(texts):
            raise DataError(f"The tokenizer gave {len(lengths)} lengths for {len(texts)} texts.")
        for (line, file, _text), length in zip(self._waiting, lengths, strict=True):
            self.longest, self.total = max(self.longest, length), self.total + length
            if self.context_length is not None and length > self.context_length:
                about = "" if self.count else "about "
                message = (
                    f"An example of {about}{length:,} tokens does not fit into a context of "
                    f"{self.context_length:,}: it would be cut."
                )
                self.findings.add(Finding("too-long", "note", message, file, line))
        self._waiting, self._characters = [], 0

    def end(self, source: str, known: int) -> Validation:
        self._measure()
        self._compare(known)
        classes = self._classes()
        bases = self._bases(known)
        counts = self.findings.counts()
        parts = [*quality.share_parts(counts, bases), quality.enough(self.examples)]
        if classes:
            parts.append(quality.balanced(classes))
        held_out = bases.get("separate", self.rows)
        found = [
            replace(one, severity=quality.judged(
                one.code, counts[one.code], held_out if one.code == "leak" else self.rows))
            for one in self.findings
        ] + list(_sizes(self.examples, classes))  # fmt: skip
        order = ("error", "warning", "note")
        found.sort(key=lambda one: (order.index(one.severity), -one.count))
        verdict, reasons = quality.verdict(found)
        return Validation(
            source, self.form, self.rows, self.examples, verdict, reasons,  # type: ignore[arg-type]
            tuple(found), quality.score(parts), tuple(parts), self._lengths(), classes,
        )  # fmt: skip

    def _compare(self, known: int) -> None:
        told = (
            ("duplicate", self.seen.repeated(), "An example that is there before, word for word."),
            (
                "contradiction",
                self.seen.contradicting(known),
                "The same prompt has another answer.",
            ),
            ("leak", self.seen.shared(), "The prompt is in another split or dataset as well."),
        )
        for code, places, message in told:
            for place in places:
                if place.part >= known:
                    file = self.files[place.part]
                    self.findings.add(Finding(code, "note", message, file, place.line))

    def _bases(self, known: int) -> dict[str, int]:
        """How many rows each part of the score is about; only parts that apply."""
        parts = Counter(self.seen.parts)
        bases = {"readable": self.rows, "filled": self.rows, "encoding": self.rows}
        bases |= dict.fromkeys(("unique", "consistent", "clean"), self.examples)
        if self.form == "conversation":
            bases["roles"] = self.examples
        if self.context_length is not None:
            bases["fitting"] = self.examples
        if len(self.files) > 1:
            bases["separate"] = sum(n for part, n in parts.items() if part >= max(1, known))
        return bases

    def _classes(self) -> dict[str, int]:
        """Labels, or short answers where these are few; empty where there are no classes."""
        for found, least in ((self.labels, 1), (self.answers or Counter(), 2)):
            enough = sum(found.values()) >= max(self.examples / 2, 5 * len(found))
            if found and least <= len(found) <= _MOST_CLASSES and enough:
                return dict(found.most_common())
        return {}

    def _lengths(self) -> dict[str, Any]:
        unit = "tokens" if self.count else "tokens, estimated as characters / 4"
        return {
            "unit": unit, "estimated": self.count is None, "longest": self.longest,
            "mean": round(self.total / max(1, self.examples), 1),
            "over": self.findings.counts().get("too-long", 0),
            "context_length": self.context_length,
        }  # fmt: skip


def _sizes(examples: int, classes: Mapping[str, int]) -> Iterator[Finding]:
    """What is wrong with the whole: too little of it, or of a class."""
    if examples < quality.FEW:
        severity: Any = "error" if examples < quality.TOO_FEW else "warning"
        yield Finding("few", severity, f"There are only {examples} examples.")
    if not classes:
        return
    most, least = max(classes, key=classes.__getitem__), min(classes, key=classes.__getitem__)
    if len(classes) == 1:
        yield Finding("balance", "warning", f"All examples have the one label {most!r}.")
    elif classes[most] >= 10 * classes[least]:
        message = f"{most!r} is there {classes[most]:,} times, {least!r} {classes[least]:,} times."
        yield Finding("balance", "warning", message)


def _streams(
    source: Dataset | str | Path,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    format: str = "auto",
) -> Iterator[tuple[Path, Iterator[tuple[int, Example | Finding]]]]:
    """Each file with its examples and their lines."""
    if isinstance(source, Dataset):
        for split in source.splits:
            if source.path(split).is_file():  # what is missing, `verify` tells
                yield source.path(split), _kept(source, source.path(split))
        return
    path = Path(source).expanduser()
    shape_of(path, columns, form, format=format)  # raises here what it cannot make
    yield (
        path,
        (
            (one.line or 0 if isinstance(one, Finding) else int(one.about["line"]), one)
            for one in to_examples(path, columns, form, format=format)
        ),
    )


def _kept(dataset: Dataset, path: Path) -> Iterator[tuple[int, Example | Finding]]:
    for row in read_rows(path, format="jsonl"):
        if isinstance(row, Finding):
            yield row.line or 0, row
            continue
        try:
            yield row.line, Example.of(dataset.form, row.values)
        except KeyError as error:
            message = f"The field {error} is missing."
            yield row.line, Finding("format", "error", message, str(path), row.line)

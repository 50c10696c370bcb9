"""From rows to samples: fields are mapped, prompts written, the right choice found.

Seed 0 keeps a file's order. Any other seed orders the rows by the SHA-256 of seed and id, so that
a run of some of them takes others, the same on every machine. Generators make new samples for
each seed. The first `shots` of seed 0 serve as examples and are never asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.errors import TaskError
from workbench.scorers import Mode, Sample, choice_index
from workbench.tasks._datasets import recognised
from workbench.tasks._rows import Row, read_rows
from workbench.tasks._templates import TemplateProblem, is_template, render
from workbench.texts import nearest

_MOST_SAMPLES = 200_000
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where a task's samples come from, and which fields become what."""

    file: str  # of the task, for errors
    mode: Mode
    rows: Path | tuple[Row, ...] = ()
    generator: Callable[..., Sequence[Sample]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # the generator's
    prompt: str = "{{ prompt }}"
    target: str = "target"
    choices: str | tuple[str, ...] = "choices"
    suffix: str = "suffix"
    group: str = "group"
    id: str = "id"
    shots: int = 0

    def samples(self, seed: int = 0) -> list[Sample]:
        """All samples of this seed, but those that serve as examples."""
        if self.generator is None:
            found = list(islice(_unique(self._from_rows()), self.shots, None))
            if seed:
                found.sort(key=lambda one: _hash(seed, one.id))
            return found
        shown = {one.prompt for one in self.head()} if self.shots else set()
        return [one for one in _unique(self._generated(seed)) if one.prompt not in shown]

    def head(self) -> tuple[Sample, ...]:
        """The samples that serve as examples."""
        source = self._from_rows() if self.generator is None else self._generated(0)
        return tuple(islice(source, self.shots))

    def _from_rows(self) -> Iterator[Sample]:
        rows = read_rows(self.rows) if isinstance(self.rows, Path) else self.rows
        file = str(self.rows) if isinstance(self.rows, Path) else self.file
        for row in rows:
            try:
                sample = self._sample(row.fields)
            except TemplateProblem as error:
                there = ", ".join(map(str, row.fields))[:300]
                reason = f"The template cannot be filled ({error}). The fields are: {there}."
                raise TaskError(reason, file, row.line) from None
            except ValueError as error:
                raise TaskError(f"{error}", file, row.line) from None
            yield sample

    def _generated(self, seed: int) -> Iterator[Sample]:
        assert self.generator is not None
        try:
            for sample in islice(self.generator(seed, **self.options), _MOST_SAMPLES):
                known = {"prompt": sample.prompt, "target": sample.target, **sample.more}
                prompt = render(self.prompt, known)
                yield self._checked(replace(sample, prompt=prompt))
        except Exception as error:  # options that the generator cannot work with
            reason = f"Its generator fails: {type(error).__name__}: {error}"
            raise TaskError(reason[:500], self.file) from None

    def _sample(self, row: Mapping[str, Any]) -> Sample:
        fields = recognised(row)
        prompt = render(self.prompt, fields) if self.prompt else ""
        target = self._field(fields, "target")
        choices = self.choices if isinstance(self.choices, tuple) else self._texts(fields)
        suffix = str(_or_empty(self._field(fields, "suffix")))
        name = self._field(fields, "id")
        used = {"prompt", "target", self.choices, self.suffix, self.group, self.id}
        sample = Sample(
            id=_hash(prompt, target, choices, suffix)[:16] if name in (None, "") else str(name),
            prompt=prompt,
            target=target,
            choices=choices,
            suffix=suffix,
            group=str(_or_empty(self._field(fields, "group")))[:_LONGEST_ID],
            more={key: value for key, value in fields.items() if key not in used},
        )
        if len(sample.id) > _LONGEST_ID:
            raise ValueError(f"An id has at most {_LONGEST_ID} characters.")
        return self._checked(sample)

    def _field(self, fields: Mapping[str, Any], kind: str) -> Any:
        """The field that was named for this kind; the kinds' own names may be missing."""
        name = getattr(self, kind)
        if is_template(name):
            return render(name, fields)
        if name not in fields and name != kind:
            raise ValueError(f"There is no field {name!r}.{nearest(name, fields)}")
        return fields.get(name)

    def _texts(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        value = _or_empty(self._field(fields, "choices")) or []
        if not isinstance(value, list) or any(isinstance(one, dict | list) for one in value):
            raise ValueError("The choices must be a list of texts.")
        return tuple(map(str, value))

    def _checked(self, sample: Sample) -> Sample:
        """The sample fit for the mode: of "choice" the target is an index."""
        if self.mode == "choice":
            if len(sample.choices) < 2:
                raise ValueError("A sample of mode choice needs at least two choices.")
            index = choice_index(sample.target, sample.choices)
            if index is None:
                raise ValueError(f"The target {str(sample.target)[:60]!r} is none of the choices.")
            return replace(sample, target=index)
        if self.mode == "perplexity" and not (isinstance(sample.target, str) and sample.target):
            raise ValueError("A sample of mode perplexity needs a text as target.")
        return sample


def answer_text(sample: Sample, mode: Mode) -> str:
    """How the sample's target would be written as an answer. ValueError without a target."""
    if sample.target is None:
        raise ValueError("A sample that serves as example needs a target.")
    target = sample.choices[sample.target] if mode == "choice" else sample.target
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)


def _unique(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Samples whose id came before get a number, in the order of the file."""
    counts: dict[str, int] = {}
    for sample in samples:
        name = sample.id
        while name in counts:
            counts[sample.id] += 1
            name = f"{sample.id}#{counts[sample.id]}"
        counts[name] = 1
        yield sample if name == sample.id else replace(sample, id=name)


def _hash(*facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _or_empty(value: Any) -> Any:
    return "" if value is None else value

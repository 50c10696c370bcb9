"""What people and judging models said about answers, as datasets to learn from.

Votes of the arena prefer one answer to another; records of accepted and rejected answers (a file,
a row for each, as code reviews leave them) judge one answer at a time, and those about the same
question make pairs. Who said both of two answers is counted and learnt in neither direction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any

from workbench.arena import Vote, votes
from workbench.data import Dataset, writing
from workbench.errors import DataError, TrainingError
from workbench.examples import Example, Finding, Form, read_rows
from workbench.texts import nearest

_FORMS: tuple[Form, ...] = ("preference", "conversation")
_MOST_PAIRS = 8  # of one question's records: a question much argued about is not all there is
_NAMES = {  # what a record calls its three parts
    "prompt": ("prompt", "question", "instruction", "request", "input"),
    "answer": ("answer", "completion", "response", "suggestion", "output"),
    "verdict": ("accepted", "verdict", "decision", "label", "feedback", "status"),
}
_YES = {"true", "yes", "1", "accept", "accepted", "approved", "good", "up", "+1"}
_NO = {"false", "no", "0", "reject", "rejected", "declined", "bad", "down", "-1"}

Pair = tuple[str, str, str]  # question, better answer, worse answer


@dataclass(frozen=True, slots=True)
class Feedback:
    """How much there is to learn from, and in `sentence` what to do where there is nothing."""

    votes: int  # of the arena
    undecided: int  # of those: ties, and both are bad
    accepted: int  # records
    rejected: int
    unreadable: int  # rows of the file that are no records
    contradictory: int  # pairs and answers about which both was said
    pairs: int  # that can be learnt, each once
    answers: int  # that were preferred or accepted, each once

    @property
    def sentence(self) -> str:
        """All of it in words."""
        if not self.votes and not self.accepted + self.rejected:
            unread = f" {self.unreadable} rows are no records of it." if self.unreadable else ""
            return f"There is no feedback yet.{unread} {_ADVICE}"
        said = [f"{self.votes} votes, {self.votes - self.undecided} of them for one answer"]
        if self.accepted + self.rejected:
            said.append(f"{self.accepted} accepted and {self.rejected} rejected answers")
        kept = f"{self.pairs} pairs and {self.answers} good answers can be learnt"
        against = f"; {self.contradictory} contradict each other" if self.contradictory else ""
        return f"{' and '.join(said)}: {kept}{against}."

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence}


_ADVICE = (
    "Ask two models the same question in the Arena and vote, or give a file with accepted and "
    "rejected answers (records=…, --records)."
)


def feedback(*, voter: str | None = "user", records: Path | str | None = None) -> Feedback:
    """What there is: of the user's votes or of another voter's (None: of all), and of a file.

    Raises DataError where the file cannot be read.
    """
    return _gather(voter, records).counted()


def make_feedback(
    name: str,
    form: Form = "preference",
    *,
    voter: str | None = "user",
    records: Path | str | None = None,
) -> Dataset:
    """The dataset `name`: pairs of a better and a worse answer ("preference"), or questions with
    the good answers alone ("conversation"), to fine-tune with.

    Raises TrainingError, in plain words where there is no feedback; DataError.
    """
    if form not in _FORMS:
        raise TrainingError(f"Feedback cannot become {form!r}.{nearest(form, _FORMS)}")
    found = _gather(voter, records)
    counted = found.counted()
    rows = list(found.examples(form))
    if not rows:
        why = counted.sentence if _ADVICE in counted.sentence else f"{counted.sentence} {_ADVICE}"
        raise TrainingError(why)
    recipe: dict[str, Any] = {"kind": "feedback", "form": form, "voter": voter}
    if records:
        with Path(records).expanduser().open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        recipe |= {"file": Path(records).name, "sha256": digest}
    with writing(name, form, recipe=recipe) as draft:
        for one in rows:
            draft.add(one)
        draft.report = counted.to_json()
    return draft.made


@dataclass
class _Gathered:
    """Feedback as it is read: what was said how often, and by whom first."""

    votes: int = 0
    undecided: int = 0
    unreadable: int = 0
    verdicts: Counter[bool] = field(default_factory=Counter)
    preferred: dict[Pair, Mapping[str, Any]] = field(default_factory=dict)
    judged: dict[tuple[str, str], set[bool]] = field(default_factory=dict)

    def take_vote(self, vote: Vote) -> None:
        """A vote of the arena."""
        self.votes += 1
        if vote.winner not in {"a", "b"}:
            self.undecided += 1
            return
        good, bad = (vote.a, vote.b) if vote.winner == "a" else (vote.b, vote.a)
        if good.answer.strip() and bad.answer.strip() and good.answer != bad.answer:
            about = {
                "voter": vote.voter, "chosen_model": good.model, "rejected_model": bad.model,
                "at": vote.at.isoformat(),
            }  # fmt: skip
            self.preferred.setdefault((vote.question, good.answer, bad.answer), about)

    def take_row(self, values: Mapping[str, Any]) -> None:
        """A record of one answer."""
        prompt, answer, said = (_named(values, use) for use in ("prompt", "answer", "verdict"))
        verdict = _verdict(said)
        texts = isinstance(prompt, str) and isinstance(answer, str)
        if verdict is None or not texts or not prompt.strip() or not answer.strip():
            self.unreadable += 1
            return
        self.verdicts[verdict] += 1
        self.judged.setdefault((prompt, answer), set()).add(verdict)

    def pairs(self) -> dict[Pair, Mapping[str, Any]]:
        """Better and worse answers, none of which was said the other way round as well."""
        every = dict(self.preferred)
        sides: dict[str, tuple[list[str], list[str]]] = {}
        for (prompt, answer), said in self.judged.items():
            if len(said) == 1:
                good, bad = sides.setdefault(prompt, ([], []))
                (good if True in said else bad).append(answer)
        for prompt, (good, bad) in sides.items():
            for one, other in islice(product(good, bad), _MOST_PAIRS):
                every.setdefault((prompt, one, other), {"voter": "records"})
        return {(q, a, b): how for (q, a, b), how in every.items() if (q, b, a) not in every}

    def answers(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Questions and their good answers."""
        found = {(q, good): how for (q, good, _bad), how in self.pairs().items()}
        for (prompt, answer), said in self.judged.items():
            if said == {True}:
                found.setdefault((prompt, answer), {"voter": "records"})
        return found

    def examples(self, form: Form) -> Iterator[Example]:
        """As turns, which is how the answers were asked for."""
        if form == "preference":
            for (question, good, bad), about in self.pairs().items():
                fields = {"prompt": _turns("user", question), "chosen": _turns("assistant", good),
                          "rejected": _turns("assistant", bad)}  # fmt: skip
                yield Example(form, fields, about)
            return
        for (question, good), about in self.answers().items():
            turns = [*_turns("user", question), *_turns("assistant", good)]
            yield Example(form, {"messages": turns}, about)

    def counted(self) -> Feedback:
        """In numbers."""
        both_ways = sum((q, b, a) in self.preferred for q, a, b in self.preferred)
        torn = sum(len(said) > 1 for said in self.judged.values())
        return Feedback(
            self.votes, self.undecided, self.verdicts[True], self.verdicts[False],
            self.unreadable, both_ways // 2 + torn, len(self.pairs()), len(self.answers()),
        )  # fmt: skip


def _gather(voter: str | None, records: Path | str | None) -> _Gathered:
    found = _Gathered()
    for vote in reversed(votes(voter=voter)):
        found.take_vote(vote)
    if records:
        path = Path(records).expanduser()
        if not path.is_file():
            raise DataError("There is no such file of accepted and rejected answers.", str(path))
        for row in read_rows(path):
            if isinstance(row, Finding):
                found.unreadable += row.code not in {"bytes", "guessed"}  # these rows come as well
            else:
                found.take_row(row.values)
    return found


def _turns(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _named(values: Mapping[str, Any], use: str) -> Any:
    """What a record has under any of the names of this use."""
    return next((values[name] for name in _NAMES[use] if values.get(name) is not None), None)


def _verdict(said: Any) -> bool | None:
    word = str(said).strip().casefold() if isinstance(said, str | bool | int) else ""
    return True if word in _YES else False if word in _NO else None

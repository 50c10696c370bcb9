"""Questions for the confirmation that the search never asks.

A suite whose tasks make new samples for every seed has as many as one likes; of one that is read
from a file another seed only orders the same samples anew. So as many are left over for the
confirmation as are asked there, or half of what there is, and what both asked does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from workbench.errors import TuneError
from workbench.trial._questions import Question, questions

if TYPE_CHECKING:
    from workbench.scorers import Sample

SAMPLES = 40  # questions of a full trial, where nobody says
_OTHER = 104_729  # what the held-out seed is more than the search's
_MOST = 4000
Key = tuple[str, str, str, str]


def planned(
    suite: str, seed: int, samples: int | None, held_out: int | None
) -> tuple[int, int, list[str]]:
    """How many questions a full trial asks, how many the confirmation, and what was cut, in words.

    Raises TaskError, and TuneError for a suite that has too few questions for both.
    """
    for what, count in (("samples", samples), ("held_out", held_out)):
        if count is not None and (isinstance(count, bool) or count < 1):
            raise TuneError(f"{what} is a number of questions, 1 at least, not {count!r}.")
    wanted = samples or SAMPLES
    held = held_out or max(wanted, SAMPLES)
    asked = questions(suite, seed=seed, count=wanted)
    left = len(unseen(asked, suite, seed, held))
    if left >= held and len(asked) >= wanted:
        return wanted, held, []
    there = len(asked) + len(unseen(asked, suite, seed, _MOST))
    if there < 2:
        raise TuneError(
            f"The suite {suite} has one question: none is left to confirm with. Take another suite."
        )
    count = min(wanted, there - min(held, there // 2))
    left = len(unseen(asked[:count], suite, seed, held))
    cut = (
        f"The suite has {there} questions: {count} are asked in the search, and {left} are kept "
        "for the confirmation."
    )
    return count, left, [cut]


def unseen(asked: Iterable[Question], suite: str, seed: int, count: int) -> tuple[Question, ...]:
    """Up to `count` questions of another seed that are none of these, nor related to one."""
    known = {key for one in asked for key in keys(one.task.name, one.sample)}
    more = count
    while True:
        found = questions(suite, seed=other_seed(seed), count=min(more, 20_000))
        fresh = [one for one in found if not known & keys(one.task.name, one.sample)]
        if len(fresh) >= count or len(found) < more or more >= _MOST:
            return tuple(fresh[:count])
        more *= 2


def other_seed(seed: int) -> int:
    """The seed of the questions that are held out."""
    return seed + _OTHER


def keys(task: str, sample: Sample) -> set[Key]:
    """What makes two questions one: the same prompt, or the same group where there are groups."""
    found = {(task, "prompt", sample.prompt, sample.suffix)}
    return found | ({(task, "group", sample.group, "")} if sample.group else set())


def limit(fresh: Sequence[Question], seed: int) -> int:
    """How many samples of each task of this seed hold all of these."""
    wanted = {(one.task.name, one.sample.id) for one in fresh}
    tasks = {one.task.name: one.task for one in fresh}
    drawn = len(fresh)  # making many more than are needed takes seconds
    while True:
        places = [
            place
            for task in tasks.values()
            for place, sample in enumerate(task.samples(drawn, seed))
            if (task.name, sample.id) in wanted
        ]
        if len(places) >= len(wanted) or drawn >= _MOST:
            return max(places) + 1
        drawn *= 2

"""From answers and times to what one point is worth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from workbench.bench import Answer
from workbench.trial._records import Answered, Measured, quality_of
from workbench.trial._setting import Setting
from workbench.trial._speed import latency, throughput
from workbench.trial._work import Share, State, Work

_TIMES = {"seconds", "first_token", "prompt_seconds", "generation_seconds"}


def put_together(
    work: Work, setting: Setting, state: State, notes: Sequence[str], alone: Collection[str],
    asked: int, *, valued: bool,
) -> Measured:  # fmt: skip
    """The point's figures. `alone` are keys of the questions that tell latency; `valued` says
    whether answers were to be scored."""
    answers = tuple(_answered(work, state, share) for share in state.shares)
    keys = {share.question.key for share in state.shares}
    times = {key: same for key, same in state.times.items() if key in keys}
    return Measured(
        point=dict(setting.point),
        answers=answers,
        quality=quality_of(answers),
        latency=latency(times, alone),
        throughput=throughput(state.crowds),
        memory=work.memory.get(setting.load),
        load_seconds=work.loading.get(setting.load),
        asked=asked,
        cached=sum(answer.cached for answer in answers),
        notes=(*notes, *_notes(answers, valued=valued)),
        alone=tuple(
            answer.question for answer in answers if answer.question in {*times} & {*alone}
        ),
    )


def _answered(work: Work, state: State, share: Share) -> Answered:
    found = [work.values[key] for key in share.keys if key in work.values]
    errors = [work.errors[key] for key in share.keys if key in work.errors]
    values = [value for value, _ in found if value is not None] + [0.0] * len(errors)
    figures: dict[str, Any] = dict(found[-1][1]) if found else {}
    if times := state.times.get(share.question.key):
        figures |= {
            "seconds": fmean(one.seconds for one in times),
            "first_token": times[-1].first_token, "tokens": times[-1].tokens,
            "generation_seconds": fmean(one.generation for one in times),
        }  # fmt: skip
    return Answered(
        question=share.question.key,
        task=share.question.task.name,
        value=fmean(values) if values else None,
        seconds=float(figures.get("seconds") or 0.0),
        first_token=figures.get("first_token"),
        tokens=int(figures.get("tokens") or 0),
        prompt_tokens=int(figures.get("prompt_tokens") or 0),
        generation_seconds=float(figures.get("generation_seconds") or 0.0),
        error=errors[0][:300] if errors else None,
        cached=bool(found or errors) and not state.mine & set(share.keys),
        group=share.question.group,
        weight=share.question.weight,
    )


def heard(work: Work, setting: Setting, state: State, *, timed: bool) -> list[Answer]:
    """The first draw of each answer of the last measurement. Where speed is measured, only the
    questions that tell it keep their times, which are the same ones for each point; else those that
    were asked under the point's own load."""
    found = []
    for share in state.shares:
        if (answer := work.heard.get(key := share.keys[0])) is None:
            continue
        if times := state.times.get(share.question.key):
            answer = replace(answer, figures=times[0].told(answer.figures))
        elif timed or work.under[key] != setting.load:
            kept = {name: it for name, it in answer.figures.items() if name not in _TIMES}
            answer = replace(answer, figures=kept)
        found.append(answer)
    return found


def _notes(answers: Sequence[Answered], *, valued: bool) -> list[str]:
    failed = [answer for answer in answers if answer.error is not None]
    blank = [answer for answer in answers if answer.value is None]
    notes = []
    if failed:
        notes.append(
            f"{len(failed)} of {len(answers)} questions got no answer and count as 0: "
            f"{failed[0].error}"
        )
    if blank and valued:
        notes.append(f"{len(blank)} of {len(answers)} answers could not be scored.")
    return notes

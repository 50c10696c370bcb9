"""What a training gained and what it cost in what was known before: the card, measured.

The base is scored first, for as long as its share of time allows; then the trained model on the
same examples. Only one model is in memory at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import data
from workbench.errors import DataError, TrainingError, WorkbenchError
from workbench.examples import Example, Rendered, render, template_of
from workbench.lineage import Training, find, note
from workbench.train._card import Card, Compared, Found, compared, words_of
from workbench.work import attached, use_cores

if TYPE_CHECKING:
    from workbench.jobs import JobContext
    from workbench.train._score import Scored

    _Pair = tuple[Scored, Scored | None]  # the answer and, of a preference, the worse one

HELD_OUT = ("test", "validation")  # the first there is: validation also decided when to stop
_MOST = 200  # examples of a set
_TARGET_SECONDS, _CONTROL_SECONDS = 45.0, 20.0  # of a model
_LEAST = 12  # examples, however long they take
_EXCERPT = 160  # characters of an example on a card
_WRITTEN = 48  # tokens per answer whose speed is measured


@dataclass(frozen=True, slots=True)
class _Set:
    name: str
    examples: tuple[Example, ...]
    texts: tuple[Rendered, ...]
    seconds: float

    @property
    def pairs(self) -> bool:
        """Whether each example has a better and a worse answer."""
        return bool(self.texts) and self.texts[0].other is not None


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two models: its name, its folder, and its digest in the engine."""

    name: str
    folder: Path
    digest: str = ""


def gain(training: Training | str, *, job: JobContext | None = None) -> Card:
    """Compare what was trained with its base model, and keep the card with the training.

    Raises TrainingError where the weights of one are gone.
    """
    run = find(training if isinstance(training, str) else training.id)
    card = _card(run, _base_of(run), job)
    note(run, card=card.to_json())
    return card


def compare(
    training: Training | str, other: Training | str, *, job: JobContext | None = None
) -> Card:
    """Compare one training's model with another's, on the held-out examples of the first one's
    dataset. It is kept with neither. Raises TrainingError."""
    first, second = (find(one if isinstance(one, str) else one.id) for one in (training, other))
    return _card(first, _of(second), job)


def held_out(run: Training) -> tuple[str, list[Example]]:
    """The split that was not learnt from and examples of it, drawn evenly; "" and none where
    there is none. Raises DataError where the dataset is gone."""
    dataset = data.find(run.dataset)
    split = next((one for one in HELD_OUT if dataset.splits.get(one)), "")
    if not split:
        return "", []
    step = max(1.0, dataset.splits[split] / _MOST)
    wanted = {int(step * number) for number in range(_MOST)}
    every = enumerate(data.examples(dataset, split))
    return split, [one for at, one in every if at in wanted]


def control() -> list[Example]:
    """The texts and conversations that ship: everyday knowledge in several shapes."""
    told = json.loads(Path(__file__).with_name("control.json").read_text("utf-8"))
    texts = [Example("text", {"text": text}) for text in told["text"]]
    talks = [
        [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        for asked, answer in told["conversation"]
    ]
    return texts + [Example("conversation", {"messages": turns}) for turns in talks]


def rendered(examples: Sequence[Example], folder: Path) -> list[tuple[Example, Rendered]]:
    """The examples as the model in `folder` reads them, without those that it cannot."""
    template = template_of(folder)
    found = []
    for example in examples:
        try:
            found.append((example, render(example, template)))
        except DataError:
            continue
    return found


def _card(run: Training, base: _Side | None, job: JobContext | None) -> Card:
    tuned = _of(run)
    split, examples = held_out(run)
    sets = [_set(split, examples, tuned.folder, _TARGET_SECONDS)] if split else []
    sets.append(_set("control", control(), tuned.folder, _CONTROL_SECONDS))
    sets = [one for one in sets if one.texts]
    notes = [] if split else [
        f"{run.data} has no part that was not learnt from, so its gain cannot be told. Split it: "
        f"workbench data split {run.data}"
    ]  # fmt: skip
    with attached(job) as told:
        use_cores()
        before = _scores(base, sets, told, 0.0) if base else None
        if before is not None:  # of as many as there was time for
            sets = [_cut(one, len(found)) for one, found in zip(sets, before, strict=True)]
        after = _scores(tuned, sets, told, 0.4)
        made = {
            one.name: _compared(one, after[at], before[at] if before else None)
            for at, one in enumerate(sets)
        }
        told.progress(0.8, "Measuring the speed")
        size, speed, remarks = _in_engine(tuned, base)
    target, control_set = made.get(split), made.get("control")
    words = words_of(target, control_set)
    return Card(tuned.name, base.name if base else "", run.data, target, control_set, size, speed,
                (*words, *_served(base, size, speed)), (*notes, *remarks))  # fmt: skip


def _of(run: Training) -> _Side:
    folder = run.folder / "model"
    if not folder.is_dir():
        raise TrainingError(
            f"The weights of the training {run.id} are not there: resume it "
            f"(`workbench train resume {run.id}`), or train again."
        )
    return _Side(run.name, folder, run.digest)


def _base_of(run: Training) -> _Side | None:
    if not run.base:
        return None
    from workbench.bases import base_of

    base = base_of(run)
    return _Side(run.base, base.folder, base.digest)


def _set(name: str, examples: Sequence[Example], folder: Path, seconds: float) -> _Set:
    found = rendered(examples, folder)
    return _Set(name, tuple(one for one, _ in found), tuple(text for _, text in found), seconds)


def _cut(one: _Set, count: int) -> _Set:
    return replace(one, examples=one.examples[:count], texts=one.texts[:count])


def _scores(
    side: _Side, sets: Sequence[_Set], job: JobContext, start: float
) -> list[list[_Pair | None]]:
    """Of each set and example what the model makes of it; None where nothing of it is learnt."""
    from workbench.train._score import Scorer

    found = []
    with Scorer(side.folder) as scorer:
        for number, one in enumerate(sets):
            job.progress(start + 0.2 * number, f"Comparing: {side.name} on {one.name}")
            best = scorer.scores(one.texts, one.seconds, _LEAST, job)
            worst: list[Scored | None] = [None] * len(best)
            if one.pairs:
                others = [text.other for text in one.texts[: len(best)] if text.other]
                worst = scorer.scores(others, one.seconds, len(others), job)
            rows = zip(best, worst, strict=True)
            found.append([(a, b) if a and (b or not one.pairs) else None for a, b in rows])
    return found


def _compared(
    one: _Set, new: Sequence[_Pair | None], old: Sequence[_Pair | None] | None
) -> Compared | None:
    """A set's comparison; None where nothing of it could be scored."""
    rows = [(at, row) for at, row in enumerate(new) if row and (old is None or old[at])]
    if not rows:
        return None
    before = None if old is None else [row for at, _ in rows if (row := old[at])]
    alike = before is None or all(
        row[0].tokens == other[0].tokens for (_, row), other in zip(rows, before, strict=True)
    )
    answers = any(one.examples[at].form != "text" for at, _ in rows)
    return compared(
        one.name,
        "nats per token" if alike else "bits per byte",
        [_found(row, alike, answers) for _, row in rows],
        None if before is None else [_found(row, alike, answers) for row in before],
        [" ".join(one.texts[at].text[: 4 * _EXCERPT].split())[:_EXCERPT] for at, _ in rows],
        pairs=one.pairs,
    )


def _found(row: _Pair, alike: bool, answers: bool) -> Found:
    """`right`: the answer is what the model would write, or the better one of a pair."""
    best, worst = row
    loss = best.loss if alike else best.bits
    if worst is None:
        return Found(loss, best.greedy if answers else None, best.tokens, best.logprobs)
    against = worst.loss if alike else worst.bits
    logprobs = (*best.logprobs, *(-one for one in worst.logprobs))
    return Found(loss - against, loss < against, (*best.tokens, *worst.tokens), logprobs)


def _in_engine(
    tuned: _Side, base: _Side | None
) -> tuple[dict[str, int | None], dict[str, Any], list[str]]:
    """Bytes and tokens per second of both in the engine in use, where they are in it."""
    from workbench.engines import connect

    size: dict[str, int | None] = {"tuned": None, "base": None}
    speed: dict[str, Any] = {"tuned": None, "base": None}
    notes: list[str] = []
    if not tuned.digest:
        return size, speed, notes
    try:
        with connect() as engine:
            models = engine.models()
        for key, side in (("tuned", tuned), ("base", base)):
            if side is None:
                continue
            model = next((m for m in models if side.digest and m.digest == side.digest), None)
            if model is not None:
                size[key] = model.size
                speed[key] = found = asyncio.run(_speed(model.name))
                if found and found["noise"]:
                    notes.append(f"While {side.name} was timed: {found['noise']}")
            else:
                notes.append(f"{side.name} is not in the engine, so its speed is not known.")
    except WorkbenchError as error:
        notes.append(f"The speed could not be measured: {error}")
    return size, speed, notes


async def _speed(name: str) -> dict[str, Any] | None:
    from workbench.engines import aconnect
    from workbench.meter import measure_speed

    async with await aconnect() as engine:
        found = await measure_speed(
            engine, name, contexts=(64,), parallel=(), written=_WRITTEN, load=False
        )
    figure = found.points[0].generation_speed
    return None if figure is None else {
        "median": figure.median, "low": figure.low, "high": figure.high, "n": figure.n,
        "noise": found.noise.words if found.noise.noisy else "",
    }  # fmt: skip


def _served(base: _Side | None, size: dict[str, int | None], speed: dict[str, Any]) -> list[str]:
    """Size and speed in a sentence each."""

    def text(values: dict[str, Any], write: Callable[[Any], str], what: str) -> str:
        beside = f"; {base.name}: {write(values['base'])}" if base and values["base"] else ""
        return f"{what} {write(values['tuned'])}{beside}."

    words = []
    if size["tuned"]:
        words.append(text(size, _megabytes, "In the engine it takes"))
    if speed["tuned"]:
        words.append(text(speed, _pace, "It writes"))
        if any(one and one["noise"] for one in speed.values()):
            words.append("Other programs were busy meanwhile, so these speeds are too low.")
    return words


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _pace(one: dict[str, Any]) -> str:
    return f"{one['median']:,.0f} tokens/s ({one['low']:,.0f} to {one['high']:,.0f})"

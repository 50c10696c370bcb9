"""The models of a study that searches how to train: one training for each point.

A point's model is made when it is first measured and stays while it may still win: the default
settings', those of the front. Others go as soon as they were measured. With a strategy that halves
(Hyperband) a training is a budget as well: after a ninth and a third of its updates only those go
on whose validation loss is in the better third of those that came so far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, TrainingError, TrialFailed, TuneError
from workbench.jobs import JobContext, Report
from workbench.lineage import Training, begin, find, remove
from workbench.protocol import ModelName
from workbench.space import key_of, part_of
from workbench.tune._within import Within

if TYPE_CHECKING:
    from workbench.space import Point, Space
    from workbench.train import Plan
    from workbench.tune._records import Study

_RUNGS = (2, 1)  # powers of eta by which a training's whole length is divided


class Outlearnt(Exception):
    """A training was ended early: others had learnt more after as many updates."""


def trains(space: Space) -> bool:
    """Whether a point of this space is a model to be trained."""
    return any(one.part == "training" for one in space.parameters)


def planned_training(model: str, dataset: str, given: Mapping[str, Any], point: Point) -> Plan:
    """How a point's model is trained: `given` holds for all points. Raises TrainingError and
    DataError for what cannot be trained."""
    from workbench.train import PRESETS, plan

    settings = {"preset": PRESETS["finetune"], **given, **_training(point)}
    return plan("finetune", dataset=dataset, base=model, settings=settings)


def kept_of(
    model: str, space: Space, dataset: str, training: Mapping[str, Any], engine: str | None
) -> tuple[dict[str, Any], list[str]]:
    """What a study keeps of how its points are trained, and a note on how long each takes."""
    if not trains(space):
        if dataset or training:
            raise TuneError(
                f"The space {space.name} has no settings of a training, so there is nothing to "
                "learn from a dataset. Take the space training, or leave the dataset out."
            )
        return {}, []
    if not dataset:
        raise TuneError(
            f"Each point of the space {space.name} is a training: say what is learnt "
            "(dataset=…, --dataset on the command line)."
        )
    from workbench.engines import connect
    from workbench.price import price

    with connect() as used:
        if engine is not None and engine.rstrip("/") != used.url.rstrip("/"):
            raise TuneError(
                f"Models that are trained go into the engine in use, {used.url}; a study of a "
                "training takes no other. Leave engine out, or set OLLAMA_BASE_URL."
            )

    one = planned_training(model, dataset, training, space.default())
    about = price("finetune", one.settings, one.base, one.dataset, measure=False)
    note = f"Each trial is a training of about {max(1, round(about.seconds / 60))} minutes."
    return {"dataset": one.dataset.label, "training": dict(training)}, [note]


def name_of(study: Study, point: Point) -> str:
    """What a point's model is called in the engine while the study needs it."""
    stem = ModelName.parse(study.model).display().partition(":")[0]
    return f"{stem}:study-{study.id}-{key_of(_training(point))[:8]}"


def training_of(study: Study, point: Point) -> Training | None:
    """The training of a point's model, begun or done; None where there is none any more."""
    with suppress(TrainingError):
        return find(name_of(study, point))
    return None


class Maker:
    """Makes the models of one study's points, in the caller's thread, within its job."""

    def __init__(self, context: JobContext, study: Study, eta: int = 0) -> None:
        self._context, self._study, self._eta = context, study, eta
        self._told: dict[int, list[float]] = {}  # by rung: validation losses of the trainings
        self._ready: set[str] = set()  # names that are in the engine, as far as is known here

    def __call__(self, point: Point) -> str:
        """The name of the point's model; trained, exported and put into the engine unless it is
        there. Raises TrialFailed, Outlearnt, JobCancelled, EngineError."""
        name = name_of(self._study, point)
        if name in self._ready:
            return name
        run = training_of(self._study, point)
        if run is None or not (run.digest and self._listed(name)):
            self._make(run or self._begun(name, point))
        self._ready.add(name)
        return name

    def tidy(self, points: Iterable[Point]) -> None:
        """Remove the models that were made here, but those of these points."""
        kept = {name_of(self._study, point) for point in points}
        for name in self._ready - kept:
            forget(name)
            self._ready.discard(name)

    def _begun(self, name: str, point: Point) -> Training:
        settings = self._study.settings
        planned = planned_training(
            self._study.model, settings["dataset"], settings.get("training") or {}, point
        )
        assert planned.base is not None, "a fine-tuning has a base"
        return begin(
            "finetune", name, dataset=planned.dataset, settings=asdict(planned.settings),
            base=planned.base.name, base_digest=planned.base.digest,
        )  # fmt: skip

    def _make(self, run: Training) -> None:
        from workbench.train import run_training

        watched = _Watched(self._context, f"Training {run.name}", self._behind)
        try:
            run_training(watched, run.id, replace=True, with_card=False)
        except Outlearnt:
            forget(run.name)
            raise
        except (TrainingError, TuneError) as error:
            forget(run.name)
            raise TrialFailed(f"No model came of these settings: {error}") from None

    def _behind(self, rung: int, loss: float) -> bool:
        """Note a training's validation loss at a rung; whether too many were better there."""
        if not self._eta:
            return False
        told = self._told.setdefault(rung, [])
        told.append(loss)
        better = sum(other < loss for other in told)
        return better >= max(1, math.ceil(len(told) / self._eta))

    def _listed(self, name: str) -> bool:
        from workbench.engines import connect
        from workbench.export import find_model

        with connect() as engine:
            return find_model(engine, name) is not None


class _Watched(Within):
    """A training's progress as words of the study's, with looks at its validation losses."""

    def __init__(self, whole: JobContext, words: str, behind: Any) -> None:
        super().__init__(whole, words)
        self._behind, self._rung = behind, 0

    def _told(self, report: Report) -> None:
        super()._told(report)
        loss, share = report.metrics.get("validation_loss"), report.metrics.get("share", 0.0)
        if loss is None or self._rung == len(_RUNGS):
            return
        if share >= 3.0 ** -_RUNGS[self._rung]:
            self._rung += 1
            if self._behind(self._rung, loss):
                raise Outlearnt("Others had learnt more after as many updates.")


def forget(name: str) -> None:
    """Remove a point's model from the engine and its training from the records."""
    from workbench.engines import connect

    with suppress(EngineError), connect() as engine:
        engine.delete(name)
    with suppress(TrainingError):
        remove(find(name))


def _training(point: Point) -> Mapping[str, Any]:
    return {name: value for name, value in point.items() if part_of(name) == "training"}

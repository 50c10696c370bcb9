"""A trial's settings as a model of their own: `name:tuned`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import lineage
from workbench.errors import EngineError, TuneError
from workbench.protocol import OPTIONS, ModelName
from workbench.tune import _keep as keep
from workbench.tune._made import name_of, training_of, trains
from workbench.tune._records import Study, Trial
from workbench.tune._trials import best, default_of, trial_of

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.space import Point


def apply(
    study: Study | str, trial: Trial | int | None = None, name: str = "", *, replace: bool = False
) -> str:
    """Make a model with the settings of a trial (the best one) and return its name.

    It has the weights and the template of the study's model; the settings that differ from the
    default become its parameters. Without a name it is called `<model>:tuned`. It is made beside
    and asked something before it gets that name. Raises TuneError for settings that a model cannot
    carry, TrainingError for a name that is taken unless `replace`, EngineError.
    """
    study = keep.find(study.id if isinstance(study, Study) else study)
    chosen = _chosen(study, trial)
    default = default_of(study)
    same = default.point if default else study.space.default()
    changed = {key: value for key, value in chosen.point.items() if same.get(key) != value}
    if not changed and not trains(study.space):
        raise TuneError(
            f"Trial {chosen.number} has the settings that {study.model} has already: there is "
            "nothing to apply. Choose another trial."
        )
    if changed.get("shots"):
        raise TuneError(
            "Examples in the prompt belong to each question, so a model cannot carry them. Export "
            "the settings instead: `workbench tune export`."
        )
    from workbench.engines import connect
    from workbench.export import deploy, find_model, refuse_to_replace

    name = name.strip() or f"{ModelName.parse(study.model).display().partition(':')[0]}:tuned"
    with connect(study.settings.get("engine")) as engine:
        if not replace:
            refuse_to_replace(engine, name)
        base = find_model(engine, study.model)
        if base is None or base.digest != study.digest:
            raise TuneError(
                f"{study.model} is not the model that was tuned any more, so its settings may not "
                "suit it. Copy the study and search again."
            )
        if ModelName.parse(name).key() == ModelName.parse(study.model).key():
            raise TuneError(
                f"{name} is the model that was tuned: it is not replaced. Give another name."
            )
        made = _made(engine, study, chosen.point, changed, name, deploy, replace)
    run = training_of(study, chosen.point) if trains(study.space) else None
    if run is not None:  # the study forgets its trainings one day, and what is used stays
        lineage.note(run, name=made.name, digest=made.digest)
    note = {"trial": chosen.number, "digest": made.digest, "at": datetime.now(UTC).isoformat()}
    applied = {**(study.result.get("applied") or {}), made.name: note}
    keep.note(study, result={"applied": applied})
    return str(made.name)


def _chosen(study: Study, trial: Trial | int | None) -> Trial:
    if isinstance(trial, Trial):
        return trial_of(study, trial.number)
    found = best(study) if trial is None else trial_of(study, trial)
    if found is None:
        raise TuneError(f"{study.label} has measured nothing yet, so there is nothing to apply.")
    if trial is None and found.why == "default":
        raise TuneError(
            f"{study.label} found nothing better than the default settings, so there is nothing "
            "to apply. Name a trial to apply one all the same."
        )
    return found


def _made(
    engine: Engine, study: Study, point: Point, changed: Mapping[str, Any], name: str, deploy: Any,
    replace: bool,
) -> Any:  # fmt: skip
    """The model, by way of another quantisation where the trial has one."""
    wanted = str(changed.get("quantisation") or "")
    source = _source(engine, study, point)
    base = f"in-the-making:{study.id}" if wanted else source
    parameters = {key: value for key, value in changed.items() if key in OPTIONS}
    try:
        if wanted:
            for _ in engine.create(base, from_=source, quantize=wanted):
                pass
        return deploy(
            engine, name, None, base_model=base, system=str(changed.get("system") or ""),
            parameters=parameters, replace=replace,
        )  # fmt: skip
    finally:
        if wanted:
            with suppress(EngineError):
                engine.delete(base)


def _source(engine: Engine, study: Study, point: Point) -> str:
    """The model with the trial's weights: the study's own, or the one that was trained for it."""
    from workbench.export import find_model

    if not trains(study.space):
        return study.model
    made = name_of(study, point)
    if find_model(engine, made) is None:
        raise TuneError(
            f"The model of this trial, {made}, was removed when others did better. Train it anew: "
            f"workbench train finetune --base {study.model} --dataset {study.settings['dataset']} "
            f"--set {' --set '.join(f'{key}={value}' for key, value in point.items())}"
        )
    return made

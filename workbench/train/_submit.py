"""Starting a training: all that can be refused is refused here, before anything is queued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as replaced
from typing import TYPE_CHECKING, Any

from workbench import data, jobs
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.export import checked_kind, checked_name, refuse_to_replace
from workbench.lineage import RECIPES, Training, begin, note, trainings
from workbench.texts import nearest
from workbench.train._manage import job_of

if TYPE_CHECKING:
    from workbench.bases import Base
    from workbench.learn import Settings
    from workbench.pretrain import BaseSettings
    from workbench.price import Price

FORMS: Mapping[str, tuple[str, ...]] = {
    "base": ("text", "conversation", "completion", "gap", "preference"),  # its better answers
    "finetune": ("text", "conversation", "completion", "gap"),
    "preferences": ("preference",),
}
PRESETS: Mapping[str, str] = {"finetune": "lora", "preferences": "preferences"}
_VALIDATION = 0.1  # the share that is set aside where nothing is
_LEAST = 20  # examples of which some can be set aside


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training would be made of, looked up and checked."""

    recipe: str
    dataset: Dataset
    settings: Settings | BaseSettings
    base: Base | None = None


def plan(
    recipe: str,
    *,
    dataset: str,
    base: str = "",
    settings: str | Mapping[str, Any] | None = None,
    dequantise: bool = False,
) -> Plan:
    """Look up what was named. `settings` is a preset's name, or settings with `preset` for the
    others. Raises TrainingError, DataError where something is missing or does not fit."""
    if recipe not in RECIPES:
        raise TrainingError(f"There is no recipe {recipe!r}.{nearest(recipe, RECIPES)}")
    found = data.find(dataset)
    _check_form(recipe, found)
    if recipe == "base":
        return Plan(recipe, found, _base_settings(base, settings))
    if not base.strip():
        raise TrainingError(
            f"The recipe {recipe} goes on from a model: say which (base=…, --base on the command "
            "line). `workbench train bases` lists those that are here."
        )
    from workbench.bases import find_base
    from workbench.cluster import executor
    from workbench.learn import settings_of

    chosen = settings_of(PRESETS[recipe] if settings is None else settings)
    if recipe == "finetune" and (there := executor()):
        there.check(chosen)
    return Plan(recipe, found, chosen, find_base(base, dequantise=dequantise))


def _base_settings(base: str, settings: str | Mapping[str, Any] | None) -> BaseSettings:
    from workbench.pretrain import base_settings

    if base.strip():
        raise TrainingError(
            "The recipe base begins with nothing, so it has no base model. To train a model "
            "further choose the recipe finetune."
        )
    if isinstance(settings, str):
        raise TrainingError(
            f"The recipe base has no presets: its settings follow from depth. Instead of "
            f"{settings!r} give settings by name, such as depth=4."
        )
    return base_settings(**(settings or {}))


def estimate(
    recipe: str,
    *,
    dataset: str,
    base: str = "",
    settings: str | Mapping[str, Any] | None = None,
    dequantise: bool = False,
    measure: bool = True,
) -> Price:
    """What a training would take: time, memory and disk with intervals, and whether it fits.

    The first time for a base model a few steps are tried; with `measure` off none, so that it
    answers at once. Raises TrainingError, DataError.
    """
    planned = plan(recipe, dataset=dataset, base=base, settings=settings, dequantise=dequantise)
    return _price(planned, measure=measure)


def submit(
    recipe: str,
    *,
    dataset: str,
    name: str,
    base: str = "",
    settings: str | Mapping[str, Any] | None = None,
    quantization: Sequence[str] = (),
    system: str = "",
    replace: bool = False,
    deploy: bool = True,
    force: bool = False,
    validation: float = _VALIDATION,
    dequantise: bool = False,
) -> Training:
    """Train a model called `name` in a job: trained, exported, checked, deployed, compared.

    A dataset without a held-out part gets one (`validation`, a share; 0: none), as a new version
    of its own. `quantization` names the kinds of GGUF file, the first of which is deployed;
    `replace` allows to take the place of a model of that name, `force` a training that is expected
    not to fit. Raises TrainingError, DataError, EngineError before anything is queued.
    """
    planned = plan(recipe, dataset=dataset, base=base, settings=settings, dequantise=dequantise)
    kinds = [checked_kind(kind) for kind in quantization or _kinds(planned)]
    name = checked_name(name)
    _check_data(planned.dataset)
    if deploy and not replace:
        _check_free(name)
    _check_alone(name)
    planned = replaced(planned, dataset=_held_out(planned.dataset, validation))
    price = _price(planned)
    if not price.fits and not force:
        instead = f" Instead: {'; '.join(price.instead)}." if price.instead else ""
        raise TrainingError(f"{price.why}{instead} To try it all the same: force=True, --force.")
    run = begin(
        recipe, name, dataset=planned.dataset,  # type: ignore[arg-type]
        settings=asdict(planned.settings), base=planned.base.name if planned.base else "",
        base_digest=planned.base.digest if planned.base else "", price=price.to_json(),
    )  # fmt: skip
    job = jobs.submit(
        "workbench.train:run_training",
        {"training": run.id, "kinds": kinds, "system": system, "replace": replace,
         "deploy": deploy},
        title=f"Train {name}", kind="training",
    )  # fmt: skip
    return note(run, job=job.id)


def _price(planned: Plan, *, measure: bool = True) -> Price:
    from workbench.price import price

    return price(planned.recipe, planned.settings, planned.base, planned.dataset, measure=measure)


def _kinds(planned: Plan) -> Sequence[str]:
    return tuple(getattr(planned.settings, "quantization", ())) or ("Q8_0",)


def _check_form(recipe: str, dataset: Dataset) -> None:
    if dataset.form in FORMS[recipe]:
        return
    if dataset.form == "preference":
        advice = "Choose the recipe preferences, which learns from pairs of answers"
    else:
        advice = (
            "Choose the recipe finetune, or a dataset of pairs with a better and a worse answer"
        )
    raise TrainingError(
        f"{dataset.label} holds examples of the form {dataset.form}, and the recipe {recipe} "
        f"learns from {' or '.join(FORMS[recipe])}. {advice}."
    )


def _check_data(dataset: Dataset) -> None:
    found = data.validate(dataset)
    if found.verdict == "refused":
        raise TrainingError(
            f"{dataset.label} is refused: {' '.join(found.reasons)} "
            f"`workbench data validate {dataset.label}` shows where."
        )
    if "train" not in dataset.splits:
        raise TrainingError(
            f"{dataset.label} has no part train to learn from. Split it: "
            f"`workbench data split {dataset.label}`."
        )


def _check_free(name: str) -> None:
    """Nobody's model is taken away without having been asked."""
    from workbench.engines import connect

    with connect() as engine:
        refuse_to_replace(engine, name)


def _check_alone(name: str) -> None:
    """Two trainings that make a model of one name would meet at the end."""
    for one in trainings():
        if one.name != name or one.ended_at is not None:
            continue
        job = job_of(one)
        if job is not None and job.state in {"queued", "running"}:
            raise TrainingError(
                f"The training {one.id} is about to make {name}. Wait for it, pause it "
                f"(`workbench train pause {one.id}`), or give another name."
            )


def _held_out(dataset: Dataset, share: float) -> Dataset:
    """The dataset with a part that is not learnt from, so that the gain can be told."""
    if set(dataset.splits) - {"train"} or not share or dataset.examples < _LEAST:
        return dataset
    return data.split(dataset, validation=share)

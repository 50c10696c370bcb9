"""The job of a training: trained, exported, checked, deployed, compared. Each part can be resumed.

What is done stays done: weights that are there are not trained again, files that are whole are
not written again, so a job that was killed goes on where it was.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import data
from workbench.errors import DataError
from workbench.jobs import JobContext
from workbench.lineage import Training, find, note
from workbench.train._gain import compare, control, gain, held_out, rendered
from workbench.train._manage import is_ours
from workbench.work import Part, writing

_log = logging.getLogger(__name__)
_TRAINED, _EXPORTED = 0.8, 0.93  # of the whole job
_HELD_OUT, _CONTROL = 12, 6  # texts for the parity gate


def run_training(
    job: JobContext,
    training: str,
    kinds: Sequence[str] = ("Q8_0",),
    system: str = "",
    replace: bool = False,
    deploy: bool = True,
    with_card: bool = True,
) -> dict[str, Any]:
    """The target of a training's job: what it made, and unless `with_card` is off its card.
    Raises TrainingError, DataError, EngineError; JobCancelled when it is paused."""
    run = find(training)
    if not _trained(run):
        _say_where(run)
        job.progress(0.0, "Reading the dataset")
        _recipe(run.recipe)(Part(job, 0.0, _TRAINED), training=run.id)
        run = find(run.id)
    if not (deploy and run.digest):
        from workbench.engines import connect
        from workbench.export import export_training

        if deploy and not replace:  # a kill may have come between its making and our note of it
            with connect() as engine:
                replace = is_ours(run, run.name, engine)
        run = export_training(
            Part(job, _TRAINED, _EXPORTED), run, kinds=tuple(kinds), deploy=deploy, name=run.name,
            replace=replace, system=system, texts=parity_texts(run), gaps=fills_gaps(run),
        )  # fmt: skip
    card = gain(run, job=Part(job, _EXPORTED, 1.0)) if with_card else None
    run = note(run, ended_at=datetime.now(UTC))
    return {
        "training": run.id, "name": run.name, "digest": run.digest,
        "words": list(card.words) if card else [],
        "measured": dict(run.measured), "folder": str(run.folder),
    }  # fmt: skip


def run_export(
    job: JobContext,
    training: str,
    kinds: Sequence[str],
    deploy: bool,
    name: str,
    system: str = "",
    replace: bool = False,
    as_adapter: bool = False,
    force: bool = False,
    folder: str | None = None,
) -> dict[str, Any]:
    """The target of `export_again` and `deploy`: the files, the parity report, the model."""
    from workbench.export import export_training

    before = find(training)
    run = export_training(
        job, before, kinds=tuple(kinds), deploy=deploy, name=name, replace=replace, system=system,
        as_adapter=as_adapter, force=force, texts=parity_texts(before), gaps=fills_gaps(before),
    )  # fmt: skip
    export = dict(run.export or {})
    copies = _copied(export, kinds, Path(folder), name) if folder else []
    if deploy and before.digest and run.name != before.name:
        _keep_name(before, run)
    return {"training": run.id, "name": name, "digest": run.digest if deploy else "",
            "export": export, "copies": copies}  # fmt: skip


def run_compare(job: JobContext, training: str, against: str = "") -> dict[str, Any]:
    """The target of a comparison: the card, against the base model or another training."""
    card = compare(training, against, job=job) if against else gain(training, job=job)
    return card.to_json()


def parity_texts(run: Training) -> list[str]:
    """On these an exported file must agree with the weights: held-out texts, and everyday ones."""
    _, examples = held_out(run)
    folder = run.folder / "model"
    texts = rendered(examples[:_HELD_OUT], folder) + rendered(control()[::5], folder)[:_CONTROL]
    return [text.text for _, text in texts]


def fills_gaps(run: Training) -> bool:
    """Whether the model fills gaps: it learnt that here, or its base model in the engine does."""
    from workbench.engines import connect
    from workbench.export import find_model

    with suppress(DataError):
        if data.find(run.dataset).form == "gap":
            return True
    if not run.base:
        return False
    with connect() as engine:
        base = find_model(engine, run.base)
        return base is not None and "insert" in engine.show(base.name).capabilities


def _trained(run: Training) -> bool:
    """Whether its weights are there and whole: what was measured is noted after them."""
    return "train_loss" in run.measured and (run.folder / "model" / "config.json").is_file()


def _say_where(run: Training) -> None:
    from workbench.cluster import executor

    if run.recipe != "finetune" and (there := executor()):
        _log.warning("%s is not used: only the recipe finetune learns on its workers.", there.name)


def _recipe(name: str) -> Callable[..., dict[str, Any]]:
    if name == "base":
        from workbench.pretrain import pretrain

        return pretrain
    from workbench import recipes

    return recipes.preferences if name == "preferences" else recipes.finetune


def _keep_name(before: Training, run: Training) -> None:
    """A second model of a training is noted beside the first one, by which it is known."""
    export = dict(run.export or {})
    export["also"] = {**(export.get("also") or {}), run.name: run.digest}
    export["deployed"] = (before.export or {}).get("deployed", "")
    note(run, name=before.name, digest=before.digest, export=export)


def _copied(export: Mapping[str, Any], kinds: Sequence[str], folder: Path, name: str) -> list[str]:
    """Copies of the files for a person, named after the model. Raises TrainingError."""
    stem = name.removesuffix(":latest").replace("/", "-").replace(":", "-")
    made = []
    for kind in kinds:
        path = folder / f"{stem}-{kind}.gguf"
        unfinished = path.with_name(f"{path.name}.part")
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(export["files"][kind]["path"], unfinished)
            unfinished.replace(path)
        made.append(str(path))
    return made

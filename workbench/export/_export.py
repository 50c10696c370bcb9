"""The whole way of a trained model: GGUF files, the parity gate, the engine.

What is done is noted in the training's record at once, with the files' hashes: a run that is
killed goes on where it was, and a file that is whole is not made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.export._deploy import deploy as put
from workbench.export._files import WHOLE, folder_digest, sha256, write_adapter, write_gguf
from workbench.export._names import checked_kinds, checked_name, refuse_to_replace
from workbench.export._parity import parity
from workbench.export._record import Record
from workbench.export._template import gap_template, go_template, stop_of
from workbench.export._words import load_tokenizer
from workbench.lineage import Training
from workbench.work import Part, attached, check_room

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.jobs import JobContext

ADAPTER = "adapter"  # the name of its file's kind


def export_training(
    job: JobContext | None,
    training: Training,
    *,
    kinds: Sequence[str] = ("Q8_0",),
    folder: Path | None = None,
    deploy: bool = True,
    name: str = "",
    replace: bool = False,
    system: str = "",
    parameters: Mapping[str, Any] | None = None,
    template: str = "",
    as_adapter: bool = False,
    base: Path | None = None,
    texts: Sequence[str] = (),
    force: bool = False,
    gaps: bool = False,
) -> Training:
    """Write the model of a training as GGUF, compare it, and put the first kind into the engine.

    The model is the folder `folder` (default: the run's `model`), the files go to `gguf`. `texts`
    are best held out from training. With `as_adapter` the run's `adapter` is put on top of its
    `base` (a Hugging Face folder), in the first kind. An engine that reads no Jinja gets a Go
    `template`, found where none is given; so does one whose model fills `gaps`.

    Returns the record, with `export` and, once deployed, `digest`. Raises TrainingError without a
    model, for a name that is taken unless `replace`, and, unless `force`, for a file that is not
    like its model: the record has the report.
    """
    from workbench.engines import connect

    wanted, name = checked_kinds(kinds), checked_name(name or training.name)
    source = _checked_folder(folder or training.folder / "model")
    with attached(job) as job, connect() as engine:
        if deploy and not replace:
            refuse_to_replace(engine, name)
        given = _modelfile(engine, source, parameters, template, gaps) if deploy else {}
        record, part = Record(training, source), Part(job, 0.0, 0.4)
        make = partial(_with_adapter, base=base) if as_adapter else _whole_files
        files = make(part, record, wanted)
        adapter = files.pop(ADAPTER, None)
        _check(Part(job, 0.4, 0.9), record, files, adapter, wanted, texts, force)
        if deploy:
            job.check_cancelled()
            job.progress(0.92, f"Creating {name}")
            given |= {"adapter": adapter, "system": system, "replace": replace}
            made = put(engine, name, files[wanted[0]], **given)
            record.deployed(ADAPTER if adapter else wanted[0], made)
        job.progress(1.0, "Exported")
    return record.training


def _modelfile(
    engine: Engine, source: Path, parameters: Mapping[str, Any] | None, template: str, gaps: bool
) -> dict[str, Any]:
    """Parameters and template for the engine: none for the embedded one, which reads Jinja, but
    for gaps.

    Raises TrainingError where an Ollama needs a template that cannot be found.
    """
    stop = stop_of(source)
    given = {**({"stop": stop} if stop else {}), **(parameters or {})}
    template = template or (gap_template(source) if gaps else "")
    if not template and engine.kind != "embedded" and load_tokenizer(source).chat_template:
        template = go_template(source)
        if not template:
            raise TrainingError(
                "This engine needs a Go template, and none was found that writes what the chat "
                f"template in {source} writes. Give one as template, or use the embedded engine "
                "(WORKBENCH_ENGINE=embedded)."
            )
    return {"parameters": given, "template": template}


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise TrainingError(
            f"There is no model in {folder} (config.json and safetensors). Train it to its end, or "
            "stop it with what it has learnt; then export it."
        )
    return folder


def _whole_files(job: JobContext, record: Record, wanted: Sequence[str]) -> dict[str, Path]:
    """The files by kind, what is missing written; an F16 file too, unless all passed before: it
    tells mistakes from what quantising costs."""
    if record.passed({kind: record.intact.get(kind, "") for kind in wanted}):
        return {kind: record.path(kind) for kind in wanted}
    needed = wanted if set(wanted) & set(WHOLE) else ("F16", *wanted)
    missing = [kind for kind in needed if kind not in record.intact]
    if missing:
        _make_room(record, record.source, len(missing))
        kept = [record.path(kind) for kind in needed if kind in WHOLE and kind not in missing]

        def told(kind: str, path: Path) -> None:
            record.add(kind, path)
            job.progress(len(record.intact) / len(needed), f"Wrote {kind}")
            job.check_cancelled()

        job.progress(0.0, f"Writing the model as {', '.join(missing)}")
        write_gguf(record.source, record.out, missing, whole=next(iter(kept), None), told=told)
    return {kind: record.path(kind) for kind in needed}


def _with_adapter(
    job: JobContext, record: Record, wanted: Sequence[str], base: Path | None
) -> dict[str, Path]:
    """The base's files by kind, and that of the adapter."""
    adapter = record.training.folder / "adapter"
    if not (adapter / "adapter_config.json").is_file():
        raise TrainingError(
            f"The training {record.training.id} has no adapter: it changed the whole model. "
            "Deploy that."
        )
    base = _checked_folder(base) if base else _base_of(adapter)
    out = record.out / f"base-{folder_digest(base)[:12]}"
    needed = wanted if set(wanted) & set(WHOLE) else ("F16", *wanted)
    missing = [kind for kind in needed if not (out / f"{kind}.gguf").is_file()]
    if missing:
        _make_room(record, base, len(missing))
        job.progress(0.0, f"Writing the base model as {', '.join(missing)}")
        write_gguf(base, out, missing)
    job.check_cancelled()
    record.add(ADAPTER, write_adapter(base, adapter, record.out / "adapter.gguf"))
    files = {kind: out / f"{kind}.gguf" for kind in needed}
    return {**files, ADAPTER: record.path(ADAPTER)}


def _base_of(adapter: Path) -> Path:
    """The base that the adapter's configuration names, when it is a folder here."""
    try:
        found = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        base = Path(str(found["base_model_name_or_path"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        base = Path()
    if not (base / "config.json").is_file():
        raise TrainingError(
            f"The base model of {adapter} is not here. Give its Hugging Face folder, or deploy the "
            "merged model."
        )
    return _checked_folder(base)


def _make_room(record: Record, source: Path, files: int) -> None:
    weights = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    check_room(record.training.folder, weights * (1 + files))


def _check(
    job: JobContext,
    record: Record,
    files: Mapping[str, Path],
    adapter: Path | None,
    wanted: Sequence[str],
    texts: Sequence[str],
    force: bool,
) -> None:
    """The parity gate; its report is kept. Files that nobody asked for go away afterwards."""
    hashes = {kind: sha256(path) for kind, path in files.items()}
    if adapter is not None:
        hashes[ADAPTER] = sha256(adapter)
    if not record.passed(hashes):
        report = parity(record.source, files, texts, adapter=adapter, job=job)
        record.note(parity={**report.to_json(), "files": hashes})
        if not report.ok and not force:
            raise TrainingError(
                f"{record.training.name} came out of the conversion as another model, so it was "
                f"not put into the engine. {report.why}"
            )
    for kind in set(files) - set(wanted):
        files[kind].unlink(missing_ok=True)
        record.drop(kind)

"""The whole way of a training's model: files, gate, engine; killed and gone on; refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from workbench import data
from workbench.engines import Engine
from workbench.errors import TrainingError
from workbench.examples import Example
from workbench.export import export_training, merge, write_gguf
from workbench.export._files import folder_digest, sha256
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.lineage import Training, begin, find, graph, made, note

TEXTS = ["import os\n\n\ndef main():\n    print(os.getcwd())\n", "A line of text, held out."]


@pytest.fixture
def training(engine: Engine, model_folder: Path) -> Training:
    """A training that has come to its end: its model is there."""
    with data.writing("notes", "text", recipe={"kind": "test"}) as draft:
        draft.add(Example.of("text", {"text": "Something to learn."}))
    run = begin("base", "mine", dataset=data.find("notes"), settings={})
    shutil.copytree(model_folder, run.folder / "model")
    return run


def files_of(run: Training) -> list[str]:
    return sorted(str(path.relative_to(run.folder)) for path in run.folder.rglob("*.gguf"))


def test_from_weights_to_an_answer(engine: Engine, training: Training, tmp_path: Path) -> None:
    told: list[Report] = []
    job = JobContext("here", tmp_path, report=told.append)
    run = export_training(
        job, training, kinds=["q8_0", "Q4_0"], texts=TEXTS, system="Be brief.", force=True
    )
    assert run == find("mine") and run.export is not None
    assert run.export["deployed"] == "Q8_0" and list(run.export["files"]) == ["Q8_0", "Q4_0"]
    assert files_of(run) == ["gguf/Q4_0.gguf", "gguf/Q8_0.gguf"], "F16 was for the comparison"
    for entry in run.export["files"].values():
        assert sha256(Path(entry["path"])) == entry["sha256"]
        assert Path(entry["path"]).stat().st_size == entry["bytes"]
    assert [row["kind"] for row in run.export["parity"]["rows"]] == ["F16", "Q8_0", "Q4_0"]
    [model] = engine.models()
    assert model.name == "mine:latest" and run == made(model.digest)
    assert engine.show("mine").system == "Be brief."
    assert {node.kind for node in graph(run).nodes} >= {"training", "file", "model"}
    shares = [one.fraction for one in told if one.fraction is not None]
    assert shares == sorted(shares) and shares[-1] == 1.0

    again = export_training(None, run, kinds=["Q8_0"], name="other:tag", texts=TEXTS)
    assert again.export == run.export, "nothing was to be done but the model"
    assert {model.name for model in engine.models()} == {"mine:latest", "other:tag"}


def test_what_is_whole_is_not_made_again(engine: Engine, training: Training) -> None:
    run = export_training(None, training, kinds=["F16", "Q8_0"], texts=TEXTS, deploy=False)
    assert engine.models() == [] and run.digest == "" and run.export is not None
    stamps = {name: (run.folder / name).stat().st_mtime_ns for name in files_of(run)}
    (run.folder / "gguf" / "Q8_0.gguf").write_bytes(b"damaged since")
    run = export_training(None, run, kinds=["F16", "Q8_0"], texts=TEXTS)
    after = {name: (run.folder / name).stat().st_mtime_ns for name in files_of(run)}
    assert [name for name in stamps if stamps[name] != after[name]] == ["gguf/Q8_0.gguf"]
    assert run.digest and run.export is not None
    first = run.export["parity"]

    config = run.folder / "model" / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "temperature": 0.5}))
    run = export_training(None, run, kinds=["F16"], texts=TEXTS, replace=True)
    assert run.export is not None and list(run.export["files"]) == ["F16"], "another model's"
    assert run.export["parity"]["files"] != first["files"]


def test_a_file_that_is_not_like_its_model_is_not_deployed(
    engine: Engine, training: Training, tmp_path: Path
) -> None:
    other = shutil.copytree(training.folder / "model", tmp_path / "other")
    config = other / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "rms_norm_eps": 0.5}))
    path = write_gguf(other, training.folder / "gguf", ["F16"])["F16"]
    entry = {"sha256": sha256(path), "bytes": path.stat().st_size, "path": str(path)}
    source = folder_digest(training.folder / "model")
    training = note(training, export={"source": source, "files": {"F16": entry}})
    with pytest.raises(TrainingError, match=r"as another model.*F16: .*They part at token"):
        export_training(None, training, kinds=["F16"], texts=TEXTS)
    kept = find(training.id)
    assert engine.models() == [] and kept.digest == "" and kept.export is not None
    report = kept.export["parity"]
    assert not report["ok"] and report["worst"]["gap"] > 0 and not report["rows"][0]["ok"]
    assert "deployed" not in kept.export
    forced = export_training(None, kept, kinds=["F16"], texts=TEXTS, force=True)
    assert forced.digest and not (forced.export or {})["parity"]["ok"]


def test_names_that_are_taken_and_models_that_are_not_there(
    engine: Engine, training: Training
) -> None:
    run = export_training(None, training, kinds=["F16"], texts=TEXTS)
    digest = run.digest
    with pytest.raises(TrainingError, match="There is a model mine:latest already"):
        export_training(None, run, kinds=["F16"], texts=TEXTS)
    with pytest.raises(TrainingError, match="must be one of"):
        export_training(None, run, kinds=["Q9"])
    with pytest.raises(TrainingError, match="at least one kind"):
        export_training(None, run, kinds=[])
    with pytest.raises(TrainingError, match="has no adapter"):
        export_training(None, run, as_adapter=True, replace=True)
    shutil.rmtree(run.folder / "model")
    with pytest.raises(TrainingError, match="There is no model in"):
        export_training(None, run, kinds=["F16"], replace=True)
    assert [model.digest for model in engine.models()] == [digest]


def test_the_adapter_alone(
    engine: Engine, training: Training, model_folder: Path, lora_folder: Path
) -> None:
    shutil.rmtree(training.folder / "model")
    shutil.copytree(lora_folder, training.folder / "adapter")
    merge(model_folder, lora_folder, training.folder / "model")
    run = export_training(None, training, as_adapter=True, base=model_folder, texts=TEXTS)
    assert run.export is not None and list(run.export["files"]) == ["adapter"]
    assert run.export["deployed"] == "adapter" and run.export["parity"]["ok"]
    [listed] = engine.models()
    assert listed.digest == run.digest and "ADAPTER" in engine.show("mine").modelfile
    whole = export_training(None, run, name="whole", texts=TEXTS)
    assert set((whole.export or {})["files"]) == {"adapter", "Q8_0"}
    options = {"temperature": 0, "num_predict": 8}
    assert engine.generate("mine", "x", options=options).text
    path = training.folder / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": "gone"}))
    with pytest.raises(TrainingError, match=r"base model of .* is not here"):
        export_training(None, run, as_adapter=True, texts=TEXTS, replace=True)


def test_cancelled_it_stops_and_goes_on(engine: Engine, training: Training, tmp_path: Path) -> None:
    stop = threading.Event()

    def told(step: Report) -> None:
        if step.message == "Wrote F16":
            stop.set()

    with pytest.raises(JobCancelled):
        export_training(JobContext("x", tmp_path, report=told, stop=stop), training, texts=TEXTS)
    run = find(training.id)
    assert run.export is not None and engine.models() == []
    assert export_training(None, run, texts=TEXTS).digest


KILLED = """
import os, signal, sys
from workbench import lineage
from workbench.export import export_training
from workbench.jobs import JobContext
from pathlib import Path

def told(step):
    if step.message.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

run = lineage.find(sys.argv[1])
export_training(JobContext("x", Path(sys.argv[3]), report=told), run, texts=["import os, sys"])
"""


def test_killed_in_the_middle_it_goes_on(
    engine: Engine, training: Training, tmp_path: Path
) -> None:
    command: list[Any] = [sys.executable, "-c", KILLED, training.id, "Comparing Q8_0", tmp_path]
    ended = subprocess.run(command, env=dict(os.environ), capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    run = find(training.id)
    assert run.export is not None and "Q8_0" in run.export["files"] and not run.digest
    stamp = (run.folder / "gguf" / "Q8_0.gguf").stat().st_mtime_ns
    run = export_training(None, run, texts=["import os, sys"])
    assert (run.folder / "gguf" / "Q8_0.gguf").stat().st_mtime_ns == stamp
    assert [model.name for model in engine.models()] == ["mine:latest"]
    assert files_of(run) == ["gguf/Q8_0.gguf"]


def test_a_full_disk(engine: Engine, training: Training) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
    try:
        with pytest.raises(Exception, match="cannot be written"):
            export_training(None, training, texts=TEXTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert engine.models() == [] and files_of(training) == []
    assert export_training(None, find(training.id), texts=TEXTS).digest

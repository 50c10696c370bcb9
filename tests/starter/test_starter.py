"""The starter all the way: sources in, a model in the engine out, which answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.engines import Engine
from workbench.errors import InvalidRequest, TrainingError
from workbench.jobs import JobContext, Report
from workbench.starter import build_starter
from workbench.starter._publish import code_of, is_python


def test_sources_become_a_model_that_answers(
    engine: Engine, tiny: dict[str, Any], tmp_path: Path
) -> None:
    told: list[Report] = []
    job = JobContext("one", tmp_path, report=told.append)
    made = build_starter(job, name="tiny-starter", **tiny)
    _check_figures(made, told)
    assert engine.show("tiny-starter").context_length == 128
    assert made["digest"] in {model.digest for model in engine.models()}
    reply = engine.generate("tiny-starter", "def f(", options={"num_predict": 8})
    assert reply.metrics.eval_count > 0
    chat = [{"role": "user", "content": "Hello"}]
    assert engine.chat("tiny-starter", chat, options={"num_predict": 8}).metrics.eval_count > 0
    gap = engine.generate("tiny-starter", "def f(", suffix="return 1", options={"num_predict": 8})
    assert gap.metrics.eval_count > 0
    _check_engine_agrees(engine, made)
    assert not (tmp_path / "checkpoint.pt").exists() and not list(tmp_path.glob("*.gguf"))
    with pytest.raises(TrainingError, match="There is a model Tiny-Starter:latest already"):
        build_starter(job, name="Tiny-Starter", **tiny)
    again = build_starter(job, name="tiny-starter", **tiny | {"steps": 1}, replace=True,
                          quantization="q8_0")  # fmt: skip
    assert again["digest"] != made["digest"] and again["gguf_bytes"] < made["gguf_bytes"]
    assert engine.show("tiny-starter").quantization == "Q8_0"


def _check_figures(made: dict[str, Any], told: list[Report]) -> None:
    assert json.loads(json.dumps(made)) == made
    assert made["name"] == "tiny-starter:latest" and made["quantization"] == "F16"
    assert made["steps"] == 12 and made["tokens_seen"] == 12 * 4096
    curve = [report.metrics for report in told if "step" in report.metrics]
    assert curve[-1]["validation_loss"] < curve[0]["validation_loss"]
    assert made["validation_loss"] == pytest.approx(curve[-1]["validation_loss"], abs=1e-4)
    fractions = [report.fraction for report in told if report.fraction is not None]
    assert fractions == sorted(fractions)
    assert len(made["lineage"]["corpus_sha256"]) == len(made["gguf_sha256"]) == 64
    assert [sample["prompt"] for sample in made["samples"]] and made["parameters"] > 500_000


def _check_engine_agrees(engine: Engine, made: dict[str, Any]) -> None:
    """The first token that the engine chooses is the one that Transformers chooses."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(made["folder"])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Write a function."}],
        tokenize=False,
        add_generation_prompt=True,
    )
    with torch.no_grad():
        logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
    expected = {tokenizer.decode([token]) for token in logits.topk(2).indices.tolist()}
    options = {"temperature": 0, "num_predict": 1}
    assert engine.generate("tiny-starter", "Write a function.", options=options).text in expected


def test_a_plain_call_needs_no_job(engine: Engine, tiny: dict[str, Any]) -> None:
    made = build_starter(name="plain:small", **tiny | {"steps": 1})
    assert made["name"] == "plain:small" and made["folder"] is None
    engine.delete("plain:small")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"minutes": 0}, "minutes must be more than 0"),
        ({"minutes": float("nan")}, "minutes must be more than 0"),
        ({"minutes": "3"}, "minutes must be more than 0"),
        ({"steps": 0}, "steps must be a whole number from 1 to"),
        ({"depth": 1000}, "depth must be a whole number from 1 to 48"),
        ({"vocab_size": 100}, "vocab_size must be a whole number from"),
        ({"context": 1.5}, "context must be a whole number from"),
        ({"seed": -1}, "seed must be a whole number from"),
        ({"seed": True}, "seed must be a whole number from"),
        ({"precision": "int3"}, "precision must be auto, fp32 or bf16"),
        ({"quantization": "Q9"}, "quantization must be one of"),
        ({"corpus": "/nowhere"}, "no folder /nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused(
    engine: Engine, tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        build_starter(JobContext("bad", tmp_path), **given)


@pytest.mark.parametrize("name", ["", "../../x", "a b", "x" * 200, "a:b:c/d"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be a model's name"):
        build_starter(name=name)


def test_an_empty_corpus_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at least 2 are needed"):
        build_starter(JobContext("empty", tmp_path), corpus=str(tmp_path))


def test_a_folder_that_cannot_be_written_is_told(
    engine: Engine, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """A file stands where the job's folder should be, which stops even root."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        build_starter(JobContext("file", tmp_path / "file"), name="nowhere", **tiny)


def test_importing_the_room_loads_no_torch() -> None:
    code = "import sys, workbench.starter; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("answer", "code", "good"),
    [
        ("```python\ndef f():\n    pass\n```", "def f():\n    pass", True),
        ("Here:\n```\ndef f(): pass", "def f(): pass", True),
        ("async def f(): pass", "async def f(): pass", True),
        ("def f(:", "def f(:", False),
        ("I do not know", "I do not know", False),
        ("1 + 1", "1 + 1", False),
    ],
)
def test_python_is_recognised(answer: str, code: str, good: bool) -> None:
    assert code_of(answer) == code
    assert is_python(code) is good

"""Putting a model into the engine: it answers there, or it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from export.hf_tiny import write_mute, write_tokenizer
from tiny import CHATML

from workbench.engines import Engine
from workbench.errors import EngineError, InvalidRequest, TrainingError
from workbench.export import deploy, write_adapter, write_gguf
from workbench.export._export import _modelfile


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    return write_gguf(model_folder, tmp_path_factory.mktemp("gguf"), ["F16"])["F16"]


def test_it_is_made_with_all_that_belongs_to_it(engine: Engine, gguf: Path) -> None:
    parameters = {"num_ctx": 128, "stop": ["<|im_end|>"]}
    made = deploy(
        engine, "Mine:v1", gguf, system="Be brief.", parameters=parameters, license="MIT",
        template="{{ .System }} {{ .Prompt }}",
    )  # fmt: skip
    assert made.name == "Mine:v1" and made.answer.strip()
    [listed] = engine.models()
    assert (listed.name, listed.digest) == ("Mine:v1", made.digest)
    shown = engine.show("mine:v1")
    assert (shown.system, shown.license, shown.template) == (
        "Be brief.", "MIT", "{{ .System }} {{ .Prompt }}",
    )  # fmt: skip
    assert "num_ctx" in shown.parameters
    assert engine.generate("mine:v1", "x", options={"num_predict": 3}).text


def test_nobody_loses_a_model_by_accident(engine: Engine, gguf: Path, tmp_path: Path) -> None:
    first = deploy(engine, "mine", gguf)
    with pytest.raises(TrainingError, match=r"There is a model MINE:latest already"):
        deploy(engine, "MINE", gguf, system="Another.")
    assert deploy(engine, "mine", gguf, system="Another.", replace=True).digest != first.digest
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(gguf.read_bytes()[:-5000])
    before = engine.models()
    with pytest.raises(EngineError):
        deploy(engine, "mine", broken, replace=True)
    assert engine.models() == before, "what was there answers still"


def test_a_model_that_is_mute_is_not_kept(
    engine: Engine, gguf: Path, folder: Path, tmp_path: Path
) -> None:
    deploy(engine, "mine", gguf)
    before = engine.models()
    mute = write_gguf(write_mute(folder), tmp_path / "gguf", ["F16"])["F16"]
    with pytest.raises(TrainingError, match="answers nothing"):
        deploy(engine, "mine", mute, replace=True)
    assert engine.models() == before


def test_an_adapter_on_a_file_and_on_a_model(
    engine: Engine, gguf: Path, model_folder: Path, lora_folder: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(model_folder, lora_folder, tmp_path / "adapter.gguf")
    plain = deploy(engine, "plain", gguf)
    on_file = deploy(engine, "on-file", gguf, adapter=adapter)
    on_model = deploy(engine, "on-model", None, adapter=adapter, base_model="plain")
    assert on_file.answer == on_model.answer != plain.answer
    with pytest.raises(TrainingError, match="There is no model absent"):
        deploy(engine, "on-nothing", None, adapter=adapter, base_model="absent")


def test_an_engine_that_reads_no_jinja_gets_a_go_template(
    engine: Engine, live_engine: str, gguf: Path, folder: Path
) -> None:
    from transformers import AutoTokenizer

    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    with Engine(live_engine, kind="ollama") as other:
        given = _modelfile(other, folder, {"num_ctx": 64}, "", False)
        assert given["parameters"] == {"num_ctx": 64}
        deploy(engine, "mine", gguf, **given)
        written = AutoTokenizer.from_pretrained(folder).apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        assert "{{" in engine.show("mine").template and engine.render("mine", turns) == written
        write_tokenizer(folder, CHATML.replace("message.content", "message.content | upper"))
        with pytest.raises(TrainingError, match="needs a Go template, and none was found"):
            _modelfile(other, folder, None, "", False)
        assert (
            _modelfile(other, folder, None, "{{ .Prompt }}", False)["template"] == "{{ .Prompt }}"
        )
    assert _modelfile(engine, folder, None, "", False)["template"] == ""


@pytest.mark.parametrize("name", ["", "../x", "a b", "x:y:z", "\0"])
def test_bad_names_are_refused_before_any_work(engine: Engine, gguf: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be a model's name"):
        deploy(engine, name, gguf)
    assert engine.models() == []

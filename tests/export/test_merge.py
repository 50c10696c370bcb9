"""Merging a LoRA: the same as base with adapter, and refused where it would be another model."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from export.hf_tiny import write_lora, write_model

from workbench.errors import TrainingError
from workbench.export import merge

IDS = [[0, 300, 301, 500, 20, 900, 41]]


def logits(folder: Path, adapter: Path | None = None) -> Any:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model(torch.tensor(IDS)).logits


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"use_dora": True}], ids=str)
def test_it_says_what_base_and_adapter_say(
    model_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    adapter = write_lora(tmp_path / "lora", model_folder, **settings)
    merged = merge(model_folder, adapter, tmp_path / "merged")
    expected = logits(model_folder, adapter)
    assert (logits(model_folder) - expected).abs().max() > 0.1, "the adapter does something"
    assert (logits(merged) - expected).abs().max() < 1e-3
    assert not list(merged.glob("adapter*")) and not list(tmp_path.glob(".*"))
    written = AutoTokenizer.from_pretrained(merged)
    assert "<|im_start|>" in written.chat_template and written("a")["input_ids"][0] == 0


def test_the_adapters_own_tokenizer_counts(lora: Path, folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*token*"):
        shutil.copy(path, lora)
    (lora / "chat_template.jinja").write_text("{{ messages[0].content }}")
    merged = merge(folder, lora, tmp_path / "merged")
    assert (merged / "chat_template.jinja").read_text() == "{{ messages[0].content }}"


def test_what_was_learnt_is_not_rounded_off(tmp_path: Path) -> None:
    """A base in 16 bits stays so, unless that costs something."""
    import torch

    base = write_model(tmp_path / "base", dtype=torch.bfloat16, initializer_range=0.3)
    small = write_lora(tmp_path / "small", base, size=0.001)
    merged = merge(base, small, tmp_path / "merged")
    stored = json.loads((merged / "config.json").read_text())["dtype"]
    gap = (logits(merged) - logits(base, small)).abs().max()
    assert stored == "float32" and gap < 1e-3
    half = write_model(tmp_path / "half", dtype=torch.float16)
    merged = merge(half, write_lora(tmp_path / "lora", half), tmp_path / "merged")
    assert json.loads((merged / "config.json").read_text())["dtype"] == "float16"


def _change(adapter: Path, **values: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _tensors(adapter: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(adapter / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, adapter / "adapter_model.safetensors")


def _cut(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _pickled(adapter: Path) -> None:
    import torch

    (adapter / "adapter_model.safetensors").unlink()
    torch.save({}, adapter / "adapter_model.bin")


def _not_a_number(tensors: dict[str, Any]) -> None:
    next(iter(tensors.values())).view(-1)[3] = float("nan")


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no configuration": (lambda a: (a / "adapter_config.json").unlink(), "cannot be read"),
    "no JSON": (lambda a: _write(a, "{"), "cannot be read"),
    "a list": (lambda a: _write(a, "[]"), "cannot be read"),
    "deep": (lambda a: _write(a, "[" * 100_000), "cannot be read"),
    "another kind": (lambda a: _change(a, peft_type="IA3"), "'IA3' cannot be merged"),
    "cut off": (_cut, "cannot be read"),
    "pickled": (_pickled, "pickled weights are not read"),
    "not a number": (lambda a: _tensors(a, _not_a_number), "numbers that are none"),
    "empty": (lambda a: _tensors(a, dict.clear), "no tensors"),
    "half": (lambda a: _tensors(a, lambda t: t.pop(next(iter(t)))), "is missing"),
    "more": (lambda a: _tensors(a, lambda t: t.update(extra=t[next(iter(t))].clone())), "no place"),
    "huge rank": (lambda a: _change(a, r=10**12), "its rank is"),
    "odd rank": (lambda a: _change(a, r="many"), "its rank is"),
    "no target": (lambda a: _change(a, target_modules=["nothing"]), "does not fit"),
    "odd targets": (lambda a: _change(a, target_modules=7), "does not fit"),
}


def _write(adapter: Path, text: str) -> None:
    (adapter / "adapter_config.json").write_text(text)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_is_refused(
    name: str, lora: Path, model_folder: Path, tmp_path: Path
) -> None:
    damage, words = BROKEN[name]
    damage(lora)
    with pytest.raises(TrainingError, match=words):
        merge(model_folder, lora, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_what_an_adapter_was_begun_with_plays_no_part(
    lora: Path, model_folder: Path, tmp_path: Path
) -> None:
    """Such settings change the base, look for files or import modules."""
    _change(lora, init_lora_weights="pissa", base_model_name_or_path="https://example.org/x")
    _change(lora, auto_mapping={"parent_library": "antigravity", "base_model_class": "x"})
    merged = merge(model_folder, lora, tmp_path / "merged")
    _change(lora, init_lora_weights=True, auto_mapping=None)
    assert (logits(merged) - logits(model_folder, lora)).abs().max() < 1e-3


@pytest.mark.parametrize("changes", [{"hidden_size": 32}, {"num_hidden_layers": 1}], ids=str)
def test_an_adapter_of_another_base_is_refused(
    lora: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    other = write_model(tmp_path / "other", **changes)
    with pytest.raises(TrainingError, match="does not fit this base model"):
        merge(other, lora, tmp_path / "merged")


def test_a_matrix_shared_with_the_embeddings_is_not_changed_twice(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", tie_word_embeddings=True)
    adapter = write_lora(tmp_path / "lora", base, target_modules=["lm_head"])
    with pytest.raises(TrainingError, match="shared with the embeddings"):
        merge(base, adapter, tmp_path / "merged")


def test_a_base_that_is_not_whole_is_refused(folder: Path, lora: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(TrainingError, match="lacks 1 of its tensors"):
        merge(folder, lora, tmp_path / "merged")
    path.write_bytes(b"x")
    with pytest.raises(TrainingError, match="cannot be read"):
        merge(folder, lora, tmp_path / "merged")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"has no tokenizer\.json"):
        merge(folder, lora, tmp_path / "merged")


def test_a_full_disk_leaves_what_was_there(
    model_folder: Path, lora_folder: Path, tmp_path: Path
) -> None:
    out = merge(model_folder, lora_folder, tmp_path / "merged")
    before = (out / "model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(TrainingError, match="Make room there"):
            merge(model_folder, lora_folder, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (out / "model.safetensors").read_bytes() == before
    merge(model_folder, lora_folder, out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

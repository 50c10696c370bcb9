"""LoRA adapters: base + adapter in llama.cpp against the merged model in Transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import agreement, load_reference, prompts, reference_logprobs
from hf_models import make_folder
from safetensors.numpy import save_file

from workbench.errors import GGUFError
from workbench.gguf import convert, convert_adapter, read_header

TARGETS = {
    "llama": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "gpt2": ("c_attn", "c_proj", "c_fc"),
    "gemma3_text": ("q_proj", "k_proj", "down_proj"),
    "phi3": ("qkv_proj", "gate_up_proj"),
}
RANK, ALPHA = 4, 6


def make_adapter(folder: Path, model: Any, kind: str, **settings: Any) -> Path:
    """A random adapter in PEFT's layout; it is merged into `model` at the same time."""
    import torch

    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, **settings}
    random = np.random.default_rng(3)
    tensors = {}
    for name, module in model.named_modules():
        if name.rpartition(".")[2] not in TARGETS[kind]:
            continue
        outputs, inputs = module.weight.shape if kind != "gpt2" else module.weight.shape[::-1]
        a = random.standard_normal((RANK, inputs)).astype(np.float32) / inputs**0.5
        b = random.standard_normal((outputs, RANK)).astype(np.float32)
        tensors[f"base_model.model.{name}.lora_A.weight"] = a
        tensors[f"base_model.model.{name}.lora_B.weight"] = b
        scale = ALPHA / (RANK**0.5 if settings.get("use_rslora") else RANK)
        change = torch.from_numpy(b @ a) * scale
        with torch.no_grad():
            module.weight += change.T if kind == "gpt2" else change
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("llama", {}),
        ("llama", {"use_rslora": True}),
        ("gpt2", {}),
        ("gemma3_text", {}),
        ("phi3", {}),
    ],
)
def test_base_and_adapter_are_the_merged_model(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    base = make_folder(kind, tmp_path / "base")
    model = load_reference(base)
    tokens = prompts()
    plain = reference_logprobs(model, tokens)
    folder = make_adapter(tmp_path / "lora", model, kind, **settings)
    expected = reference_logprobs(model, tokens)
    path = convert(base, tmp_path / "base.gguf", dtype="f32")
    adapter = convert_adapter(folder, tmp_path / "lora.gguf", base=base)
    assert agreement(plain, path, tokens, adapter=adapter).kl > 0.05, "the adapter does something"
    assert agreement(expected, path, tokens, adapter=adapter).kl < 1e-5


def test_a_gguf_file_can_be_the_base(llama_folder: Path, tmp_path: Path) -> None:
    path = convert(llama_folder, tmp_path / "base.gguf")
    folder = make_adapter(tmp_path / "lora", load_reference(llama_folder), "llama")
    one = convert_adapter(folder, tmp_path / "one.gguf", base=llama_folder)
    two = convert_adapter(folder, tmp_path / "two.gguf", base=path)
    assert one.read_bytes() == two.read_bytes()
    header = read_header(one)
    assert header.metadata["general.type"] == "adapter"
    assert header.metadata["adapter.lora.alpha"] == ALPHA


REFUSED = {
    "DoRA": {"use_dora": True},
    "modules_to_save": {"modules_to_save": ["lm_head"]},
    "biases": {"bias": "all"},
    "'IA3'": {"peft_type": "IA3"},
    "lora_alpha": {"lora_alpha": 0},
    "alpha_pattern": {"alpha_pattern": {"k_proj": 3}},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_llama_cpp_cannot_apply_is_refused(
    words: str, llama_folder: Path, tmp_path: Path
) -> None:
    folder = make_adapter(tmp_path / "lora", load_reference(llama_folder), "llama")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **REFUSED[words]}))
    with pytest.raises(GGUFError, match=words):
        convert_adapter(folder, tmp_path / "lora.gguf", base=llama_folder)


def test_an_adapter_for_another_model_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    other = make_folder("gpt2", tmp_path / "gpt2")
    folder = make_adapter(tmp_path / "lora", load_reference(other), "gpt2")
    with pytest.raises(GGUFError, match="no place"):
        convert_adapter(folder, tmp_path / "lora.gguf", base=llama_folder)
    half = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": np.ones((4, 64))}
    save_file(half, folder / "adapter_model.safetensors")
    with pytest.raises(GGUFError, match="do not fit together"):
        convert_adapter(folder, tmp_path / "lora.gguf", base=llama_folder)

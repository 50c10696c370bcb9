"""Converted models against Transformers: the next token's distribution, architecture by one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from compare import agreement, load_reference, prompts, reference_logprobs
from hf_models import CHATML, make_folder

from workbench.errors import GGUFError
from workbench.gguf import convert, read_header

THETA = {"rope_theta": 10000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
GLOBAL = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama, llama3 rope": ("llama", {"rope_parameters": LLAMA3}),
    "llama, linear rope": (
        "llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, **THETA}},
    ),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, tied": ("llama", {"tie_word_embeddings": True}),
    "mistral, own head size": ("mistral", {"head_dim": 32}),
    "qwen2": ("qwen2", {}),
    "qwen2, yarn": ("qwen2", {"rope_parameters": YARN}),
    "qwen2, yarn with a scale": ("qwen2", {"rope_parameters": {**YARN, "attention_factor": 1.3}}),
    "qwen3": ("qwen3", {}),
    "gemma3": ("gemma3_text", {}),
    "gemma3, stretched": (
        "gemma3_text",
        {"rope_parameters": {"full_attention": GLOBAL, "sliding_attention": {"rope_theta": 3e3}}},
    ),
    "phi3": ("phi3", {}),
    "phi3, partly rotated": ("phi3", {"partial_rotary_factor": 0.5}),
    "gpt2": ("gpt2", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_next_token_is_that_of_transformers(case: str, tmp_path: Path) -> None:
    kind, changes = CASES[case]
    folder = make_folder(kind, tmp_path / "hf", **changes)
    tokens = prompts()
    expected = reference_logprobs(load_reference(folder), tokens)
    exact = agreement(expected, convert(folder, tmp_path / "f32.gguf", dtype="f32"), tokens)
    assert exact.entropy > 0.5, "a flat or certain model could hide a mistake"
    assert exact.kl < 1e-5
    assert exact.top1 == 1
    half = agreement(expected, convert(folder, tmp_path / "f16.gguf"), tokens)
    assert half.kl < 2e-3
    assert half.top1 == 1


def test_phi3_longrope_uses_the_divisors_for_the_length(tmp_path: Path) -> None:
    """llama.cpp chooses by the size of the context, Transformers by the length of the text."""
    rope = {
        "rope_type": "longrope",
        "short_factor": [1.0 + 0.1 * i for i in range(8)],
        "long_factor": [1.5 + i for i in range(8)],
        "original_max_position_embeddings": 256,
        **THETA,
    }
    folder = make_folder(
        "phi3",
        tmp_path / "hf",
        max_position_embeddings=1024,
        original_max_position_embeddings=256,
        rope_parameters=rope,
    )
    path = convert(folder, tmp_path / "f32.gguf", dtype="f32")
    model = load_reference(folder)
    for length, context in ((100, 256), (300, 512)):
        tokens = prompts((length,))
        expected = reference_logprobs(model, tokens)
        assert agreement(expected, path, tokens, context=context).kl < 1e-5


def test_a_name_that_llama_cpp_treats_in_its_own_way(tmp_path: Path) -> None:
    """A model named like Phi-3 must have Phi-3's tokens, or llama.cpp would not load it."""
    folder = make_folder("phi3", tmp_path / "My-Phi-3")
    path = convert(folder, tmp_path / "m.gguf", dtype="f32")
    tokens = prompts((5,))
    expected = reference_logprobs(load_reference(folder), tokens)
    assert agreement(expected, path, tokens).kl < 1e-5


def test_bf16_weights_in_shards(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = make_folder("qwen3", tmp_path / "hf", dtype=torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    path = convert(folder, tmp_path / "bf16.gguf", dtype="bf16")
    assert read_header(path).file_type == "BF16"
    tokens = prompts()
    expected = reference_logprobs(load_reference(folder), tokens)
    assert agreement(expected, path, tokens).kl < 2e-2


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_the_text_half_of_a_gemma_that_sees(prefix: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = make_folder("gemma3_text", tmp_path / "hf")
    expected = read_header(convert(folder, tmp_path / "text.gguf"))
    config = json.loads((folder / "config.json").read_text())
    whole = {"model_type": "gemma3", "text_config": config, "vision_config": {"hidden_size": 8}}
    (folder / "config.json").write_text(json.dumps(whole))
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.replace("model.", prefix, 1): one for name, one in tensors.items()}
    tensors["vision_tower.encoder.weight"] = next(iter(tensors.values()))
    save_file(tensors, folder / "model.safetensors")
    found = read_header(convert(folder, tmp_path / "whole.gguf"))
    assert {one.name: one.shape for one in found.tensors} == {
        one.name: one.shape for one in expected.tensors
    }
    assert found.get("attention.sliding_window") == 16


def test_senseless_configurations_are_refused(llama_folder: Path, tmp_path: Path) -> None:
    """Any value in any field: a file or a GGUFError, never another error."""
    folder = _copy(llama_folder, tmp_path / "hf")
    original = json.loads((folder / "config.json").read_text())
    odd = [0, -1, 1, 2**40, 1e400, -0.5, "x", None, [], {}, True, [[]], {"rope_type": []}]
    dice = random.Random(5)
    refused = 0
    for _ in range(80):
        changes = {key: dice.choice(odd) for key in dice.sample(sorted(original), 2)}
        if dice.random() < 0.5:
            kind = dice.choice(["llama3", "yarn", "linear", "longrope", "dynamic"])
            rope = {"rope_type": kind, "factor": dice.choice(odd), "rope_theta": dice.choice(odd)}
            changes["rope_parameters"] = rope | {"short_factor": dice.choice(odd)}
        (folder / "config.json").write_text(json.dumps({**original, **changes}))
        try:
            convert(folder, tmp_path / "m.gguf")
        except GGUFError:
            refused += 1
    assert refused > 20


def test_older_configurations_are_read(llama_folder: Path, tmp_path: Path) -> None:
    """`rope_theta` and `rope_scaling` at the top, as Transformers 4 wrote them."""
    folder = _copy(llama_folder, tmp_path / "old")
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    config |= {"rope_theta": 777.0, "rope_scaling": {"type": "linear", "factor": 2.0}}
    (folder / "config.json").write_text(json.dumps(config))
    header = read_header(convert(folder, tmp_path / "old.gguf"))
    assert header.get("rope.freq_base") == 777
    assert header.get("rope.scaling.type") == "linear"
    assert header.get("rope.scaling.factor") == 2


def test_header_of_a_converted_model(llama_folder: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    path = convert(llama_folder, tmp_path / "m.gguf", progress=seen.append)
    header = read_header(path)
    assert header.architecture == "llama"
    assert header.file_type == "F16"
    assert header.get("context_length") == 256
    assert header.metadata["tokenizer.ggml.model"] == "gpt2"
    assert header.metadata["tokenizer.ggml.pre"] == "llama-bpe"
    assert header.metadata["tokenizer.ggml.bos_token_id"] == 1
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    assert header.metadata["tokenizer.chat_template"] == CHATML
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert [one.name for one in tmp_path.iterdir()] == ["m.gguf"], "no temporary file is left"


def _copy(source: Path, target: Path) -> Path:
    import shutil

    return Path(shutil.copytree(source, target))


def _change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def _cut_weights(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _drop_layer(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if "layers.1.mlp" not in k}, folder / "model.safetensors"
    )


def _drop_head(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors")


def _huge_weights(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e30
    save_file(tensors, folder / "model.safetensors")


def _outside_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"x": "../../etc/passwd"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


BROKEN = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "JSON object"),
    "config nests deeply": (lambda f: (f / "config.json").write_text("[" * 10**6), "valid JSON"),
    "unknown family": (lambda f: _change_config(f, model_type="mamba"), "cannot be converted"),
    "sizes are words": (lambda f: _change_config(f, hidden_size="big"), "whole number"),
    "10^9 layers": (lambda f: _change_config(f, num_hidden_layers=10**9), "not supported"),
    "zero heads": (lambda f: _change_config(f, num_attention_heads=0), "whole number"),
    "heads do not divide": (lambda f: _change_config(f, num_attention_heads=7), "divided"),
    "unknown rope": (
        lambda f: _change_config(f, rope_parameters={"rope_type": "twisted"}),
        "twisted",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "save_pretrained"),
    "weights cut short": (_cut_weights, "not a usable safetensors"),
    "a layer's part is missing": (_drop_layer, "lacks"),
    "no output matrix": (_drop_head, "lm_head"),
    "values beyond float16": (_huge_weights, "bf16"),
    "an index points outside": (_outside_index, "not a file beside"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json"),
    "tokenizer is damaged": (
        lambda f: (f / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": 3}}'),
        "tokenizer",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_is_refused_and_leaves_nothing(
    case: str, llama_folder: Path, tmp_path: Path
) -> None:
    spoil, words = BROKEN[case]
    folder = _copy(llama_folder, tmp_path / "hf")
    spoil(folder)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(GGUFError, match=words):
        convert(folder, out / "m.gguf")
    assert list(out.iterdir()) == []


def test_an_existing_file_survives_a_failure(llama_folder: Path, tmp_path: Path) -> None:
    folder = _copy(llama_folder, tmp_path / "hf")
    _huge_weights(folder)
    out = tmp_path / "m.gguf"
    out.write_bytes(b"the file before")
    with pytest.raises(GGUFError):
        convert(folder, out)
    assert out.read_bytes() == b"the file before"

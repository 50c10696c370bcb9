"""Computed networks against llama.cpp, which refuses a file with a tensor too many or too few."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from math import prod
from pathlib import Path

import gguf
import pytest
from tiny_networks import NETWORKS, network, write_empty

from workbench.errors import FitError
from workbench.fit import (
    Load,
    active_parameter_count,
    computed_network,
    kv_cache_bytes,
    network_of,
    parameter_count,
    requantised,
)
from workbench.fit._layout import families
from workbench.gguf import read_header, tensor_types

# loads each file with llama.cpp and prints those that it took; native code may end the process
LOADER = """
import json, os, sys, xllamacpp
kept = []
for path in json.load(sys.stdin):
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.port = path, 128, 1, 0
    params.warmup = params.fit_params = False
    params.cpuparams.n_threads = 1
    params.embedding = any(word in path for word in ("bert", "embedding"))
    try:
        kept.append(xllamacpp.Server(params))
        print(path, flush=True)
    except RuntimeError as error:
        print(error, file=sys.stderr)
os._exit(0)  # ending so many servers one by one takes long
"""


def loaded(paths: list[Path]) -> tuple[set[str], str]:
    """The names of the files that llama.cpp loads, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", LOADER],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return {Path(line).stem for line in done.stdout.splitlines()}, done.stderr


def test_llama_cpp_takes_every_computed_layout(tmp_path: Path) -> None:
    paths = [
        write_empty(tmp_path / f"{name}.gguf", name, computed_network(network(name), "F16").tensors)
        for name in NETWORKS
    ]
    taken, said = loaded(paths)
    refused = re.findall(r"error loading model: .*", said)
    assert taken == set(NETWORKS), refused


def test_llama_cpp_refuses_a_tensor_too_many_or_too_few(tmp_path: Path) -> None:
    """So the test above can fail."""
    tensors = computed_network(network("llama"), "F16").tensors
    more = (*tensors, replace(tensors[-1], name="blk.0.attn_sinks.weight"))
    paths = [
        write_empty(tmp_path / "whole.gguf", "llama", tensors),
        write_empty(tmp_path / "fewer.gguf", "llama", tensors[:-1]),
        write_empty(tmp_path / "more.gguf", "llama", more),
    ]
    assert loaded(paths)[0] == {"whole"}


def test_every_layout_is_tried() -> None:
    """But those that llama.cpp does not know: Ollama's engine alone runs them."""
    only_ollama = {"mllama", "solar"}
    assert {network(name).name for name in NETWORKS} == set(families()) - only_ollama


def test_a_file_and_its_shape_agree(tiny_gguf: Path) -> None:
    """The shape read from a file gives the file's tensors."""
    header = read_header(tiny_gguf)
    computed = computed_network(network_of(header).architecture, "F32")
    assert {(one.name, one.shape, one.bytes) for one in computed.tensors} == {
        (one.name, one.shape, one.bytes) for one in header.tensors
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shape_from_facts_is_the_shape_from_a_header(tmp_path: Path, name: str) -> None:
    """What memory and speed depend on, told by a card and by a file of the same network."""
    told = network(name)
    path = write_empty(tmp_path / "tiny.gguf", name, computed_network(told, "F16").tensors)
    read = network_of(read_header(path))
    fields = "layers width vocabulary heads key_size value_size experts experts_used state_bytes"
    for field in [*fields.split(), "tied", "causal"]:
        assert getattr(told, field) == getattr(read.architecture, field), field
    for load in (Load(context=4096), Load(context=512, slots=4, cache_type="q8_0")):
        computed = computed_network(told, "F16")
        assert kv_cache_bytes(computed, load) == kv_cache_bytes(read, load)


@pytest.mark.parametrize("name", ["bert", "deepseek2", "nemotron_h_moe", "gemma3n"])
def test_a_file_in_other_bits(tmp_path: Path, name: str) -> None:
    """Of any family, since the file lists its tensors."""
    told = network(name)
    path = write_empty(tmp_path / "tiny.gguf", name, computed_network(told, "F16").tensors)
    read = network_of(read_header(path))
    for mix in ("Q8_0", "Q4_K_M", "Q2_K"):
        changed = requantised(read, mix)
        computed = computed_network(told, mix).tensors
        assert {(t.name, t.type, t.bytes) for t in changed.tensors} == {
            (t.name, t.type, t.bytes) for t in computed
        }
        assert changed.quantisation == mix and changed.tokenizer_bytes == read.tokenizer_bytes
    with pytest.raises(FitError, match="cannot be computed"):
        requantised(read, "Q9")


@pytest.mark.parametrize("mix", ["F16", "Q8_0", "Q4_K_M", "Q5_0", "Q3_K_M", "Q2_K", "IQ4_XS"])
def test_bytes_are_those_of_the_types(mix: str) -> None:
    for tensor in computed_network(network("gemma3"), mix).tensors:
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[tensor.type]]
        assert tensor.shape[0] % block == 0, tensor
        assert tensor.bytes == prod(tensor.shape) // block * size


def test_types_are_those_of_the_mix(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    computed = computed_network(network_of(header).architecture, "Q4_K_M")
    assert {one.name: one.type for one in computed.tensors} == tensor_types(header, "Q4_K_M")


def test_fewer_bits_take_fewer_bytes() -> None:
    wide = replace(network("llama"), width=1024, inner=2048, heads=16, key_size=(64,) * 6)
    mixes = "F32 F16 Q8_0 Q6_K Q5_K_M Q4_K_M Q4_K_S Q3_K_L Q3_K_M Q3_K_S Q2_K IQ2_XXS IQ1_S"
    sizes = [sum(one.bytes for one in computed_network(wide, m).tensors) for m in mixes.split()]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_experts_in_four_bits() -> None:
    """As gpt-oss is published: experts in MXFP4, the rest in 16 bits."""
    tensors = computed_network(network("gpt-oss"), "mxfp4").tensors
    types = {one.name: one.type for one in tensors}
    assert types["blk.0.ffn_up_exps.weight"] == "MXFP4"
    assert types["blk.0.attn_q.weight"] == "BF16"
    assert types["blk.0.ffn_gate_inp.weight"] == "F32"


def test_of_a_mixture_only_the_experts_in_use_are_active() -> None:
    one = network("qwen3moe")
    unused = (one.experts - one.experts_used) * 3 * one.width * one.expert_inner * one.layers
    assert parameter_count(one) - active_parameter_count(one) == unused
    assert active_parameter_count(network("llama")) == parameter_count(network("llama"))


def test_equal_shapes_share_their_tensors() -> None:
    one = network("qwen3")
    other = replace(one, context=4096)
    assert computed_network(one, "Q4_0").tensors is computed_network(other, "q4_0").tensors
    assert computed_network(other, "Q4_0").architecture.context == 4096


def test_extras_tell_shapes_apart() -> None:
    one = network("bert")
    longer = replace(one, extras={**one.extras, "positions": 1024})
    assert parameter_count(longer) - parameter_count(one) == 512 * one.width


@pytest.mark.parametrize("name", ["rwkv9", "", "x" * 10_000])
def test_an_unknown_family_is_refused(name: str) -> None:
    with pytest.raises(FitError, match="not known") as caught:
        computed_network(replace(network("llama"), name=name), "Q4_0")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("mix", ["Q9_Z", "", "QAT", "MXFP8", "q4_k_m; rm", "Q" * 10_000])
def test_an_unknown_quantisation_is_refused(mix: str) -> None:
    with pytest.raises(FitError, match="cannot be computed") as caught:
        computed_network(network("llama"), mix)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["deepseek2", "qwen35", "nemotron_h", "bert", "gemma3n"])
def test_missing_facts_are_refused(name: str) -> None:
    with pytest.raises(FitError, match="lack"):
        parameter_count(replace(network(name), extras={}))


@pytest.mark.parametrize("extra", ["linear_keys", "mamba_heads", "kv_rank", "per_layer"])
def test_facts_half_known_are_refused(extra: str) -> None:
    with pytest.raises(FitError, match="lack"):
        parameter_count(replace(network("qwen35"), extras={extra: 4}))

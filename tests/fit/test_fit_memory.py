"""The memory formula against llama.cpp: its buffers for every family, and the child's real peak."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from shaped import architecture, measure, moe, plain, windowed, write_network
from tiny_networks import NETWORKS, network, write_empty

from workbench.fit import (
    CACHE_TYPES,
    Load,
    Network,
    computed_network,
    kv_cache_bytes,
    memory,
    network_of,
)
from workbench.gguf import read_header

# loads each file with llama.cpp, whose log says how large it made the caches
LOADER = """
import json, os, sys, time, xllamacpp as llama
kept = []
def wait_for_the_log(start):  # a thread writes it, later
    until = time.monotonic() + 60
    while b"listening on http" not in os.pread(2, 2**24, start) and time.monotonic() < until:
        time.sleep(0.002)
for path, context, slots, kind in json.load(sys.stdin):
    params = llama.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.port = path, context, slots, 0
    params.warmup = params.fit_params = False
    params.verbosity = 4
    params.cpuparams.n_threads = 1
    params.n_batch = params.n_ubatch = 512
    params.cache_type_k = params.cache_type_v = getattr(llama.ggml_type, f"GGML_TYPE_{kind}")
    params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    start = os.fstat(2).st_size
    os.write(2, f"\\nFILE {path}\\n".encode())
    try:
        kept.append(llama.Server(params))
        wait_for_the_log(start)
        os.write(2, b"\\nLOADED\\n")
    except RuntimeError:
        pass
os.write(2, b"\\nFILE end\\n")
os._exit(0)
"""
DECODERS = sorted(name for name in NETWORKS if network(name).causal)
BOUND = 0.12  # other processors rearrange other types, other Pythons are larger or smaller


def logged_caches(jobs: list[tuple[str, int, int, str]]) -> dict[str, float]:
    """MiB of keys, values and states for each path that llama.cpp loaded."""
    with NamedTemporaryFile("a+b") as said:
        subprocess.run(
            [sys.executable, "-c", LOADER], input=json.dumps(jobs).encode(), stderr=said,
            timeout=300, check=False,
        )  # fmt: skip
        text = Path(said.name).read_text(encoding="utf-8", errors="replace")
    found = {}
    for part in text.split("\nFILE ")[1:]:
        path, _, log = part.partition("\n")
        if "\nLOADED\n" in log:
            sizes = re.findall(r"(?:KV|RS) buffer size = +([\d.]+) MiB", log)
            found[path] = sum(map(float, sizes))
    return found


def header_network(path: Path) -> Network:
    return network_of(read_header(path))


def test_caches_are_as_large_as_llama_cpp_makes_them(tmp_path: Path) -> None:
    """Windows, heads per layer, latent attention, recurrent states: every family at once."""
    load = Load(context=1100, slots=2)
    files = {
        name: write_empty(
            tmp_path / f"{number}.gguf", name, computed_network(network(name), "F16").tensors
        )
        for number, name in enumerate(DECODERS)
    }
    logged = logged_caches([(str(path), 2200, 2, "F16") for path in files.values()])
    assert len(logged) == len(files)
    for name, path in files.items():
        ours = kv_cache_bytes(header_network(path), load)
        assert ours / 2**20 == pytest.approx(logged[str(path)], abs=0.02), name


@pytest.mark.parametrize("kind", CACHE_TYPES)
def test_quantised_caches_are_as_large_as_llama_cpp_makes_them(tmp_path: Path, kind: str) -> None:
    for name, window in (("llama", (None, 1)), ("gemma3", (512, 6))):
        shape = architecture(
            name, 7, 256, heads=4, kv=2, inner=512, vocabulary=1000, tied=True, window=window
        )
        path = write_network(tmp_path / f"{name}.gguf", computed_network(shape, "Q8_0"))
        logged = logged_caches([(str(path), 3 * 1500, 3, kind.upper())])
        ours = kv_cache_bytes(header_network(path), Load(1500, 3, cache_type=kind))
        assert ours / 2**20 == pytest.approx(logged[str(path)], abs=0.03)


@pytest.mark.parametrize(
    ("network_name", "quantisation", "load"),
    [
        ("plain", "Q8_0", Load(context=1024)),
        ("plain", "Q4_0", Load(context=1024, mmap=True)),
        ("plain", "F16", Load(context=1024, slots=3, cache_type="q8_0")),
        ("windowed", "Q4_K_M", Load(context=1536)),
        ("moe", "Q5_0", Load(context=1024)),
    ],
)
def test_the_childs_peak_is_what_was_predicted(
    tmp_path: Path, network_name: str, quantisation: str, load: Load
) -> None:
    shape, tokenizer = {"plain": plain, "windowed": windowed, "moe": moe}[network_name]()
    path = write_network(tmp_path / "model.gguf", computed_network(shape, quantisation), tokenizer)
    network = header_network(path)
    measured = measure(path, load, network.architecture.vocabulary)
    predicted = memory(network, load).ram
    assert predicted.value == pytest.approx(measured, rel=BOUND)
    assert predicted.low < predicted.value < predicted.high


def test_an_embedding_model_takes_logits_of_every_token(tmp_path: Path) -> None:
    """A surprise of llama.cpp's: vocabulary x tokens, though nobody asks for logits."""
    shape, tokenizer = plain()
    path = write_network(
        tmp_path / "model.gguf", computed_network(shape, "Q8_0"), tokenizer, {"pooling_type": 3}
    )
    network = header_network(path)
    load = Load(context=512, batch=512, embedding=True, prompt_cache=0)
    measured = measure(path, load, network.architecture.vocabulary)
    assert memory(network, load).ram.value == pytest.approx(measured, rel=BOUND)


def test_a_network_from_facts_takes_what_its_file_takes(tmp_path: Path) -> None:
    shape, tokenizer = plain()
    computed = computed_network(shape, "Q4_K_M")
    path = write_network(tmp_path / "model.gguf", computed, tokenizer)
    load = Load(context=2048)
    from_file, from_facts = memory(header_network(path), load), memory(computed, load)
    assert from_facts.ram.value == pytest.approx(from_file.ram.value, rel=0.05)


def test_without_flash_attention_the_scores_count() -> None:
    shape, _ = plain()
    network = computed_network(shape, "Q8_0")
    load = Load(context=8192, flash_attention=False)
    scores = 4 * shape.heads * 8192 * load.batch
    with_flash = memory(network, replace(load, flash_attention=True)).ram.high
    assert memory(network, load).ram.high - with_flash > 0.8 * scores

"""The program that measures llama.cpp on this machine: `python -m workbench.machines._probe`.

A process of its own, since native code may crash and a calibration may be cancelled. It reads
one JSON line from stdin, {"folder", "threads", "scale"}, and answers with one JSON line per
model that it has measured. llama.cpp's log goes to stderr.

The models are Llamas and one mixture of experts whose shapes isolate one cost each; their files
are sparse: weights are zero but for the embeddings and the router, since speed does not read
values. Each measurement is repeated and told whole; who asked takes the quickest, which other
work has disturbed least.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.fit import Architecture, Network

if TYPE_CHECKING:
    from workbench.gguf import TensorInfo

TYPES = (
    "Q8_0", "Q4_K", "F16", "Q4_0", "Q6_K", "Q5_K", "BF16", "Q5_0", "Q3_K", "Q2_K", "MXFP4", "IQ4_NL"
)  # fmt: skip
_SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "typical_p": 1.0}
_NEEDED = 5  # types that are measured however long it takes
_PATIENCE = 45.0  # seconds after which the others are left out
_READ_SECONDS, _WRITE_SECONDS, _MOST = 0.7, 0.4, 12


@dataclass(frozen=True, slots=True)
class Probe:
    """One model to measure, with what, and how deep in the context."""

    name: str
    kind: str = "F16"
    layers: int = 2
    width: int = 64
    inner: int = 128
    heads: int = 4
    kv_heads: int = 4
    vocabulary: int = 512
    experts: int = 0
    used: int = 0
    threads: int = 0  # 0 is as many as was asked
    cache_type: str = "f16"
    prompts: tuple[int, ...] = (16,)
    written: int = 32


def probes(scale: float, threads: int) -> Iterator[Probe]:
    """What is measured; weight types that are rarer come last. `scale` below 1 measures less."""
    prompt = max(16, int(512 * scale))
    for many in dict.fromkeys((1, threads)):
        yield Probe(f"shallow-{many}", threads=many)
        yield Probe(f"deep-{many}", layers=26, threads=many)
    yield Probe("vocabulary", "Q8_0", vocabulary=max(1024, int(65536 * scale)), threads=1)
    long = (prompt, 4 * prompt)
    narrow = Probe("attention-f16", "Q8_0", 3, 512, 512, 32, 8, prompts=long, written=8)
    yield narrow
    yield replace(narrow, name="attention-q8_0", cache_type="q8_0")
    yield replace(narrow, name="attention-wide", kv_heads=32)
    few = replace(narrow, name="attention-few", heads=9, kv_heads=3, width=576, inner=1536)
    yield replace(few, layers=12)
    wide = Probe("", "Q8_0", 2, 2048, 5632, 32, 8, prompts=(prompt,), written=8)
    if scale < 1:
        wide = replace(wide, width=512, inner=1024, heads=8)
    yield replace(wide, name="weights-Q8_0")
    short = replace(wide, name="short-Q8_0", width=512, inner=1536, heads=8, kv_heads=2)
    yield replace(short, layers=48 if scale >= 1 else 4)
    if threads > 1:
        yield replace(wide, name="single-Q8_0", threads=1)
    if threads > 3:
        yield replace(wide, name="half-Q8_0", threads=threads // 2)
    mixed = replace(wide, width=wide.width // 2, inner=768, heads=16, kv_heads=4)
    yield replace(mixed, name="experts-Q8_0", experts=32, used=4)
    if scale >= 1:
        yield replace(mixed, name="experts-Q4_K", kind="Q4_K", experts=32, used=4)
    for kind in TYPES[1:] if scale >= 1 else TYPES[1:3]:
        yield replace(wide, name=f"weights-{kind}", kind=kind)


def network_of_probe(probe: Probe) -> Network:
    """The probe's tensors: matrices of its type, embeddings of 16 bits, routers of 32."""
    from workbench.fit import computed_network

    plain = computed_network(architecture(probe), "F16")
    return replace(plain, tensors=tuple(_typed(one, probe.kind) for one in plain.tensors))


def _typed(tensor: TensorInfo, kind: str) -> TensorInfo:
    import gguf

    if len(tensor.shape) < 2 or "ffn_gate_inp" in tensor.name:
        kind = "F32"
    elif tensor.name == "token_embd.weight":
        kind = "F16"
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    return replace(tensor, type=kind, bytes=math.prod(tensor.shape) // block * size)


def write_model(path: Path, probe: Probe) -> None:
    """Write the model: a sparse file, random only where values decide what is computed."""
    import gguf
    import numpy as np

    chance = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "qwen3moe" if probe.experts else "llama")
    _add_facts(writer, probe)
    data: list[Any] = []
    for tensor in network_of_probe(probe).tensors:
        rows, kind = tensor.shape[::-1], gguf.GGMLQuantizationType[tensor.type]
        writer.add_tensor_info(tensor.name, rows, np.dtype(np.float32), tensor.bytes, kind)
        if tensor.name == "token_embd.weight":
            data.append(chance.standard_normal(rows, np.float32).astype(np.float16))
        elif "ffn_gate_inp" in tensor.name:
            data.append(chance.standard_normal(rows, np.float32))
        elif tensor.name.endswith("norm.weight"):
            data.append(np.ones(rows, np.float32))
        else:
            data.append(tensor.bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    _write_data(path, data)


def _write_data(path: Path, data: list[Any]) -> None:
    """Tensors, each at a multiple of 32; what is a mere size becomes a hole in the file."""
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        for content in data:
            file.seek(-file.tell() % 32, os.SEEK_CUR)
            if isinstance(content, int):
                file.seek(content, os.SEEK_CUR)
            else:
                file.write(content.tobytes())
        file.truncate(file.tell() + -file.tell() % 32)


def architecture(probe: Probe) -> Architecture:
    """The probe as a shape."""
    head, each = 64 if probe.heads > 4 else probe.width // probe.heads, probe.layers
    return Architecture(
        "qwen3moe" if probe.experts else "llama", each, probe.width, probe.vocabulary,
        probe.heads, (probe.kv_heads,) * each, (head,) * each, (head,) * each, (None,) * each,
        probe.inner, tied=False, experts=probe.experts, experts_used=probe.used,
        expert_inner=probe.inner if probe.experts else 0,
    )  # fmt: skip


def _add_facts(writer: Any, probe: Probe) -> None:
    head = architecture(probe).key_size[0]
    writer.add_context_length(1 << 16)
    writer.add_embedding_length(probe.width)
    writer.add_block_count(probe.layers)
    writer.add_feed_forward_length(probe.inner)
    writer.add_head_count(probe.heads)
    writer.add_head_count_kv(probe.kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-5)
    if probe.experts:
        writer.add_expert_count(probe.experts)
        writer.add_expert_used_count(probe.used)
        writer.add_expert_feed_forward_length(probe.inner)
    letters = [chr(n) for n in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    plain = [f"w{n}" for n in range(probe.vocabulary - len(letters) - 1)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["<|end|>", *letters, *plain])
    writer.add_token_types([3] + [1] * (probe.vocabulary - 1))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def measure(probe: Probe, folder: Path, threads: int) -> dict[str, Any]:
    """Seconds per prompt, and per written token, at each length of the prompt."""
    import xllamacpp as llama

    path = folder / "probe.gguf"
    write_model(path, probe)
    params = llama.CommonParams()
    params.model.path = str(path)
    params.n_ctx = max(probe.prompts) + probe.written + 64
    params.n_batch = params.n_ubatch = 512
    params.n_parallel, params.port, params.ui = 1, 0, False
    params.fit_params = params.warmup = False
    params.cache_ram_mib, params.verbosity = 0, 0
    many = probe.threads or threads
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = many
    params.load_mode = llama.llama_load_mode.LLAMA_LOAD_MODE_NONE
    cache = getattr(llama.ggml_type, f"GGML_TYPE_{probe.cache_type.upper()}")
    params.cache_type_k = params.cache_type_v = cache
    params.n_gpu_layers = 0
    server = llama.Server(params)
    try:
        _ask(server, 16, 2)  # warms up
        rows = [_row(server, prompt, probe.written) for prompt in probe.prompts]
    finally:
        del server
        path.unlink()
    return {"name": probe.name, "threads": many, "rows": rows}


def _row(server: Any, prompt: int, written: int) -> dict[str, Any]:
    read = _repeated(_READ_SECONDS, lambda: read_seconds(server, prompt))
    write = _repeated(_WRITE_SECONDS, lambda: write_seconds(server, prompt, written))
    return {"prompt": prompt, "read": read, "write": write}


def _repeated(budget: float, measured: Callable[[], float]) -> list[float]:
    """Measure while there is time: twice at least, but once where that took far too long."""
    start, found = time.perf_counter(), [measured()]
    while len(found) < _MOST:
        passed = time.perf_counter() - start
        if passed > (3 * budget if len(found) == 1 else budget):
            break
        found.append(measured())
    return found


def read_seconds(server: Any, prompt: int) -> float:
    """Read a prompt that nothing is remembered of."""
    return _ask(server, prompt, 1)["prompt_ms"] / 1000


def write_seconds(server: Any, prompt: int, written: int) -> float:
    """Write a token behind the prompt that was read last."""
    timings = _ask(server, prompt, written + 1, remember=True)  # the clock starts at the first
    return timings["predicted_ms"] / 1000 / (timings["predicted_n"] - 1)


def _ask(server: Any, prompt: int, written: int, remember: bool = False) -> dict[str, float]:
    tokens = [10 + n * 7 % 400 for n in range(prompt)]
    body = {"prompt": tokens, "n_predict": written, "cache_prompt": remember, "ignore_eos": True}
    answer = server.handle_completions({**body, **_SAMPLING, "seed": 1})
    timings: dict[str, float] = answer["timings"]
    return timings


def main() -> None:
    """Measure what was asked for on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever native code prints belongs in the log
    asked = json.loads(sys.stdin.readline())
    start = time.perf_counter()
    for probe in probes(asked["scale"], asked["threads"]):
        if time.perf_counter() - start > _PATIENCE and probe.kind in TYPES[_NEEDED:]:
            continue
        try:
            answer = measure(probe, Path(asked["folder"]), asked["threads"])
        except Exception as error:  # one type that this build lacks is no reason to stop
            answer = {"name": probe.name, "error": str(error) or type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

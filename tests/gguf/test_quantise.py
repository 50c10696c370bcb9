"""Quantised files: what llama.cpp makes of them, and how far the weights moved."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from compare import agreement
from hf_models import make_folder

from workbench.errors import GGUFError
from workbench.gguf import QUANTISATIONS, convert, quantise, read_header

# relative root-mean-square error of the weights, and KL (nats) of the next token on a random
# model of 8 layers: about twice what was measured, see docs/gguf.md
BOUNDS = {
    "F32": (0, 1e-8),
    "F16": (5e-4, 3e-5),
    "BF16": (3e-3, 2e-3),
    "Q8_0": (0.008, 0.015),
    "Q6_K": (0.025, 0.1),
    "Q5_K_M": (0.045, 0.25),
    "Q5_K_S": (0.045, 0.25),
    "Q4_K_M": (0.09, 0.8),
    "Q4_K_S": (0.09, 0.8),
    "Q5_0": (0.055, 0.35),
    "Q5_1": (0.05, 0.3),
    "Q4_0": (0.11, 1.5),
    "Q4_1": (0.10, 1.3),
}


@pytest.fixture(scope="session")
def wide_gguf(wide_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wide model in F32."""
    return convert(wide_folder, tmp_path_factory.mktemp("gguf") / "f32.gguf", dtype="f32")


def relative_errors(path: Path, original: Path) -> dict[str, float]:
    """Root-mean-square error of each tensor over its root mean square."""
    before = {one.name: one.data for one in gguf.GGUFReader(original).tensors}
    errors = {}
    for one in gguf.GGUFReader(path).tensors:
        after = gguf.dequantize(one.data, one.tensor_type).reshape(before[one.name].shape)
        error = np.sqrt(np.mean((after - before[one.name]) ** 2))
        errors[one.name] = float(error / np.sqrt(np.mean(before[one.name] ** 2)))
    return errors


@pytest.mark.parametrize("kind", QUANTISATIONS)
def test_errors_are_bounded(
    kind: str, wide_gguf: Path, wide_expected: tuple[list, list], tmp_path: Path
) -> None:
    seen: list[float] = []
    path = quantise(wide_gguf, tmp_path / "q.gguf", kind, progress=seen.append)
    header = read_header(path)
    assert header.file_type == kind
    assert seen == sorted(seen)
    assert seen[-1] == 1
    weights, kl = BOUNDS[kind]
    worst = max(relative_errors(path, wide_gguf).values())
    assert worst <= weights
    assert worst >= weights / 4, "a bound far away would catch nothing"
    tokens, expected = wide_expected
    found = agreement(expected, path, tokens)
    assert found.mean_kl < kl


def test_simple_types_are_those_of_the_gguf_package(wide_gguf: Path, tmp_path: Path) -> None:
    """Its NumPy code is meant to give llama.cpp's bytes exactly."""
    before = next(one for one in gguf.GGUFReader(wide_gguf).tensors if "ffn_up" in one.name)
    for kind in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "F16", "BF16"):
        path = quantise(wide_gguf, tmp_path / "q.gguf", kind)
        after = next(one for one in gguf.GGUFReader(path).tensors if one.name == before.name)
        expected = gguf.quantize(before.data, gguf.GGMLQuantizationType[kind])
        assert after.data.tobytes() == expected.tobytes(), kind


def test_metadata_is_kept(wide_gguf: Path, tmp_path: Path) -> None:
    before = read_header(wide_gguf, arrays=True)
    after = read_header(quantise(wide_gguf, tmp_path / "q.gguf", "q4_k_m"), arrays=True)
    changed = {"general.file_type", "general.quantization_version"}
    assert {k: v for k, v in after.metadata.items() if k not in changed} == {
        k: v for k, v in before.metadata.items() if k not in changed
    }
    assert [(one.name, one.shape) for one in after.tensors] == [
        (one.name, one.shape) for one in before.tensors
    ]


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_any_float_file_can_be_the_source(dtype: str, wide_folder: Path, tmp_path: Path) -> None:
    source = convert(wide_folder, tmp_path / "source.gguf", dtype=dtype)
    exact = convert(wide_folder, tmp_path / "f32.gguf", dtype="f32")
    path = quantise(source, tmp_path / "q.gguf", "Q8_0")
    assert max(relative_errors(path, exact).values()) < 0.008
    back = quantise(source, tmp_path / "back.gguf", "F32")
    assert max(relative_errors(back, source).values()) == 0 if dtype == "f16" else True


def test_rows_that_blocks_do_not_divide(tmp_path: Path) -> None:
    """64 and 128 features: no K type fits, the near ones with blocks of 32 do."""
    folder = make_folder("llama", tmp_path / "hf", num_hidden_layers=8)
    source = convert(folder, tmp_path / "f16.gguf")
    path = quantise(source, tmp_path / "q.gguf", "Q4_K_M")
    types = {one.name: one.type for one in read_header(path).tensors}
    assert types["output.weight"] == "Q8_0"
    assert types["token_embd.weight"] == "Q5_0"
    assert types["blk.1.attn_q.weight"] == "Q5_0"
    assert types["blk.0.attn_v.weight"] == "Q8_0"
    assert types["blk.1.attn_norm.weight"] == "F32"


def test_a_quantised_source_is_refused(wide_gguf: Path, tmp_path: Path) -> None:
    path = quantise(wide_gguf, tmp_path / "q8.gguf", "Q8_0")
    with pytest.raises(GGUFError, match="already quantised"):
        quantise(path, tmp_path / "q4.gguf", "Q4_K_M")
    with pytest.raises(GGUFError, match="not a quantisation"):
        quantise(wide_gguf, tmp_path / "q.gguf", "Q3_X")
    assert [one.name for one in tmp_path.iterdir()] == ["q8.gguf"]


def test_a_kill_leaves_no_half_file_under_the_name(wide_gguf: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.gguf"
    code = (
        "import os, sys, signal; from pathlib import Path; from workbench.gguf import quantise\n"
        "def die(done):\n    if done > 0.5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "quantise(Path(sys.argv[1]), Path(sys.argv[2]), 'Q8_0', progress=die)"
    )
    done = subprocess.run([sys.executable, "-c", code, wide_gguf, out], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    assert read_header(quantise(wide_gguf, out, "Q8_0")).file_type == "Q8_0"


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "nan.gguf", "llama")
    writer.add_tensor("blk.0.attn_q.weight", np.full((4, 256), np.nan, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(GGUFError, match="not finite"):
        quantise(tmp_path / "nan.gguf", tmp_path / "q.gguf", "Q4_K_M")
    assert not (tmp_path / "q.gguf").exists()

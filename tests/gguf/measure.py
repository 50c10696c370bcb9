"""Print the tables of docs/gguf.md: `python tests/gguf/measure.py` (about two minutes)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from compare import agreement, load_reference, prompts, reference_logprobs
from hf_models import make_folder
from test_convert import CASES
from test_quantise import relative_errors

from workbench.gguf import QUANTISATIONS, convert, quantise, read_header


def architectures(folder: Path) -> None:
    """Every architecture and variant, in F32 and F16."""
    print("| Model | entropy | KL F32 | KL F16 | same best token |\n|---|---|---|---|---|")
    for case, (kind, changes) in CASES.items():
        source = make_folder(kind, folder / case, **changes)
        tokens = prompts()
        expected = reference_logprobs(load_reference(source), tokens)
        out = folder / "m.gguf"
        exact = agreement(expected, convert(source, out, dtype="f32"), tokens)
        half = agreement(expected, convert(source, out), tokens)
        same = f"{exact.top1:.0%}, {half.top1:.0%}"
        print(f"| {case} | {exact.entropy:.1f} | {exact.kl:.0e} | {half.kl:.0e} | {same} |")


def quantisations(folder: Path) -> None:
    """Every quantisation of one Llama with 8 layers and 256 features."""
    source = make_folder("llama", folder / "wide", width=256, gain=0.7, num_hidden_layers=8)
    tokens = prompts(range(1, 100, 4))
    expected = reference_logprobs(load_reference(source), tokens)
    original = convert(source, folder / "f32.gguf", dtype="f32")
    print("| Kind | bits a weight | largest error of a tensor | mean KL | same best token |")
    print("|---|---|---|---|---|")
    for kind in QUANTISATIONS:
        path = quantise(original, folder / "q.gguf", kind)
        header = read_header(path)
        bits = 8 * sum(one.bytes for one in header.tensors) / header.parameter_count
        found = agreement(expected, path, tokens)
        error = max(relative_errors(path, original).values())
        print(f"| {kind} | {bits:.2f} | {error:.2%} | {found.mean_kl:.1e} | {found.top1:.0%} |")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        architectures(Path(place))
        quantisations(Path(place))

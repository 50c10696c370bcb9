"""How fast a network reads a prompt and writes an answer: amounts of work times their costs.

On this machine the costs are those that a calibration measured (`_calibrate`). For named machines
they come from data sheets, times what llama.cpp reaches of them, and intervals are wide. Users'
published llama-bench results reached, of bandwidth: Apple M1 Max 0.57, M2 Pro 0.67 to 0.73, M4
0.86; RTX 3090 0.4 to 0.5; Core i9-13900K 0.68; Xeon W of 16 cores 0.46; of a GPU's compute: M1 Max
0.77, M1 Ultra 0.65. A processor's core reached 30 (i9-13900K, in 2023) to 120 (EPYC, 2026, measured
here) thousand million operations per second.

Not modelled: LoRA adapters, speculative decoding, several answers at once, images, traffic
between cards.
"""

from __future__ import annotations

import math
from statistics import harmonic_mean
from typing import NamedTuple

from workbench.fit import Estimate, Load, Network, Profile, Speed, corrected_speed
from workbench.machines._calibrate import Calibration, newest_calibration
from workbench.machines._work import PROMPT, WRITTEN, Amounts, work

_GPU_BANDWIDTH, _GPU_COMPUTE = 0.6, 0.55  # of the data sheet's
_CPU_BANDWIDTH, _CORE_COMPUTE = 0.6, 60e9
_MODEL_ERROR = 0.3  # logarithm: half of the interval that holds 9 of 10 models


def seconds(amounts: Amounts, calibration: Calibration, threads: int = 0) -> float:
    """How long this work takes with so many threads (0: those of the calibration)."""
    return sum(amount * calibration.cost(key, threads) for key, amount in amounts.items())


def speed(
    network: Network,
    load: Load,
    calibration: Calibration | None = None,
    *,
    prompt: int = PROMPT,
    written: int = WRITTEN,
) -> Speed | None:
    """Tokens per second of one answer on this machine's processors.

    For a prompt of 512 tokens and 128 written behind it (less where the context is shorter),
    with the newest calibration where none is given. None without one. An encoder writes nothing:
    both are its reading then, and say so.
    """
    calibration = calibration or newest_calibration()
    if calibration is None:
        return None
    prompt, written = _lengths(load, prompt, written)
    reading, writing = work(network, load, prompt, written)
    per_token = seconds(writing, calibration, load.threads)
    in_all = seconds(reading, calibration, load.threads)
    in_all = max(in_all, per_token) if network.architecture.causal else in_all
    strange = {key.partition(":")[2] for key in (*reading, *writing) if not calibration.knows(key)}
    half = _MODEL_ERROR + 2 * calibration.spread
    half = half * (2 if calibration.busy else 1) + 0.2 * bool(strange)
    basis = f"calibration of {calibration.at[:10]}"
    basis += ", made while other programs ran" * calibration.busy
    basis += f", {', '.join(sorted(strange))} not measured" if strange else ""
    return _told(network, prompt / in_all, 1 / per_token, (half, half), (half, half), basis)


def _lengths(load: Load, prompt: int, written: int) -> tuple[int, int]:
    """A prompt and an answer that the context holds."""
    prompt = max(1, min(prompt, load.context * 4 // 5))
    return prompt, max(1, min(written, load.context - prompt))


def _told(
    network: Network,
    reads: float,
    writes: float,
    of_reading: tuple[float, float],
    of_writing: tuple[float, float],
    basis: str,
) -> Speed:
    """Both speeds with their intervals, given as halves of logarithms."""
    if not network.architecture.causal:
        basis = f"an encoder only reads; {basis}"
        writes, of_writing = reads, of_reading
    estimates = (
        Estimate(value, value * math.exp(-down), value * math.exp(up), basis)
        for value, (down, up) in ((reads, of_reading), (writes, of_writing))
    )
    return Speed(*estimates)


def profile_speed(network: Network, load: Load, profile: Profile) -> Speed | None:
    """Tokens per second on a profile: for "this" one by its calibration, as the ledger corrects it;
    for the others from data sheets.

    `load.gpu_layers` layers are on its cards (Apple's processors and cards read the same
    memory). None where a rate that is needed is not known.
    """
    if profile.name == "this" and not load.gpu_layers:
        found = speed(network, load)
        return found and corrected_speed(found, network.architecture.name, load)
    prompt, written = _lengths(load, PROMPT, WRITTEN)
    reading, writing = work(network, load, prompt, written)
    share = _on_gpu(network, load) if profile.gpus else 0.0
    batches = -(-prompt // load.batch)
    in_all = per_token = 0.0
    for part, device in ((share, _card(profile)), (1 - share, _processor(profile))):
        if not part:
            continue
        if device is None:
            return None
        moved = _sum(writing, "read:", "experts-read:", "cache:", "state")
        fixed = device.layer * network.architecture.layers + device.token
        per_token += part * (moved / device.bandwidth + fixed)
        computed = _sum(reading, "compute:", "experts-compute:", "attention-compute:")
        all_read = _sum(reading, "read:", "experts-read:") + batches * sum(
            tensor.bytes for tensor in network.tensors if "_exps." not in tensor.name
        )
        once = batches * fixed + all_read / device.bandwidth
        in_all += part * (computed / device.compute + once)
    basis = f"data-sheet rates of {profile.title}, not measured"
    return _told(network, prompt / in_all, 1 / per_token, (0.9, 0.7), (0.6, 0.5), basis)


class _Device(NamedTuple):
    """What llama.cpp reaches of it, per second, and what a layer and a token cost besides."""

    bandwidth: float
    compute: float
    layer: float
    token: float


def _card(profile: Profile) -> _Device | None:
    """The profile's cards as one: they work one after the other, each on its layers."""
    if not profile.gpus or any(gpu.bandwidth is None or not gpu.compute for gpu in profile.gpus):
        return None
    bandwidth, compute = (
        harmonic_mean([getattr(gpu, rate) for gpu in profile.gpus])
        for rate in ("bandwidth", "compute")
    )
    return _Device(_GPU_BANDWIDTH * bandwidth, _GPU_COMPUTE * compute, 5e-5, 3e-4)


def _processor(profile: Profile) -> _Device | None:
    if profile.bandwidth is None or not profile.cores:
        return None
    compute = _CORE_COMPUTE * profile.cores
    return _Device(_CPU_BANDWIDTH * profile.bandwidth, compute, 2e-5, 1e-4)


def _on_gpu(network: Network, load: Load) -> float:
    """Share of what a token reads that is on the cards: llama.cpp puts the last layers there."""
    layers = network.architecture.layers
    if load.gpu_layers < 0 or load.gpu_layers > layers:
        return 1.0
    return load.gpu_layers / (layers + 1)


def _sum(amounts: Amounts, *starts: str) -> float:
    return sum(amount for key, amount in amounts.items() if key.startswith(starts))

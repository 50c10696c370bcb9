"""How fast a network reads a prompt and writes an answer: amounts of work times their costs.

On this machine the costs are those that a calibration measured (`_calibrate`). For named machines
they come from data sheets, times what llama.cpp reaches of them (`_ACHIEVED`); their intervals
are wide and say so. Not modelled: LoRA adapters, speculative decoding, several answers at once,
images, encoders (None).
"""

from __future__ import annotations

import math

from workbench.fit._calibrate import Calibration, newest_calibration
from workbench.fit._records import Estimate, Load, Network, Profile, Speed
from workbench.fit._work import PROMPT, WRITTEN, Amounts, work

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
    with the newest calibration where none is given. None without one, and for encoders.
    """
    calibration = calibration or newest_calibration()
    if calibration is None or not network.architecture.causal:
        return None
    prompt, written = _lengths(load, prompt, written)
    reading, writing = work(network, load, prompt, written)
    per_token = seconds(writing, calibration, load.threads)
    in_all = max(seconds(reading, calibration, load.threads), per_token)
    strange = {key.partition(":")[2] for key in (*reading, *writing) if not calibration.knows(key)}
    half = _MODEL_ERROR + 2 * calibration.spread
    half = half * (2 if calibration.busy else 1) + 0.2 * bool(strange)
    basis = f"calibration of {calibration.at[:10]}"
    basis += ", made while other programs ran" * calibration.busy
    basis += f", {', '.join(sorted(strange))} not measured" if strange else ""
    return Speed(
        _estimate(prompt / in_all, half, half, basis), _estimate(1 / per_token, half, half, basis)
    )


def _lengths(load: Load, prompt: int, written: int) -> tuple[int, int]:
    """A prompt and an answer that the context holds."""
    prompt = max(1, min(prompt, load.context * 4 // 5))
    return prompt, max(1, min(written, load.context - prompt))


def _estimate(value: float, down: float, up: float, basis: str) -> Estimate:
    return Estimate(value, value * math.exp(-down), value * math.exp(up), basis)


def profile_speed(network: Network, load: Load, profile: Profile) -> Speed | None:
    """Tokens per second on a profile: measured for "this", from data sheets for the others."""
    return None

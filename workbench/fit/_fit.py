"""Whether and how a network fits a machine, the largest context, the best quantisation.

Where there are cards, as many layers as fit go onto them, the last ones first and the output
matrix after all of them, as llama.cpp does; several cards count together, each with its own
runtime and compute buffer, and a card that shares main memory (Apple) is limited by both.

    gpu     all layers fit the cards            ram     all of it fits main memory
    split   some layers do, the rest is beside  tight   it starts, but full contexts and a full
    no      not even at its least                       prompt cache would not fit

A mixture of experts needs all of its experts in memory, whatever it uses per token.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.errors import FitError
from workbench.fit._correction import corrected_memory
from workbench.fit._memory import GPU_BYTES, kv_cache_bytes, memory
from workbench.fit._records import Architecture, Fit, Load, Memory, Network, Profile, Speed
from workbench.fit._tensors import computed_network, requantised

_BY_BITS = (
    "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_0",
)  # fmt: skip
_CONTEXT = 131072  # tried at most for a network that does not tell what it was trained with
_SCORES = {"gpu": 0.8, "ram": 0.6, "split": 0.4, "tight": 0.2}
_ROOM = 0.5  # this share of the memory left is all the comfort there is
_MUCH_CACHE = 0.5


def fit(network: Network, load: Load, profile: Profile, *, speed: Speed | None = None) -> Fit:
    """Whether `network` fits `profile`; `load.gpu_layers` is chosen. Raises FitError."""
    load, taken = _placed(network, load, profile)
    headroom = _headroom(taken, profile)
    verdict = _verdict(network, load, taken, profile)
    return Fit(
        verdict=verdict,
        memory=taken,
        speed=speed,
        load=load,
        headroom=headroom,
        score=_score(verdict, headroom, taken, profile),
        reasons=_reasons(network, load, taken, profile, verdict),
        warnings=_warnings(network, load, taken, profile, verdict),
    )


def largest_context(network: Network, load: Load, profile: Profile) -> int | None:
    """The most tokens per slot that fit, at most the trained context; None when none does.

    What fits the cards whole as `load` asks for it is to stay there.
    """
    low, high = 0, min(network.architecture.context or _CONTEXT, 2**31)
    asked = replace(load, context=min(load.context, high))
    whole = _how(network, asked, profile) == "gpu"
    while low < high:
        middle = (low + high + 1) // 2
        how = _how(network, replace(load, context=middle), profile)
        if how == "gpu" if whole else how != "no":
            low = middle
        else:
            high = middle - 1
    return low or None


def best_quantisation(model: Architecture | Network, load: Load, profile: Profile) -> str | None:
    """The quantisation of most bits that fits with room to spare; None when none does.

    On a profile with cards: of most bits that fits the cards whole, else of most bits at all. A
    network of a file is asked about its own tensors, so its family need not be known.
    """
    make = requantised if isinstance(model, Network) else computed_network
    fitting = None
    for quantisation in _BY_BITS:
        try:
            found = fit(make(model, quantisation), load, profile)  # type: ignore[arg-type]
        except FitError:
            return None
        if found.verdict == "gpu" or (found.verdict == "ram" and not profile.gpus):
            return quantisation
        if found.verdict in {"ram", "split"}:
            fitting = fitting or quantisation
    return fitting


def _how(network: Network, load: Load, profile: Profile) -> str:
    placed, taken = _placed(network, load, profile)
    return _verdict(network, placed, taken, profile)


def _placed(network: Network, load: Load, profile: Profile) -> tuple[Load, Memory]:
    """The load with as many layers on cards as fit, and what that takes."""
    low, high = 0, network.architecture.layers + 1 if profile.gpus else 0
    best = replace(load, gpu_layers=0)
    taken = memory_on(network, best, profile)
    while low < high:  # from all of them down: that all fit is the usual case
        middle = high if low == 0 and high > network.architecture.layers else (low + high + 1) // 2
        tried = replace(load, gpu_layers=middle)
        needed = memory_on(network, tried, profile)
        if needed.gpu is not None and _on_cards(needed, profile) <= _card_memory(profile):
            low, best, taken = middle, tried, needed
        else:
            high = middle - 1
    return best, taken


def memory_on(network: Network, load: Load, profile: Profile) -> Memory:
    """The formula's memory; on this machine as the ledger corrects it."""
    taken = memory(network, load)
    if profile.name != "this":
        return taken
    return corrected_memory(taken, network.architecture.name, load)


def _card_memory(profile: Profile) -> int:
    return sum(card.memory for card in profile.gpus)


def _on_cards(taken: Memory, profile: Profile) -> float:
    """Bytes on all cards together; each of several has a runtime and a compute buffer."""
    if taken.gpu is None:
        return 0.0
    each = GPU_BYTES + sum(p.bytes for p in taken.parts if p.where == "gpu" and p.name == "compute")
    return taken.gpu.value + max(len(profile.gpus) - 1, 0) * each


def _in_main(taken: Memory, profile: Profile) -> float:
    """Bytes in main memory; a card that shares it takes its part there."""
    return taken.ram.value + (_on_cards(taken, profile) if profile.shared else 0.0)


def _headroom(taken: Memory, profile: Profile) -> int:
    left = profile.memory - _in_main(taken, profile)
    if taken.gpu is not None:
        left = min(left, _card_memory(profile) - _on_cards(taken, profile))
    return int(left)


def _verdict(network: Network, load: Load, taken: Memory, profile: Profile) -> str:
    if _in_main(taken, profile) > profile.memory:
        return "no"
    if taken.ram.high - taken.ram.value + _in_main(taken, profile) > profile.memory:
        return "tight"
    if load.gpu_layers > network.architecture.layers:
        return "gpu"
    return "split" if load.gpu_layers else "ram"


def _score(verdict: str, headroom: int, taken: Memory, profile: Profile) -> float:
    if verdict == "no":
        return 0.0
    base = 0.8 if verdict == "ram" and not profile.gpus else _SCORES[verdict]
    capacity = profile.memory
    if taken.gpu is not None:
        capacity = min(capacity, _card_memory(profile))
    return base + 0.2 * max(0.0, min(1.0, headroom / (_ROOM * max(capacity, 1))))


def _reasons(
    network: Network, load: Load, taken: Memory, profile: Profile, verdict: str
) -> tuple[str, ...]:
    main, layers = _in_main(taken, profile), network.architecture.layers
    found = [f"needs {_gb(main)} of {_gb(profile.memory)} main memory"]
    if taken.gpu is not None:
        cards = _gb(_card_memory(profile))
        found.insert(0, f"needs {_gb(_on_cards(taken, profile))} of {cards} on the GPU")
    if verdict == "split":
        found.append(f"only {load.gpu_layers} of {layers} layers fit the GPU")
    elif profile.gpus and not load.gpu_layers:
        found.append("no layer fits the GPU")
    if network.architecture.experts > network.architecture.experts_used > 0:
        one = network.architecture
        found.append(
            f"all {one.experts} experts must be in memory, though {one.experts_used} are used "
            "per token"
        )
    return tuple(found)


def _warnings(
    network: Network, load: Load, taken: Memory, profile: Profile, verdict: str
) -> tuple[str, ...]:
    found = []
    whole = sum(part.bytes for part in taken.parts)
    share = kv_cache_bytes(network, load) / max(whole, 1)
    if share > _MUCH_CACHE and verdict in {"no", "tight", "split"}:
        found.append(f"the KV cache is {share:.0%} of it: a smaller context helps")
    if verdict == "no":
        missing = _gb(_in_main(taken, profile) - profile.memory)
        found.append(f"{missing} are missing: take a smaller quantisation, context or model")
    if verdict == "tight":
        most = taken.ram.high - taken.ram.value + _in_main(taken, profile)
        found.append(f"it may grow to {_gb(most)} with long contexts and a full prompt cache")
    trained = network.architecture.context
    if trained is not None and load.context > trained:
        found.append(f"a context of {load.context} is more than the {trained} it was trained with")
    if taken.gpu is not None:
        found.append("memory on graphics cards is computed, and was not measured on one")
    return tuple(found)


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"

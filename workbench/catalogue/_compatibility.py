"""Whether a card's model runs on a machine, part by part, and what it would need.

Everything is `workbench.fit`'s judgement of the card's architecture. Where a card has no
architecture, or one whose layout is not known, only this is certain: the file must fit, and
running it takes more. So it is "no" or "unknown" then, never "fits".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from workbench.cards import Card
from workbench.catalogue._networks import network_for
from workbench.fit import Estimate, Fit, Load, Network, Part, Profile, Speed, fit, largest_context
from workbench.machines import PROFILES, profile_speed

RUNS = ("gpu", "split", "ram", "tight")  # verdicts of what runs
_SAID_AS = {
    "released": "release_date",
    "download": "download_bytes",
    "quantisation": "default_quant",
    "active_parameters": "parameters_active",
    "capabilities": "ollama",
}
_SLOW = 3.0  # tokens/s that are slower than slow reading


@dataclass(frozen=True, slots=True)
class Compatibility:
    """How one model gets on with one machine.

    `hardware_compatibility` says for memory, gpu and cpu one of: compatible, tight,
    incompatible, not needed, not known.
    """

    model_name: str
    profile: Profile
    quantisation: str | None
    compatibility_score: float | None  # 0 to 1: how comfortably; None when it cannot be told
    hardware_compatibility: Mapping[str, str]
    fit: Fit
    warnings: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    performance_estimate: Speed | None = None
    needs: str | None = None  # the smallest named machine that holds it
    facts: Mapping[str, str] = field(default_factory=dict)  # fact → who says so


def gigabytes(count: float) -> str:
    """Bytes as words, in powers of 1000."""
    return f"{count / 1e6:.0f} MB" if count < 0.9995e9 else f"{count / 1e9:.3g} GB"


def short(value: float) -> str:
    """A number with two digits that count, and no exponent."""
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"


def said_by(card: Card, fact: str) -> str | None:
    """Who says a fact of a card."""
    return card.sources.get(fact) or card.sources.get(_SAID_AS.get(fact, ""))


def capacity(profile: Profile) -> int:
    """All memory that a model could use there: main memory and graphics cards."""
    gpus = 0 if profile.shared else sum(gpu.memory for gpu in profile.gpus)
    return profile.memory + gpus


def load_for(card: Card, load: Load) -> Load:
    """`load`, with no more context than the model was trained with."""
    known = card.context or (card.architecture.context if card.architecture else None)
    context = min(load.context, known) if known else load.context
    causal = card.architecture.causal if card.architecture else True
    return replace(load, context=context, embedding=load.embedding or not causal)


def fit_card(
    card: Card, profile: Profile, load: Load | None = None, quantisation: str | None = None
) -> Fit:
    """How a card's model fits a machine; by its file's size alone where no shape is known.

    Raises FitError for a load that cannot be.
    """
    wanted = load_for(card, load or Load())
    network = network_for(card, quantisation)
    if network is None:
        return _by_download(card, profile, wanted, quantisation)
    rest = rest_bytes(card, network, quantisation)
    found = fit(network, wanted, replace(profile, memory=max(0, profile.memory - rest)))
    if rest and found.memory:
        ram = found.memory.ram
        ram = Estimate(ram.value + rest, ram.low + rest, ram.high + rest, ram.basis)
        part = Part("rest of the file", rest, "ram")
        memory = replace(found.memory, parts=(*found.memory.parts, part), ram=ram)
        said = f"{gigabytes(rest)} of its file are not in its shape, such as what reads pictures"
        needs = f"needs {gigabytes(ram.value)} of {gigabytes(profile.memory)} main memory"
        others = tuple(reason for reason in found.reasons if "main memory" not in reason)
        found = replace(
            found,
            memory=memory,
            reasons=(needs, *others),
            warnings=(*found.warnings, said),
        )
    if found.verdict in RUNS and found.speed is None:
        found = replace(found, speed=profile_speed(network, found.load, profile))
    return found


def rest_bytes(card: Card, network: Network, quantisation: str | None) -> int:
    """What the published file is larger than the shape tells: it must be held as well."""
    size = download_of(card, quantisation)
    if size is None or network.from_file:
        return 0
    rest = size - sum(tensor.bytes for tensor in network.tensors) - network.tokenizer_bytes
    return rest if rest > 0.03 * size else 0


def download_of(card: Card, quantisation: str | None) -> int | None:
    """Bytes of the file in this quantisation, as published."""
    wanted = quantisation or card.quantisation
    if wanted == card.quantisation and card.download:
        return card.download
    return next((v.bytes for v in card.variants if v.quantisation == wanted), None)


def _by_download(card: Card, profile: Profile, load: Load, quantisation: str | None) -> Fit:
    size = download_of(card, quantisation)
    if size is None:
        reason = "Neither the model's shape nor the size of its file is known."
        return Fit("unknown", None, None, load, None, None, (reason,))
    room = capacity(profile) - size
    verdict = "no" if room < 0 else "unknown"
    reason = (
        f"The model's shape is not known. Its file alone takes {gigabytes(size)} "
        f"of {gigabytes(capacity(profile))}; running it takes more."
    )
    return Fit(verdict, None, None, load, room if room < 0 else None, None, (reason,))


def by_capacity() -> list[Profile]:
    """The named machines, the one with the least memory first."""
    return sorted(PROFILES.values(), key=lambda one: (capacity(one), one.name))


def smallest_profile(
    card: Card, load: Load | None = None, quantisation: str | None = None
) -> Profile | None:
    """The named machine with the least memory that runs it; None when none does."""
    for profile in by_capacity():
        if fit_card(card, profile, load, quantisation).verdict in RUNS:
            return profile
    return None


def compatibility(card: Card, profile: Profile, load: Load | None = None) -> Compatibility:
    """Whether `card` runs on `profile`, what limits it, and what would help."""
    found = fit_card(card, profile, load)
    needs = None
    if found.verdict == "no":
        machine = smallest_profile(card, load)
        needs = machine.title if machine else None
    return Compatibility(
        model_name=card.name,
        profile=profile,
        quantisation=card.quantisation,
        compatibility_score=0.0 if found.verdict == "no" else found.score,
        hardware_compatibility=_parts(found, profile),
        fit=found,
        warnings=(*found.warnings, *_warnings(card, found, load or Load())),
        recommendations=_advice(card, found, profile, needs),
        performance_estimate=found.speed,
        needs=needs,
        facts={
            fact: source
            for fact in ("architecture", "parameters")
            if (source := said_by(card, fact))
        },
    )


def _parts(found: Fit, profile: Profile) -> dict[str, str]:
    verdict = found.verdict
    memory = {"ram": "compatible", "gpu": "compatible", "split": "compatible", "tight": "tight",
              "no": "incompatible"}.get(verdict, "not known")  # fmt: skip
    gpu = "not needed"
    if profile.gpus:
        gpu = {"gpu": "compatible", "split": "tight", "unknown": "not known"}.get(
            verdict, "incompatible"
        )
        if verdict == "tight" and found.load.gpu_layers:
            gpu = "tight"
    cpu = "not needed" if verdict == "gpu" else "compatible"
    if verdict == "unknown" or (cpu == "compatible" and found.speed is None):
        cpu = "not known"
    elif cpu == "compatible" and found.speed and found.speed.generation.value < _SLOW:
        cpu = "tight"
    return {"memory": memory, "gpu": gpu, "cpu": "not known" if verdict == "no" else cpu}


def _warnings(card: Card, found: Fit, asked: Load) -> list[str]:
    said = []
    if found.load.context < asked.context:
        said.append(
            f"It was trained with a context of {found.load.context:,} tokens, "
            f"less than the {asked.context:,} asked for."
        )
    if found.verdict in RUNS and found.speed is None:
        said.append("How fast it runs there is not known.")
    elif found.speed and found.speed.generation.value < _SLOW:
        said.append(
            f"It writes about {short(found.speed.generation.value)} tokens/s: slow to read."
        )
    return said


def _advice(card: Card, found: Fit, profile: Profile, needs: str | None) -> tuple[str, ...]:
    said = []
    if found.verdict in ("no", "tight"):
        said += smaller_ways(card, profile, found.load)
    if needs:
        said.append(f"The smallest machine of those known here that holds it: {needs}.")
    elif found.verdict == "no":
        said.append("No machine that is known here holds it.")
    return tuple(said)


def smaller_ways(card: Card, profile: Profile, load: Load) -> list[str]:
    """What would make it fit: a smaller context, a smaller quantisation."""
    said = []
    network = network_for(card)
    context = largest_context(network, load, profile) if network else None
    if context and 512 <= context < load.context:
        said.append(f"A context of {context:,} tokens fits.")
    sizes = sorted(
        {v.quantisation: v.bytes for v in card.variants if v.bytes}.items(),
        key=lambda item: (-item[1], item[0]),
    )
    for quantisation, size in sizes:
        if size < (card.download or size + 1):
            smaller = fit_card(card, profile, load, quantisation)
            if smaller.verdict in ("gpu", "split", "ram"):
                said.append(f"{quantisation} ({gigabytes(size)}) fits, with some loss of quality.")
                break
    return said

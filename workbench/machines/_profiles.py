"""Machines to ask about: this one, named ones, and what a person calls them.

    find_profile("this"), find_profile("gpu-24gb"), find_profile("two 24 GB GPUs"),
    find_profile("RTX 4090 with 64 GB"), find_profile("M2 Pro 32 GB"), find_profile("16 GB laptop")

Cards, chips and machines are data (`data/profiles.json`): bandwidth and 16-bit compute as the
vendors publish them, each with its source. Main memory is what is left beside a system
(`_reserve`, a rule of thumb); of an Apple's memory the GPU takes the share that Metal
recommends by default (2/3, above 36 GB 3/4). Words that are not understood are an error, never
skipped: "RTX 4091" is no card.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.errors import FitError
from workbench.fit import Profile, ProfileGpu, latest_calibration
from workbench.machines import _own_profiles

GIB = 2**30
_DATA: Mapping[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "profiles.json").read_text(encoding="utf-8")
)
_CARDS, _CHIPS = _DATA["cards"], _DATA["chips"]
_COUNTS = {"a": 1, "one": 1, "two": 2, "dual": 2, "pair": 2, "three": 3, "four": 4, "eight": 8}
_FILLERS = """
an the of with and plus memory main unified geforce nvidia amd radeon apple tesla intel
graphics machine computer box only no mac macbook imac studio mini pro air chip them
"""
_KINDS = {
    "gpu": "gpu", "gpus": "gpu", "card": "gpu", "cards": "gpu", "vram": "gpu",
    "laptop": "laptop", "notebook": "laptop", "cpu": "desktop", "desktop": "desktop",
    "ram": "desktop", "pc": "desktop", "workstation": "desktop", "server": "server",
}  # fmt: skip
_LARGEST = 1 << 16  # GiB


def _reserve(memory: int) -> int:
    """What a system and its programs keep for themselves: an eighth, 1.5 to 8 GiB."""
    return min(max(memory // 8, 3 * GIB // 2), 8 * GIB)


def _gpu(name: str, gib: float | None = None) -> ProfileGpu:
    facts = _CARDS[name]
    memory = int((gib or facts["memory"]) * GIB)
    return ProfileGpu(name, memory, facts["bandwidth"] * 1e9, facts["compute"] * 1e12)


def _apple(name: str, title: str, chip: str, gib: float) -> Profile:
    facts, memory = _CHIPS[chip], int(gib * GIB)
    share = 2 / 3 if gib <= 36 else 3 / 4
    bandwidth = facts["bandwidth"] * 1e9
    gpu = ProfileGpu(f"Apple {chip}", int(memory * share), bandwidth, facts["compute"] * 1e12)
    return Profile(
        name, title, memory - _reserve(memory), (gpu,), True, facts["cores"], bandwidth,
        facts["source"],
    )  # fmt: skip


def _machine(name: str, facts: Mapping[str, Any]) -> Profile:
    if "chip" in facts:
        return _apple(name, facts["title"], facts["chip"], facts["memory"])
    memory, cards = int(facts["memory"] * GIB), facts.get("cards", ())
    source = facts["source"] or "; ".join(sorted({_CARDS[card]["source"] for card in cards}))
    return Profile(
        name, facts["title"], memory - _reserve(memory), tuple(map(_gpu, cards)), False,
        facts["cores"], facts["bandwidth"] * 1e9, source,
    )  # fmt: skip


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {name: _machine(name, facts) for name, facts in _DATA["machines"].items()}
)


def this_machine() -> Profile:
    """This machine: memory that models may take now, with what the newest calibration measured.

    What our engine's and an Ollama's models hold counts as free: they make room for another.
    """
    from workbench import hardware

    here = hardware.machine()
    total, available = here.memory_total, here.memory_available
    memory = min(total, available + _own_profiles.held_by_models())
    facts = latest_calibration() or {}
    bandwidth = facts.get("bandwidth")
    gpus = tuple(_known_gpu(gpu) for gpu in here.gpus)
    shared = any(gpu.shared for gpu in here.gpus)
    source = f"measured {str(facts.get('at', ''))[:10]}" if bandwidth else "not calibrated yet"
    title = f"This machine ({here.cpu})"
    return Profile("this", title, memory, gpus, shared, here.physical_cores, bandwidth, source)


def _known_gpu(gpu: Any) -> ProfileGpu:
    """A card of this machine, with the rates that its vendor publishes, if it is known."""
    text = _plain(gpu.name)
    chips = {f"apple {name.lower()}": (name, _CHIPS) for name in _CHIPS}
    cards = {name.lower(): (name, _CARDS) for name in _CARDS}
    for alias in sorted(chips | cards, key=len, reverse=True):
        if re.search(rf"(?<![\w]){re.escape(alias)}(?![\w])", text):
            name, table = (chips | cards)[alias]
            facts = table[name]
            memory = gpu.memory_total or 0
            if gpu.shared:
                memory = memory * 2 // 3
            return ProfileGpu(gpu.name, memory, facts["bandwidth"] * 1e9, facts["compute"] * 1e12)
    return ProfileGpu(gpu.name, gpu.memory_total or 0)


def profiles() -> dict[str, Profile]:
    """All named machines: ours, and the user's own, which come first where names are equal."""
    return {**PROFILES, **_own_profiles.read_profiles()}


def find_profile(text: str) -> Profile:
    """The machine that a name or free words mean. FitError, with near names, when none does."""
    plain = _plain(text)
    if plain in {"this", "here", "this machine", "local"}:
        return this_machine()
    known = profiles()
    named = {_plain(one.title): one for one in known.values()}
    named |= {_plain(name): one for name, one in known.items()}
    if plain in named:
        return named[plain]
    with suppress(ValueError):
        if re.search(r"(?<!\w)-\s*[\d.]", text):
            raise ValueError("a negative size")
        return _understood(plain, known)
    near = difflib.get_close_matches(plain, known, n=3, cutoff=0.3) or list(PROFILES)[:3]
    raise FitError(
        f"No machine is known as {text.strip()[:60]!r}. Near names: {', '.join(near)}. "
        'Or say it like "24 GB GPU", "2x24GB", "RTX 4090", "M2 Pro 32 GB", "16 GB laptop".'
    )


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w.+]+", " ", text[:200].lower().replace("_", " ")).split())


def _understood(text: str, known: Mapping[str, Profile]) -> Profile:
    """ValueError for what cannot be understood."""
    text = re.sub(r"\b(\d{1,2}) ?x ?(?=\w)", r"count\1 ", text)
    text = re.sub(r"\b(\d{1,2}) (gpus|cards)\b", r"count\1 \2", text)
    chip, text = _taken(text, {name.lower(): name for name in _CHIPS})
    aliases = {alias: n for n, facts in _CARDS.items() for alias in _aliases(n, facts)}
    card, text = (None, text) if chip else _taken(text, aliases)
    sizes = [float(size) for size in re.findall(r"\b(\d+(?:\.\d+)?) ?g(?:i?b)?\b", text)]
    if re.search(r"\dg?i?b? ?(?:g(?:i?b)? )?(?:of )?(?:ram|main)\b.*\d", text):
        sizes.reverse()  # the main memory was named first
    words = re.sub(r"\b\d+(?:\.\d+)? ?g(?:i?b)?\b", " ", text).split()
    counts = [_COUNTS[w] if w in _COUNTS else int(w[5:]) for w in words if _is_count(w)]
    kinds = [_KINDS[word] for word in words if word in _KINDS]
    strange = [w for w in words if not (_is_count(w) or w in _KINDS or w in _FILLERS.split())]
    if strange or len(counts) > 1 or len(sizes) > 2 or not all(0 < s <= _LARGEST for s in sizes):
        raise ValueError(text)
    count = counts[0] if counts else 1
    if not 1 <= count <= 64:
        raise ValueError(text)
    if chip:
        if count > 1 or len(sizes) > 1:
            raise ValueError(text)
        gib = sizes[0] if sizes else _CHIPS[chip]["memory"]
        return _apple(f"{chip} {gib:g} GB", f"Apple {chip}, {gib:g} GB", chip, gib)
    if card:
        return _with_cards(
            [_gpu(card)] * count, sizes[0] if sizes else None, _CARDS[card]["source"]
        )
    return _by_size(sizes, count, kinds, known)


def _aliases(name: str, facts: Mapping[str, Any]) -> list[str]:
    plain = name.lower()
    words = [plain, plain.replace(" ", ""), *facts.get("aliases", ())]
    short = re.sub(r"^(rtx|rx) ", "", plain)
    return [*words, short] if re.match(r"\d{4}", short) else words


def _taken(text: str, names: Mapping[str, str]) -> tuple[str | None, str]:
    """The longest of the names that the text holds, and the text without it."""
    for alias in sorted(names, key=len, reverse=True):
        cut, found = re.subn(rf"(?<![\w.]){re.escape(alias)}s?(?![\w.])", " ", text, count=1)
        if found:
            return names[alias], cut
    return None, text


def _is_count(word: str) -> bool:
    return word in _COUNTS or re.fullmatch(r"count\d{1,2}", word) is not None


def _by_size(
    sizes: list[float], count: int, kinds: list[str], known: Mapping[str, Profile]
) -> Profile:
    kind = "gpu" if "gpu" in kinds or (not kinds and count > 1) else kinds[0] if kinds else ""
    if not sizes or not kind:
        raise ValueError("no size, or of what?")
    size = sizes[0]
    if kind == "gpu":
        name = f"gpu-{size:g}gb" if count == 1 else f"gpu-{count}x{size:g}gb"
        if name in known and len(sizes) == 1:
            return known[name]
        like = known.get(f"gpu-{size:g}gb")
        card = like.gpus[0] if like and like.gpus else ProfileGpu(f"{size:g} GB", int(size * GIB))
        source = like.source if like else "no card of this size is known to us: no speed"
        return _with_cards([card] * count, sizes[1] if len(sizes) > 1 else None, source)
    if len(sizes) > 1 or count > 1:
        raise ValueError("two sizes of one memory")
    same = [p for n, p in known.items() if n == f"{kind}-{size:g}gb"]
    if same:
        return same[0]
    like = next(p for n, p in PROFILES.items() if n.startswith(kind))
    memory = int(size * GIB)
    title = f"{kind.title()}, {size:g} GB, no GPU"
    return Profile(
        f"{kind}-{size:g}gb", title, memory - _reserve(memory), (), False, like.cores,
        like.bandwidth, like.source,
    )  # fmt: skip


def _with_cards(gpus: list[ProfileGpu], main: float | None, source: str) -> Profile:
    gib = main or max(16.0, min(2 * sum(gpu.memory for gpu in gpus) / GIB, 512.0))
    count = f"{len(gpus)} x " if len(gpus) > 1 else ""
    like = PROFILES["gpu-24gb" if gib < 100 else "gpu-80gb"]
    title = f"{count}{gpus[0].name}, {gib:g} GB of main memory"
    name = f"{count}{gpus[0].name} {gib:g} GB".lower().replace(" ", "-")
    memory = int(gib * GIB)
    return Profile(
        name, title, memory - _reserve(memory), tuple(gpus), False, like.cores, like.bandwidth,
        source,
    )  # fmt: skip

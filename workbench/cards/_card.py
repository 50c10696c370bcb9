"""A card: what is known about a model, and who says so. A fact that nobody states is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from workbench.fit import Architecture, Network

# name and number of parameters below which it ends
SIZE_CLASSES: Mapping[str, float] = {
    "tiny": 1.5e9,
    "small": 5e9,
    "medium": 15e9,
    "large": 45e9,
    "huge": float("inf"),
}


@dataclass(frozen=True, slots=True)
class Score:
    """A benchmark's result. Two scores compare only if metric and setting are equal."""

    metric: str  # "MMLU"
    value: float  # 0 to 100
    setting: str  # "5-shot; self-reported by publisher"
    source: str
    measured_on: str | None = None  # the relative that was measured, when it was not this model
    own: bool = False  # measured on this machine


@dataclass(frozen=True, slots=True)
class Variant:
    """One quantisation that can be had. `bytes` are of the download; None when not known."""

    quantisation: str  # "Q4_K_M"
    name: str  # what to pull: "llama3.1:8b-instruct-q4_K_M"
    bytes: int | None
    exact: bool  # False: published with two digits
    installed: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """Facts about one model."""

    name: str  # what to pull or the installed name: "llama3.1:8b"
    family: str = ""
    publisher: str | None = None
    categories: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()  # Ollama's words: completion, tools, vision, …
    parameters: int | None = None
    active_parameters: int | None = None  # of a mixture of experts
    context: int | None = None
    license: str | None = None  # SPDX identifier or LicenseRef-…
    released: str | None = None  # "2024-07"
    architecture: Architecture | None = None
    quantisation: str | None = None  # of the variant that `name` gets
    variants: tuple[Variant, ...] = ()
    download: int | None = None  # bytes of the variant that `name` gets
    scores: tuple[Score, ...] = ()
    hf_repo: str | None = None
    aliases: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)  # fact → who says so
    origins: tuple[str, ...] = ()  # of "shipped", "own", "engine", "disk", "hub", "registry"
    installed: str | None = None  # its name in the engine
    digest: str | None = None
    path: Path | None = None  # of a file or folder on this disk
    fetched_at: datetime | None = None  # when a live source said it
    notes: tuple[str, ...] = ()
    network: Network | None = field(default=None, repr=False)  # read from a file's header

    @property
    def size_class(self) -> str | None:
        """tiny, small, medium, large or huge; None when nobody tells the parameters."""
        if self.parameters is None:
            return None
        return next(name for name, end in SIZE_CLASSES.items() if self.parameters < end)

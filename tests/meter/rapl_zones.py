"""A folder as the kernel shows a counter of the processor's energy (RAPL)."""

from __future__ import annotations

from pathlib import Path


def zone(root: Path, folder: str, name: str, microjoules: int, most: int = 10**9) -> Path:
    place = root / folder
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")
    return place / "energy_uj"

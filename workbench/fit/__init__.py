"""What a model takes of a machine: memory, speed, and how far such estimates can be trusted.

Everything here is computed from a GGUF header or a card's facts before anything is loaded, and
kept beside what was measured (the ledger), which corrects the next estimate.
"""

from __future__ import annotations

from workbench.fit._correction import ErrorRow, corrected, corrected_memory, corrected_speed, errors
from workbench.fit._fit import best_quantisation, fit, largest_context, memory_on
from workbench.fit._ledger import (
    Measurement,
    fingerprint,
    latest_calibration,
    record,
    save_calibration,
)
from workbench.fit._memory import check_load, kv_cache_bytes, memory
from workbench.fit._parameters import active_parameter_count, parameter_count
from workbench.fit._records import (
    CACHE_TYPES,
    Architecture,
    Estimate,
    Fit,
    Load,
    Memory,
    Network,
    Part,
    Profile,
    ProfileGpu,
    Speed,
)
from workbench.fit._shape import network_of
from workbench.fit._tensors import computed_network, requantised

__all__ = [
    "CACHE_TYPES",
    "Architecture",
    "ErrorRow",
    "Estimate",
    "Fit",
    "Load",
    "Measurement",
    "Memory",
    "Network",
    "Part",
    "Profile",
    "ProfileGpu",
    "Speed",
    "active_parameter_count",
    "best_quantisation",
    "check_load",
    "computed_network",
    "corrected",
    "corrected_memory",
    "corrected_speed",
    "errors",
    "fingerprint",
    "fit",
    "kv_cache_bytes",
    "largest_context",
    "latest_calibration",
    "memory",
    "memory_on",
    "network_of",
    "parameter_count",
    "record",
    "requantised",
    "save_calibration",
]

"""Workbench: find, measure, teach, tune, version and use local language models.

The public names are resolved on first use (PEP 562), so that `import workbench` is quick
and loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "connect": "workbench.engines",
    "aconnect": "workbench.engines",
    "home": "workbench.settings",
    "WorkbenchError": "workbench.errors",
}

__all__ = ["WorkbenchError", "__version__", "aconnect", "connect", "home"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

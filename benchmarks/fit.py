"""What a model takes and how fast it is: predicted against measured, ours and others'.

    python benchmarks/fit.py [--memory] [--speed] [--quick] [--write]

Without --memory or --speed both are run. `--quick` takes a few small shapes (about a minute);
all of them take some ten minutes on two cores and up to 3 GB of disk and memory at a time.
`--write` puts the tables into docs/benchmarks/fit.md; a part that was not run stays as it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

_REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "fit.md"
_PARTS = {"Memory": "fit_memory", "Speed": "fit_speed"}
_TITLE = "# Predicted and measured: what models take, how fast they are\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memory", action="store_true", help="only memory")
    parser.add_argument("--speed", action="store_true", help="only speed")
    parser.add_argument("--quick", action="store_true", help="a few small shapes")
    parser.add_argument("--write", action="store_true", help="also into docs/benchmarks/fit.md")
    options = parser.parse_args()
    wanted = [name for name in _PARTS if getattr(options, name.lower())] or list(_PARTS)
    for name in wanted:
        if find_spec(_PARTS[name]) is None:
            continue
        report: Callable[[bool], str] = import_module(_PARTS[name]).report
        text = f"{_circumstances(name, options.quick)}\n\n{report(options.quick)}"
        print(text)
        if options.write:
            _write(name, text)


def _circumstances(name: str, quick: bool) -> str:
    command = f"python benchmarks/fit.py --{name.lower()}{' --quick' * quick} --write"
    return (
        f"Made by `{command}` on {date.today()}: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}."
    )


def _write(name: str, text: str) -> None:
    """Replace one part of the report and keep the other."""
    old = _REPORT.read_text("utf-8") if _REPORT.exists() else ""
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", old, re.M | re.S))
    parts[name] = f"\n{text}\n\n"
    body = "".join(f"## {part}\n{parts[part]}" for part in _PARTS if part in parts)
    _REPORT.write_text(f"{_TITLE}\n{body.rstrip()}\n", "utf-8")


if __name__ == "__main__":
    main()

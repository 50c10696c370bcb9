"""Is it right, and is it fast: intervals, tokens per second, and the same tasks through lm-eval.

    python benchmarks/evaluation.py [--intervals] [--speed] [--lm-eval] [--quick] [--write]

Without a part's name all are run, one after the other; together they take about an hour on two
cores that do nothing else. `--quick` takes a few minutes and says less. `--write` puts the tables
into docs/benchmarks/evaluation.md; a part that was not run stays as it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path

_REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "evaluation.md"
_PARTS = {
    "Intervals": "evaluation_intervals",
    "Speed": "evaluation_speed",
    "lm-eval": "evaluation_lm_eval",
}
_TITLE = "# Evaluation: are the intervals right, are the speeds, and how fast is it\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in _PARTS:
        parser.add_argument(f"--{name.lower()}", action="store_true", help=f"only {name}")
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    parser.add_argument("--write", action="store_true", help=f"also into docs/{_REPORT.name}")
    options = parser.parse_args()
    asked = [name for name in _PARTS if getattr(options, name.lower().replace("-", "_"))]
    for name in asked or _PARTS:
        report: Callable[[bool], str] = import_module(_PARTS[name]).report
        text = f"{_circumstances(name, options.quick)}\n\n{report(options.quick).strip()}"
        print(text, end="\n\n", flush=True)
        if options.write:
            _write(name, text)


def _circumstances(name: str, quick: bool) -> str:
    command = f"python benchmarks/evaluation.py --{name.lower()}{' --quick' * quick} --write"
    return (
        f"Made by `{command}` on {date.today()}: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f} before."
    )


def _write(name: str, text: str) -> None:
    """Replace one part of the report and keep the others."""
    old = _REPORT.read_text("utf-8") if _REPORT.exists() else ""
    parts = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", old, re.M | re.S))
    parts[name] = f"\n{text}\n\n"
    body = "".join(f"## {part}\n{parts[part]}" for part in _PARTS if part in parts)
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    _REPORT.write_text(f"{_TITLE}\n{body.rstrip()}\n", "utf-8")


if __name__ == "__main__":
    main()

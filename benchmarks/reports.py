"""Reports of several parts: each is run alone or with the others, and kept in one page."""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable, Mapping
from datetime import date
from importlib import import_module
from pathlib import Path

_PAGES = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"


def run(topic: str, about: str | None, title: str, parts: Mapping[str, str], quick: str) -> None:
    """Run the parts (title to module, whose `report(quick)` gives a text) that are asked for.

    `topic` names the program and its page, `about` is what --help says, `quick` what --quick does.
    """
    page = _PAGES / f"{topic}.md"
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in parts:
        parser.add_argument(f"--{name.lower()}", action="store_true", help=f"only {name.lower()}")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--write", action="store_true", help=f"also into docs/benchmarks/{page.name}"
    )
    options = parser.parse_args()
    for name in [name for name in parts if getattr(options, name.lower())] or list(parts):
        report: Callable[[bool], str] = import_module(parts[name]).report
        text = f"{_circumstances(topic, name, options.quick)}\n\n{report(options.quick)}"
        print(text)
        if options.write:
            _write(page, title, parts, name, text)


def _circumstances(topic: str, name: str, quick: bool) -> str:
    command = f"python benchmarks/{topic}.py --{name.lower()}{' --quick' * quick} --write"
    return (
        f"Made by `{command}` on {date.today()}: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}."
    )


def _write(page: Path, title: str, parts: Mapping[str, str], name: str, text: str) -> None:
    """Replace one part of the page and keep the others."""
    old = page.read_text("utf-8") if page.exists() else ""
    kept = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", old, re.M | re.S))
    kept[name] = f"\n{text.strip()}\n\n"
    body = "".join(f"## {part}\n{kept[part]}" for part in parts if part in kept)
    page.write_text(f"{title}\n{body.rstrip()}\n", "utf-8")

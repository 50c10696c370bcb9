"""The stored models of the embedded engine: what `workbench.integrity` finds, as findings.

A live Ollama's own files are left to Ollama.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from workbench.doctor._check import Check

if TYPE_CHECKING:
    from workbench.integrity import Fault, Report

_NAME = "model files"
_AGAIN = "Remove it, then pull or create it again (the starter: workbench starter)."
_FIX = "workbench doctor --fix --thorough"
_SHOWN = 5  # faults of one model that are told one by one
_LEFT = {
    "orphan": "named by no model",
    "foreign": "no file of a library",
    "partial": "from downloads or work that was broken off",
}


def model_files(thorough: bool) -> Iterator[Check]:
    """By sizes, or by every byte."""
    from workbench.integrity import look, verify

    report = verify() if thorough else look()
    for name in report.models:
        if faults := report.of(name):
            yield _broken(name, faults)
    for fault in report.faults:
        if fault.harmful and not fault.affects:
            yield _closed(fault)
    if report.ok:
        yield Check(_NAME, True, _sound(report))
    yield from _left_over(report)


def _sound(report: Report) -> str:
    done = "all there, of the right size"
    if report.thorough:
        before = f", {report.trusted} of them read in the last day" if report.trusted else ""
        done = f"every byte is right{before}"
    return f"{len(report.models)} models, {report.files} files: {done}"


def _broken(name: str, faults: Sequence[Fault]) -> Check:
    """All that is wrong with one model."""
    what = [
        "its manifest is damaged" if fault.what == "is a damaged manifest" else
        f"{fault.subject} {fault.what}" for fault in faults[:_SHOWN]
    ]  # fmt: skip
    what += [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    message = f"{name}: {', '.join(what)}."
    ways = list(dict.fromkeys(fault.repair.words for fault in faults if fault.repair))
    if not ways:
        return Check(_NAME, False, message, _AGAIN, f"workbench models rm --yes {name}")
    fix = " ".join([*ways, "What cannot be had again: remove the model and get it anew."])
    return Check(_NAME, False, message, fix, _FIX, "repair files", name, safe=True)


def _closed(fault: Fault) -> Check:
    """A folder with wrong permissions: which models are in it cannot be told."""
    message = f"{fault.words}."
    if fault.repair is None:
        return Check(_NAME, False, message, "Give it to yourself, or ask whose it is.")
    return Check(_NAME, False, message, fault.repair.words, _FIX, "repair files", "", safe=True)


def _left_over(report: Report) -> Iterator[Check]:
    """What breaks no model, counted."""
    for kind, words in _LEFT.items():
        found = [fault for fault in report.faults if fault.kind == kind and not fault.harmful]
        if found:
            size = sum(fault.size for fault in found) / 1e6
            message = f"{len(found)} of the stored files ({size:.0f} MB) are {words}."
            yield Check(_NAME, None, message, "They harm no model.", "workbench storage show")

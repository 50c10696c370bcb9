"""Are the stored models what their names say? Every byte is read, and what is broken is mended.

    report = verify()                     # blobs against digests, manifests against blobs
    for fault in report.faults:
        print(fault.words)                # "starter:latest: sha256-1b2c… was changed on the disk"
        print(repair(fault, engine).words)

Reading takes no lock and follows no symlink, so it is safe while an engine runs. What was read
in the last day is not read again unless asked (`resume=False`); progress may raise, which ends it.
Of an engine whose files are not ours only its list can be compared: `engine_faults`.
"""

from __future__ import annotations

from workbench.integrity._engine import compare, engine_faults, limits
from workbench.integrity._records import KINDS, Fault, Outcome, Pace, Repair, Report
from workbench.integrity._repair import repair
from workbench.integrity._verify import checked_at, look, verify

__all__ = [
    "KINDS",
    "Fault",
    "Outcome",
    "Pace",
    "Repair",
    "Report",
    "checked_at",
    "compare",
    "engine_faults",
    "limits",
    "look",
    "repair",
    "verify",
]

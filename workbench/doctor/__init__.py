"""What is wrong here, why, and what to do about it: behind `workbench doctor` and the page's list.

    for item in await check():
        print(item.name, item.ok, item.message, item.fix)
        if item.ok is not True and item.safe:
            print((await fix(item)).words)

A check is fine (True), failed (False) or a note (None: worth knowing, no fault). Looking changes
nothing; `fix` does what a finding offers, and deletes nothing. A check that fails in an unforeseen
way is a failed check, never a traceback.
"""

from __future__ import annotations

from workbench.doctor._check import Check
from workbench.doctor._fix import ACTIONS, Fixed, fix
from workbench.doctor._round import check

__all__ = ["ACTIONS", "Check", "Fixed", "check", "fix"]

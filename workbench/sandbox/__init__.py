"""Runs Python code that nobody trusts, and says how well the machine is protected from it.

    outcome = run_python("print(6 * 7)", timeout=5)
    outcome.status, outcome.stdout      # "done", "42\\n"
    protection().words                  # which protection is in force here

Each run is a process of its own that sees no files, no network and no other process, can start
none, and is bounded in time, memory and disk. `run_python` may be called from several threads.
It guards the machine, not the marks: a program can end with exit code 0 whenever it likes.
"""

from workbench.sandbox._levels import LEVELS, Level, Protection
from workbench.sandbox._outcome import Outcome, Status
from workbench.sandbox._run import protection, run_python

__all__ = [
    "LEVELS",
    "Level",
    "Outcome",
    "Protection",
    "Status",
    "protection",
    "run_python",
]

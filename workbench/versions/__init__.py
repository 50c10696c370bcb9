"""Guided updates: another model in a role, tried, measured, taken into use in one step, and back.

    begun = start({"primary": "llama3.2:3b"}, suite="writing", gate="not worse", reason="quicker")
    for step in find(begun.id).steps:        # pull, smoke, suite, reembed, switch, validate, record
        print(step.title, step.state, step.words)
    undo(begun)                              # or rollback(to="v0.1"): release and vectors together

It runs as a job. Until the step `switch` nothing that is in use is touched, and that step is one
transaction: killed at any moment, what was in use is in use, or all of the new. `verify` looks
whether a release's models are whole, the same as when it was made, and fit the vectors.
"""

from __future__ import annotations

from workbench.versions._keep import find, updates
from workbench.versions._manage import resume, start, stop, undo
from workbench.versions._plan import plan
from workbench.versions._records import GATES, STEPS, Change, Step, Update
from workbench.versions._rollback import rollback, use
from workbench.versions._run import run_update
from workbench.versions._verify import Verified, verify

__all__ = [
    "GATES",
    "STEPS",
    "Change",
    "Step",
    "Update",
    "Verified",
    "find",
    "plan",
    "resume",
    "rollback",
    "run_update",
    "start",
    "stop",
    "undo",
    "updates",
    "use",
    "verify",
]

"""A release's models brought into an engine: exactly its versions, or words why not.

    plan = plan_sync(engine, find("v0.2"))       # what is here, what differs, what is missing
    for step in sync(engine, plan):              # progress, and a Synced for each model
        print(step)

Pulled models are pulled, made ones created from their Modelfiles, and each gets its name only when
its digest is the release's. For trained ones the commands are told that make them again.
"""

from __future__ import annotations

from workbench.sync._plan import Step, SyncPlan, plan_sync
from workbench.sync._sync import Synced, sync

__all__ = ["Step", "SyncPlan", "Synced", "plan_sync", "sync"]

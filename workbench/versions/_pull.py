"""Getting the models that are not here, through the engine, and noting their digests."""

from __future__ import annotations

from workbench.errors import EngineError, EngineUnreachable, ReleaseError
from workbench.versions._part import Part
from workbench.versions._plan import check_fits
from workbench.versions._records import Outcome
from workbench.versions._shelf import Shelf
from workbench.versions._work import Work


def pull_step(work: Work) -> Outcome:
    """Pull what is missing; a pull that was cut goes on. Raises ReleaseError, EngineError."""
    wanted = [one.model for one in work.changes if one.pull]
    if not wanted:
        return Outcome("All models are here.", state="skipped")
    for number, name in enumerate(dict.fromkeys(wanted)):
        if Shelf(work.engine).find(name) is None:
            part = work.context.inner(number, len(wanted))
            _pull(work, part, name)
    shelf = Shelf(work.engine)
    digests = {name: shelf.digest(name) for name in wanted}
    for name, digest in digests.items():
        if not digest:
            raise ReleaseError(f"{name} was pulled and the engine does not list it: see its log.")
    for one in work.changes:
        if one.pull:
            check_fits(one.role, work.engine.show(one.model))
    if all(digests.get(one.model, one.digest) == one.before_digest and one.model == one.before_model
           for one in work.changes):  # fmt: skip
        raise ReleaseError("What was pulled is what is in use already: nothing changes.")
    words = "; ".join(f"{name} is {digest[:12]}" for name, digest in digests.items())
    return Outcome(f"Pulled: {words}.", {"digests": digests})


def _pull(work: Work, part: Part, name: str) -> None:
    try:
        for step in work.engine.pull(name):
            part.progress(step.fraction, f"{name}: {step.status}")
            part.check_cancelled()
    except EngineUnreachable:
        raise
    except EngineError as error:
        raise ReleaseError(f"{name} could not be pulled, so nothing was changed: {error}") from None

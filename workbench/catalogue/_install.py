"""Install a model as a job: pull it through the engine, tell how far it is, be cancelled.

The engine keeps what has arrived of a download, so a job that was cancelled, failed or died goes
on from there when it is resumed, and a second pull of the same file joins the first.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, ModelNotFound
from workbench.protocol import ModelName

if TYPE_CHECKING:
    from workbench.jobs import JobContext
    from workbench.types import Model, Progress


def install(job: JobContext, name: str, url: str | None = None) -> dict[str, Any]:
    """Pull `name` into the engine at `url` (None: the one in use). The installed model's facts.

    Raises EngineError when the registry or the engine refuses, StreamBroken when it breaks off.
    """
    from workbench.engines import connect

    began = time.monotonic()
    arrived: dict[str, tuple[int, int]] = {}  # digest → bytes here, bytes in all
    first: int | None = None  # bytes that an earlier attempt had brought
    with connect(url) as engine, closing(engine.pull(name)) as steps:
        try:
            for step in steps:
                job.check_cancelled()
                _tell(job, step, arrived)
                first = first or step.completed
        except ModelNotFound as error:
            raise ModelNotFound(
                f"The registry has no model {name!r}. Check its name and its tag.", error.status
            ) from None
        model = _find(engine.models(), name)
    job.progress(1.0, "Installed")
    return {
        "name": model.name,
        "digest": model.digest,
        "bytes": model.size,
        "seconds": round(time.monotonic() - began, 3),
        "resumed_at": first if job.attempt > 1 else None,
    }


def _tell(job: JobContext, step: Progress, arrived: dict[str, tuple[int, int]]) -> None:
    """One step of the pull as progress of the job. The weights come first and are nearly all."""
    if step.digest is None or not step.total:
        job.progress(_share(arrived), step.status.capitalize())
        return
    arrived[step.digest] = (min(step.completed or 0, step.total), step.total)
    here, total = (sum(pair[index] for pair in arrived.values()) for index in (0, 1))
    job.progress(_share(arrived), f"{here / 1e6:,.1f} of {total / 1e6:,.1f} MB", bytes=here)


def _share(arrived: dict[str, tuple[int, int]]) -> float | None:
    total = sum(pair[1] for pair in arrived.values())
    return min(0.999, sum(pair[0] for pair in arrived.values()) / total) if total else None


def _find(models: list[Model], name: str) -> Model:
    """The model that was pulled, whatever spelling of its name the engine keeps."""
    wanted = ModelName.parse(name).key()
    found = next((model for model in models if ModelName.parse(model.name).key() == wanted), None)
    if found is None:
        raise EngineError(
            f"The pull of {name!r} ended, but the engine does not list it. Install it again."
        )
    return found

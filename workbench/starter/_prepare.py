"""A machine without models gets two: one that writes and one that embeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.export import checked_name, find_model
from workbench.starter._minilm import install_minilm
from workbench.starter._starter import build_starter
from workbench.work import Part, attached, subfolder

if TYPE_CHECKING:
    from workbench.jobs import JobContext


def prepare(
    job: JobContext | None = None,
    *,
    starter: str = "starter",
    embedding: str = "all-minilm",
    **training: Any,
) -> dict[str, Any]:
    """Make what is missing of both, the embedding model first: it takes seconds.

    `training` are arguments of `build_starter`: minutes, steps and so on. When nothing is
    missing, the engine is asked for its list of models, and that is all.
    Returns what `install_minilm` and `build_starter` returned, None for what was there.
    """
    from workbench.engines import connect

    starter, embedding = checked_name(starter), checked_name(embedding)
    made: dict[str, Any] = {"embedding": None, "starter": None}
    with attached(job) as job:
        with connect() as engine:
            missing = [name for name in (starter, embedding) if find_model(engine, name) is None]
        if embedding in missing:
            part = Part(job, 0.0, 0.08, subfolder(job, "embedding"))
            made["embedding"] = install_minilm(part, name=embedding)
        if starter in missing:
            part = Part(job, 0.08, 1.0, subfolder(job, "starter"))
            made["starter"] = build_starter(part, name=starter, **training)
        job.progress(1.0, "The models are ready" if missing else "Nothing was missing")
    return made

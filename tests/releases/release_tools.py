"""Members of releases for tests that need no engine."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from workbench.releases import Member, Release, make


def digest(word: str) -> str:
    """A digest that this word decides."""
    return sha256(word.encode()).hexdigest()


def member(role: str = "primary", model: str = "one:latest", **more: Any) -> Member:
    """A member; its digest follows from its model where none is given."""
    return Member(role, model, **{"digest": digest(model), "size": 600_000, **more})


def released(version: str, *models: str, **more: Any) -> Release:
    """A release whose roles are primary, fallback, embedding in the order of the models."""
    roles = ("primary", "fallback", "embedding")
    members = [member(role, model) for role, model in zip(roles, models, strict=False)]
    return make(version, members, **more)


def measured(speed: float, score: float, *, machine: str = "A processor, 2 cores, 8 GB",
             suite: str = "code", half: float = 0.05) -> dict[str, Any]:  # fmt: skip
    """One measurement as a member keeps it."""
    return {
        "machine": machine, "tokens_per_second": speed, "first_token_seconds": 0.25,
        "suite": suite, "score": score, "low": score - half, "high": score + half,
        "run": "0123456789", "at": "2026-01-31T12:00:00+00:00",
    }  # fmt: skip

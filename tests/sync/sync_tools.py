"""Asking an engine and a release in short words."""

from __future__ import annotations

from typing import Any

from workbench.engines import Engine
from workbench.releases import Release
from workbench.sync import Synced, sync


def run(engine: Engine, release: Release) -> list[Synced]:
    return [step for step in sync(engine, release) if isinstance(step, Synced)]


def installed(engine: Engine) -> dict[str, str]:
    return {one.name: one.digest for one in engine.models()}


def create(engine: Engine, name: str, **given: Any) -> str:
    for _ in engine.create(name, **given):
        pass
    return installed(engine)[name]


def pull(engine: Engine, name: str) -> str:
    for _ in engine.pull(name):
        pass
    return installed(engine)[name]

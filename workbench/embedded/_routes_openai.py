from __future__ import annotations

from starlette.routing import Route

from workbench.embedded._library import Library
from workbench.embedded._scheduler import Scheduler


def routes(library: Library, scheduler: Scheduler) -> list[Route]:
    return []

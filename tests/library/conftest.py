"""A library in a temporary folder, and the model routes in an app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from library_tools import QUICK, Scheduler, serving
from starlette.applications import Starlette

from workbench.embedded._guard import error_response
from workbench.embedded._routes_models import routes
from workbench.errors import WorkbenchError
from workbench.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


@pytest.fixture
def app(library: Library, scheduler: Scheduler) -> Starlette:
    return Starlette(
        routes=routes(library, scheduler, QUICK),
        exception_handlers={WorkbenchError: error_response, Exception: error_response},
    )


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def url(app: Starlette) -> Iterator[str]:
    with serving(app) as url:
        yield url

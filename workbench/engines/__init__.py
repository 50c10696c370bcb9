"""Clients of engines: Ollama's protocol and OpenAI's, async and plain, and what finds an engine.

`connect()` gives the engine in use and starts the embedded one when there is none. Importing
this room is quick: httpx comes with the first request.
"""

from __future__ import annotations

from workbench.engines._code import code_for
from workbench.engines._find import (
    EngineStatus,
    aconnect,
    connect,
    engine_status,
    start_engine,
    stop_engine,
)
from workbench.engines._ollama import AsyncEngine
from workbench.engines._openai import AsyncOpenAIEngine
from workbench.engines._parse import collect
from workbench.engines._twins import Engine, OpenAIEngine

__all__ = [
    "AsyncEngine",
    "AsyncOpenAIEngine",
    "Engine",
    "EngineStatus",
    "OpenAIEngine",
    "aconnect",
    "code_for",
    "collect",
    "connect",
    "engine_status",
    "start_engine",
    "stop_engine",
]

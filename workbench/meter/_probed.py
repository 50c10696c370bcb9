"""How an engine serves a model: found out once for all loads that give the same answers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from workbench.engines import AsyncEngine
from workbench.meter._canary import Canary, probe
from workbench.protocol import OPTIONS
from workbench.scorers import Mode


async def probed(
    engine: AsyncEngine, model: str, digest: str, modes: Collection[Mode],
    options: Mapping[str, Any], known: dict[str, Canary],
) -> Canary:  # fmt: skip
    """How the engine serves the model that is loaded with these options. `known` are the canaries
    of before, to which one that answers is added; another is made where weights, modes or a setting
    of loading that can change answers differ (it is greedy whatever sampling says). Raises
    EngineUnreachable, ModelNotFound."""
    loading = {n: v for n, v in options.items() if n in OPTIONS and OPTIONS[n].load_time}
    counting = {n: v for n, v in loading.items() if not OPTIONS[n].order_only}
    key = json.dumps([digest, sorted(modes), counting], sort_keys=True)
    if key in known:
        return known[key]
    found = await probe(engine, model, modes, options=loading)
    if found.check("answers").state not in {"bad", "unknown"}:
        known[key] = found
    return found

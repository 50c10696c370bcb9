"""Releases, updates and aliases as they are kept, written by the rooms: for pictures of every
state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import select

from workbench import releases
from workbench.releases import Member
from workbench.store import StoredSwitch, StoredUpdate, session
from workbench.versions import STEPS

HOSTILE = '<img src=x onerror="window.broken=1"> {{7*7}} \'"</script>'
LONG = "a-model-with-a-name-that-is-as-long-as-nobody-would-write-it-0123456789:a-tag"
MACHINE = "A processor with a long name of its maker, 8 cores, 32 GB"


def digest(name: str) -> str:
    """Of a model that is nowhere."""
    return sha256(name.encode()).hexdigest()


def measured(score: float, speed: float, suite: str = "reading-code") -> dict[str, Any]:
    """What Benchmarks found of a model on a suite."""
    return {"machine": MACHINE, "suite": suite, "score": score, "low": score - 0.06,
            "high": score + 0.06, "tokens_per_second": speed, "first_token_seconds": 0.2,
            "run": "abcd", "at": "2026-01-01T00:00:00+00:00"}  # fmt: skip


def member(role: str, model: str, **more: Any) -> Member:
    """A member of a release, with odd things where they can be."""
    values: dict[str, Any] = {
        "digest": digest(model), "size": 4_700_000_000, "quantisation": "Q4_K_M",
        "parameter_size": "8B", "context": 8192, "source": "pulled", "how": {"from": model},
    }  # fmt: skip
    return Member(role, model, **{**values, **more})


def write_releases() -> None:
    """Three releases, the second of which is in use again."""
    tuned = {"source": "tuned", "how": {"from": "assistant:latest", "modelfile": "FROM assistant",
             "from_digest": digest("assistant:latest")}}  # fmt: skip
    vectors = {"embedding": 384, "context": 512, "size": 46_000_000, "parameter_size": "23M"}
    first = [member("primary", "assistant:latest", measured=(measured(0.52, 11.2),)),
             member("embedding", "all-minilm:latest", **vectors)]  # fmt: skip
    second = [
        member("primary", LONG, measured=tuple(measured(0.61, 14.8 + n, f"suite-{n}")
                                               for n in range(4)), **tuned),
        member("fallback", "assistant:latest", measured=(
            measured(0.52, 11.2), {**measured(0.52, 140), "machine": "A GPU of 24 GB"}, {})),
        first[1],
        member("domain:health", "assistant-health:latest"),
    ]  # fmt: skip
    releases.make("", first, purpose="The first one: what was installed anyway.")
    releases.make("", second, purpose=f"Answers better about code. {HOSTILE}",
                  reason="61 % against 52 % on reading-code", notes=f"{HOSTILE}\n" * 3,
                  evidence={"suite": {"verdict": "better", "words": HOSTILE}})  # fmt: skip
    releases.make("", [member("primary", "other:latest"), *second[1:]], reason="It was tried.")
    releases.switch("v0.2", f"The other one was slow. {HOSTILE}")
    with session() as s:
        for row in s.scalars(select(StoredSwitch)):
            row.at -= timedelta(days=(40, 18, 3, 1)[row.id - 1])
    releases.set_alias("candidate", LONG, digest(LONG))


def write_update(state: str, *, until: int, failed: bool = False, **more: Any) -> str:
    """An update of which so many steps are done; its id."""
    now = datetime.now(UTC) - timedelta(hours=1)
    change = {"role": "primary", "model": LONG, "digest": digest(LONG), "pull": False,
              "embedding": False, "before_model": "assistant:latest",
              "before_digest": digest("assistant:latest")}  # fmt: skip
    plan: dict[str, Any] = {"changes": [change], "suite": "reading-code", "gate": "not worse",
                            "steps": {}, "engine": None}  # fmt: skip
    error = {"words": f"The candidate is worse for certain: −9.1 points (−14 to −4). {HOSTILE}"}
    values: dict[str, Any] = {
        "id": digest(state + str(until))[:10], "job": "", "version": "v0.2", "before": "v0.1",
        "plan": plan, "steps": {name: step(number, until, now, "failed" if failed else state)
                                for number, name in enumerate(STEPS)},
        "state": state, "created_at": now, "ended_at": None if state == "running" else now,
        "error": error if failed or state == "stopped" else None,
    }  # fmt: skip
    with session() as s:
        s.add(StoredUpdate(**{**values, **more}))
    return str(values["id"])


def step(number: int, until: int, begun: datetime, last: str) -> dict[str, Any]:
    """One step of an update that came so far; `last` is the state of the one that it is at."""
    name, ended, failed = STEPS[number], number < until, last == "failed"
    state = "waiting"
    if ended:
        state = "skipped" if name in ("pull", "reembed") else "done"
    elif number == until and last in ("failed", "running"):
        state = last
    kept: dict[str, Any] = {"state": state, "words": f"What {name} does and has shown. {HOSTILE}"}
    if state == "waiting":
        return kept
    if state == "running":
        return {**kept, "started_at": begun.isoformat()}
    times = [(begun + timedelta(seconds=20 * n)).isoformat() for n in (number, number + 1)]
    shown = {"suite": gates(failed), "smoke": tried()}.get(name, {"words": HOSTILE})
    return {**kept, "started_at": times[0], "ended_at": times[1], "evidence": shown}


def gates(failed: bool) -> dict[str, Any]:
    """What a gate weighed: a difference, and a role of which nothing is known."""
    told = {"value": -0.091, "low": -0.14, "high": -0.04, "n": 50}
    verdict = "worse" if failed else "undecided"
    one = {"role": "primary", "verdict": verdict, "difference": told, "score": told, "runs": []}
    return {"roles": [one, {"role": HOSTILE, "verdict": None, "difference": None, "score": None}]}


def tried() -> dict[str, Any]:
    """What a model said."""
    said = [{"prompt": HOSTILE, "answer": HOSTILE}]
    return {"roles": [{"model": HOSTILE, "answers": said}]}


def write_versions() -> dict[str, str]:
    """All of it; ids of updates by state."""
    write_releases()
    return {
        "undone": write_update("undone", until=7),
        "failed": write_update("failed", until=2, failed=True, version="v0.3", before="v0.2"),
        "stopped": write_update("stopped", until=3, version="v0.3", before="v0.2"),
        "done": write_update("done", until=7),
        "running": write_update("running", until=2, version="v0.4", before="v0.3"),
    }

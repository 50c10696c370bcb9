"""Homes with runs for the Benchmarks panel's states: measured by a real engine, and known ones."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.kept_runs import kept_run
from bench_servers import engine_with
from tiny import write_tiny_llama

from workbench import bench, jobs
from workbench.bench import Plan
from workbench.panels import Benchmarks
from workbench.panels.states import BenchState, EngineState

HOSTILE = "<script>window.broken=1</script>"
TASKS = {
    "go-on": "title: Going on <b>\nmode: complete\nsamples:\n{rows}\nscorers: [includes, exact]\n"
    "options: {{num_predict: 8}}\n",
    "next": "title: What comes next\nmode: choice\nsamples:\n"
    '  - {{id: a, prompt: "import", choices: [" os", " zzqqk"], target: 0}}\n'
    '  - {{id: b, prompt: "for i in", choices: ["))((", " range"], target: 1}}\n',
    "talk": "title: Talk\nmode: chat\nsamples:\n"
    '  - {{id: a, prompt: "Say something.", target: "e"}}\nscorers: [includes]\n'
    "options: {{num_predict: 8}}\n",
}
MINE = "name: mine\ntitle: My suite\ntasks: [{task: go-on, weight: 2}, next, talk]\n"
OTHER = "name: other\ntitle: Another suite\ntasks: [next]\n"
ANSWERS = 12 + 2 + 1  # of one run of `mine`


def write_suites(home: Path) -> None:
    """Two suites, and one that cannot be read."""
    rows = "\n".join(
        f'  - {{id: s{n}, prompt: "def f{n}(x): {HOSTILE}", target: "e"}}' for n in range(12)
    )
    (home / "tasks").mkdir(parents=True)
    (home / "suites").mkdir()
    for name, text in TASKS.items():
        (home / "tasks" / f"{name}.yaml").write_text(f"name: {name}\n{text.format(rows=rows)}")
    for name, text in (("mine", MINE), ("other", OTHER), ("broken", "name: broken\ntasks: 3\n")):
        (home / "suites" / f"{name}.yaml").write_text(text)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bench-state")
    models = {
        name: write_tiny_llama(folder / f"{name}.gguf", seed=seed, context=1024, endless=True)
        for seed, name in enumerate(("one", "two"))
    }
    with engine_with(folder / "engine", models) as url:
        yield url


@pytest.fixture(scope="module")
def measured(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run of each model, and one of another setting."""
    home = tmp_path_factory.mktemp("measured") / "home"
    write_suites(home)
    before, os.environ["WORKBENCH_HOME"] = os.environ.get("WORKBENCH_HOME"), str(home)
    try:
        for plan in (Plan("one", "mine"), Plan("two", "mine"),
                     Plan("two", "mine", options={"repeat_penalty": 1.5})):  # fmt: skip
            bench.measure(plan, engine=url)
    finally:
        os.environ.pop("WORKBENCH_HOME")
        if before is not None:
            os.environ["WORKBENCH_HOME"] = before
    return home


@pytest.fixture
async def state(
    measured: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BenchState]:
    """The panel's state, which has read the three runs."""
    monkeypatch.setenv("WORKBENCH_HOME", str(measured))
    state = BenchState(engine=EngineState(url=url))
    await state.refresh()
    yield state
    state.close()
    await state.engine.drop()


@pytest.fixture
async def kept(url: str) -> AsyncIterator[BenchState]:
    """A home of its own, with runs whose scores and answers are known."""
    hostile = f"{HOSTILE} said"
    kept_run("good", {"sums": [1.0] * 28 + [0.0] * 2, "words": [1.0] * 30}, outputs=hostile)
    kept_run("poor", {"sums": [0.0] * 30, "words": [1.0] * 29 + [None]}, outputs=hostile)
    kept_run("fair", {"sums": [1.0] * 25 + [0.0] * 5, "words": [1.0] * 30}, outputs=hostile)
    state = BenchState(engine=EngineState(url=url))
    await state.refresh()
    yield state
    await state.engine.drop()


def ids(state: BenchState) -> list[str]:
    """The board's runs, the best first."""
    return [row.result.run.id for row in state.board.rows]


async def compared(state: BenchState) -> Any:
    for id in ids(state):
        state.pick(id)
    await state.show("compare")
    return state.compare


def drawn(panel: Benchmarks) -> str:
    for part in panel.parts:
        part.draw()
    return "".join(str(part.children[0].html) for part in panel.parts)


def end_jobs() -> None:
    for job in jobs.jobs():
        if not job.ended:
            jobs.cancel(job.id)
            jobs.wait(job.id, timeout=20)
    jobs.stop_supervisor()

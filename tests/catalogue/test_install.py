"""Installing as a job: a real engine, a real registry on loopback, cuts and cancels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from library.registry_server import RegistryServer

from workbench import jobs
from workbench.catalogue import install
from workbench.engines import connect, stop_engine
from workbench.errors import EngineError, InvalidRequest
from workbench.jobs import JobContext, Report

TARGET = "workbench.catalogue:install"
PADDING = 12_000_000  # bytes, so that there is something left to cut


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    monkeypatch.setenv("WORKBENCH_CANCEL_SECONDS", "5")
    yield
    for job in jobs.jobs():
        if not job.ended:
            jobs.cancel(job.id)
            jobs.wait(job.id, timeout=30)
    jobs.stop_supervisor()
    stop_engine()


def test_a_model_is_installed_and_progress_is_told(
    registry: RegistryServer, host: str, tiny_gguf: Path, tmp_path: Path
) -> None:
    registry.add("library/tiny:latest", tiny_gguf.read_bytes(), template="{{ .Prompt }}")
    told: list[Report] = []
    name = f"{host}/library/tiny"
    facts = install(JobContext("here", tmp_path, report=told.append), name)
    assert facts["name"] == f"{name}:latest" and facts["resumed_at"] is None
    assert facts["bytes"] >= tiny_gguf.stat().st_size
    shares = [report.fraction for report in told if report.fraction is not None]
    assert shares[-1] == 1.0 and all(0 <= share <= 1 for share in shares)
    assert any(" MB" in report.message for report in told)
    with connect() as engine:
        assert [model.name for model in engine.models()] == [facts["name"]]


def test_a_cancelled_install_goes_on_where_it_stopped(
    registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    weights = tiny_gguf.read_bytes() + bytes(PADDING)
    blobs = registry.add("library/large:latest", weights)
    registry.pause = 0.02
    job = jobs.submit(TARGET, {"name": f"{host}/library/large"}, title="Install", kind="install")
    for seen in jobs.watch(job.id):
        if seen.metrics.get("bytes", 0) > 2_000_000:
            break
    jobs.cancel(job.id)
    assert jobs.wait(job.id, timeout=60).state == "cancelled"
    digest = max(blobs, key=lambda name: blobs[name])
    time.sleep(0.3)
    before = registry.sent(digest)
    assert 0 < before < len(weights)
    registry.pause = 0.0
    jobs.resume(job.id)
    done = jobs.wait(job.id, timeout=120)
    assert done.state == "done", done.error
    assert done.result["resumed_at"] > 0
    assert registry.sent(digest) < len(weights) + 0.5 * before, "began from the beginning"
    with connect() as engine:
        assert [model.name for model in engine.models()] == [f"{host}/library/large:latest"]


def test_what_cannot_be_had_is_said(host: str, tmp_path: Path) -> None:
    context = JobContext("here", tmp_path)
    with pytest.raises(EngineError, match="nothing"):
        install(context, f"{host}/library/nothing")
    with pytest.raises(InvalidRequest, match="invalid model name"):
        install(context, "../../etc/passwd:::")

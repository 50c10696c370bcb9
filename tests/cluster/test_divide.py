"""How an update is divided, what a cluster has room for, and what is said where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import lineage
from workbench.cluster import Executor, executor
from workbench.cluster._connect import asked, connected
from workbench.cluster._divide import Group, grouped, share
from workbench.cluster._mail import Mailbox, append, pieces
from workbench.data import Dataset
from workbench.errors import SettingsError, TrainingError
from workbench.jobs import JobContext
from workbench.learn import Settings
from workbench.recipes import finetune

THERE = "ray://127.0.0.1:10001"


def node(cpu: float, gpu: float = 0, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpu, **({"GPU": gpu} if gpu else {})}}


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64))
def test_an_update_keeps_its_rows(batch: int, accumulation: int, workers: int) -> None:
    settings = Settings(batch=batch, accumulation=accumulation)
    if batch * accumulation % workers:
        with pytest.raises(TrainingError, match="cannot be divided"):
            share(settings, workers)
        return
    each = share(settings, workers)
    assert each.batch * each.accumulation * workers == batch * accumulation
    assert each.batch == batch or each.accumulation * workers > accumulation  # that one first


def test_accumulation_is_divided_first() -> None:
    each = share(Settings(batch=4, accumulation=2), 4)
    assert (each.batch, each.accumulation) == (2, 1)


def test_rows_that_cannot_be_divided_are_refused_with_numbers_that_can() -> None:
    with pytest.raises(TrainingError, match=r"has 6 rows .* 4 workers\. .* 1, 2, 3, 6, or .* 8"):
        Executor(THERE, 4).check(Settings(batch=3, accumulation=2))
    Executor(THERE).check(Settings(batch=3, accumulation=2))  # nobody said how many


@pytest.mark.parametrize(
    ("workers", "rows", "nodes", "wanted"),
    [
        (0, 8, [node(8, 4), node(8, 4)], Group(8, 2, True)),
        (0, 6, [node(8, 4)], Group(3, 2, True)),
        (0, 4, [node(4), node(8), node(16, alive=False)], Group(2, 4, False)),
        (2, 4, [node(2)], Group(2, 1, False)),
        (3, 3, [node(4), node(9)], Group(3, 4, False)),
        (0, 4, [node(1)], Group(1, 1, False)),
    ],
)
def test_workers_are_those_asked_for_or_one_a_card_or_one_a_node(
    workers: int, rows: int, nodes: list[dict[str, Any]], wanted: Group
) -> None:
    assert grouped(Executor(THERE, workers), Settings(batch=rows), nodes) == wanted


@pytest.mark.parametrize("nodes", [[node(2)], [node(64, 2)], [node(0)]])
def test_a_cluster_that_is_too_small_says_so(nodes: list[dict[str, Any]]) -> None:
    with pytest.raises(TrainingError, match=r"too few for 4 workers.* WORKBENCH_WORKERS lower"):
        grouped(Executor(THERE, 4), Settings(batch=4), nodes)


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for value in ("", "local", "ray", "ray://head", "ray://10.0.0.5:7001", "ray://[::1]:7"):
        monkeypatch.setenv("WORKBENCH_EXECUTOR", value)
        found.append(one.address if (one := executor()) else None)
    assert found == [None, None, "ray", "ray://head:10001", "ray://10.0.0.5:7001", "ray://[::1]:7"]
    monkeypatch.setenv("WORKBENCH_WORKERS", "3")
    assert executor() == Executor("ray://[::1]:7", 3)
    for value in ("dask", "http://head:1", "ray://", "ray://h:x", "ray://u@h:1", "ray://h:1/x"):
        monkeypatch.setenv("WORKBENCH_EXECUTOR", value)
        with pytest.raises(SettingsError, match=r"must be local, ray, or .* ray://10"):
            executor()
    monkeypatch.setenv("WORKBENCH_EXECUTOR", "ray")
    monkeypatch.setenv("WORKBENCH_WORKERS", "0")
    with pytest.raises(SettingsError, match="WORKBENCH_WORKERS must be at least 1"):
        executor()


def test_messages_come_again_until_they_were_had() -> None:
    box = Mailbox({"rows": 1})
    assert box.exchange([("a", 1), ("b", 2)]) == ({}, 2)
    assert box.take(0, {"stop": True}) == (2, [("a", 1), ("b", 2)])
    assert box.exchange([("c", 3)]) == ({"stop": True}, 3)
    assert box.take(0, {}) == (3, [("a", 1), ("b", 2), ("c", 3)])
    assert box.take(2, {}) == (3, [("c", 3)])
    assert box.take(3, {}) == (3, []) and box.exchange([]) == ({}, 0)
    assert box.parcel() == {"rows": 1}
    box.unpacked()
    assert box.parcel() == {}


def test_a_folder_goes_in_pieces_and_stays_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.cluster._mail._PIECE", 10)
    (tmp_path / "sub").mkdir()
    written = {"a.json": b"x" * 25, "b.safetensors": b"y" * 20, "empty.json": b"", "run.py": b"z"}
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    into = tmp_path / "into"
    into.mkdir()
    for name, piece in pieces(tmp_path, ("*.json", "*.safetensors")):
        append(into, f"../{name}", piece)
    del written["run.py"]
    assert {one.name: one.read_bytes() for one in into.iterdir()} == written


def test_a_cluster_that_is_not_there_is_told_at_once(
    tiny_folder: Path,
    make_dataset: Callable[[], Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORKBENCH_EXECUTOR", "ray://127.0.0.1:9")
    monkeypatch.setenv("WORKBENCH_WORKERS", "3")
    dataset = make_dataset()

    def begun(batch: int) -> str:
        settings = {"preset": "lora", "batch": batch, "context": 128, "precision": "fp32"}
        return lineage.begin(
            "finetune", "x", dataset=dataset, base=str(tiny_folder), settings=settings
        ).id

    with pytest.raises(TrainingError, match=r"ray://127.0.0.1:9 cannot be reached .*`ray status`"):
        finetune(JobContext("x", tmp_path), training=begun(3))
    reports: list[Any] = []
    with pytest.raises(TrainingError, match=r"has 4 rows .* cannot be divided among 3"):
        finetune(JobContext("x", tmp_path, report=reports.append), training=begun(4))
    assert not reports  # before anything was read


def test_a_machine_tells_its_versions_without_ray() -> None:
    told = asked()()
    assert set(told) == {"Python", "workbench", "torch", "transformers", "peft"}
    assert all(told.values()) and told["Python"].startswith("3.") and "+" not in told["torch"]


def test_ray_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        pytest.raises(Exception, match=r"Ray is not installed. .*workbench\[ray\]"),
        connected(Executor("ray")),
    ):
        pass

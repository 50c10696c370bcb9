"""A real Ray cluster on loopback, one for all tests, reached by its client address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from recipes.lessons import rows, write_tiny_folder

from workbench import data
from workbench.data import Dataset

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# a client that is killed is not waited for
os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "2")

_PATIENCE = 240.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # nothing beyond loopback
    "RAY_prestart_worker_first_driver": "0",  # no processes before they are needed
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Cluster:
    """A running cluster of two processors."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def address(self) -> str:
        return f"ray://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """The processes that learn."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "RayTrainWorker" in " ".join(process.cmdline()):
                    found.append(process)
        return found


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Started as a person starts one, and ended with all its processes."""
    with TemporaryDirectory(prefix="wb-test-ray-", ignore_cleanup_errors=True) as folder:
        for attempt in range(5):  # Ray gives its own start no more than half a minute
            found = _started(Path(folder, str(attempt)), {**os.environ, **_environment(folder)})
            if found:
                break
        assert found, Path(folder, "4", "log").read_text("utf-8", "replace")[-2000:]
        try:
            yield found
        finally:
            _end(found.process)


def _environment(folder: str) -> dict[str, str]:
    if "PYTHONDONTWRITEBYTECODE" not in os.environ:
        return _ENVIRONMENT
    # each of Ray's processes would compile all of PyTorch anew
    return {**_ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{folder}/pyc"}


def _started(folder: Path, environment: dict[str, str]) -> Cluster | None:
    """A cluster in `folder`; None where it did not come up."""
    folder.mkdir()
    gcs, port, agent = _free_ports(3)
    with Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("ray"), "start", "--head", "--block",
                "--num-cpus=2", "--num-gpus=0", "--node-ip-address=127.0.0.1", f"--port={gcs}",
                f"--ray-client-server-port={port}", "--min-worker-port=0", "--max-worker-port=0",
                "--include-dashboard=false", "--disable-usage-stats", "--no-monitor",
                "--include-log-monitor=false",
                f"--object-store-memory={200 << 20}", f"--temp-dir={folder}/ray",
                f"--runtime-env-agent-port={agent}",
            ],
            env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        _tell_ports(folder)
        started = "Ray runtime started" in Path(folder, "log").read_text("utf-8", "replace")
        if started and _listens(port) and _listens(agent):
            return Cluster(process, port)
        time.sleep(0.2)
    _end(process)
    return None


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def _tell_ports(folder: Path) -> None:
    """Ray ends itself when an agent of it does not say within 15 seconds that it has no ports,
    which takes longer on a busy machine: it is said for it."""
    for gcs in folder.glob("ray/session_2*/gcs_server_port_*"):
        for name in ("dashboard_agent_listen", "metrics_agent", "metrics_export"):
            file = gcs.with_name(gcs.name.replace("gcs_server", name))
            if not file.exists():
                file.write_text("-1")


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _end(process: subprocess.Popen[bytes]) -> None:
    """All of the cluster's processes are descendants of the one that was started."""
    left = []
    with suppress(psutil.Error):
        left = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)  # it takes longer than that, and leaves nothing behind that matters
    for one in [*left, process]:
        with suppress(psutil.Error, OSError):
            one.kill()
    process.wait()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many threads as each of two workers has."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers and 64 features with tokenizer and ChatML, in fp32."""
    return write_tiny_folder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def make_dataset() -> Callable[[], Dataset]:
    """Questions with answers of one to three tokens."""

    def make() -> Dataset:
        with data.writing("lessons", "conversation", recipe={"kind": "test"}) as draft:
            for split, first, count in (("train", 0, 24), ("validation", 24, 8)):
                for example in rows("conversation", count, first):
                    draft.add(example, split)
        return draft.made

    return make

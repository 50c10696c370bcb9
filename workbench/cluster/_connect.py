"""To a Ray cluster and away again: reached by its client address, or started for this job.

Nothing of this process's code or folders is sent: workers import what is installed with them, so
every node is asked first whether that is the same.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.parse import urlsplit

from workbench.cluster._divide import Executor
from workbench.cluster._mail import own_folder
from workbench.errors import MissingExtra, TrainingError
from workbench.hardware import usable_cores

_log = logging.getLogger(__name__)
_LONGEST = 40  # letters of the folder of temporary files
_REACH_SECONDS, _ASK_SECONDS = 5.0, 600.0
_TRIES = 3  # to be taken on by a busy cluster
_HINT = "Resume the training when it is there again, or unset WORKBENCH_EXECUTOR to learn here."


@contextmanager
def connected(executor: Executor) -> Iterator[Sequence[Mapping[str, Any]]]:
    """A connection of this process to the cluster; the cluster's nodes. When it ends, all that was
    begun there ends, and a cluster that was started for it as well.

    Raises TrainingError where there is none or its nodes have other versions, MissingExtra.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("Ray", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ours = executor.address == "ray"
    if ours:
        # read when Ray is imported: nothing of it listens beyond loopback, and it asks for a token
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    else:
        _reach(executor)
    import ray

    if ray.is_initialized():
        raise TrainingError(
            "This process is connected to Ray already. End that connection (ray.shutdown()), or "
            "start the training as a job: `workbench train finetune`."
        )
    # short: a socket's path has room for about a hundred letters
    parent = gettempdir() if len(gettempdir()) <= _LONGEST else "/tmp"  # noqa: S108
    with own_folder("wb-ray-", parent) if ours else nullcontext() as folder:
        try:
            _connect(executor, folder)
            nodes = [node for node in ray.nodes() if node["Alive"]]
            _same_versions(executor, nodes)
            yield nodes
        finally:
            with suppress(Exception):  # a connection that broke is closed as well
                ray.shutdown()


def _connect(executor: Executor, folder: Path | None) -> None:
    import ray

    given: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if folder is not None:
        given |= {
            "num_cpus": usable_cores()[0], "include_dashboard": False, "_temp_dir": str(folder),
            "_node_ip_address": "127.0.0.1",
        }  # fmt: skip
    for attempt in range(_TRIES):
        try:
            ray.init("local" if folder is not None else executor.address, **given)
            return
        except ConnectionAbortedError as error:  # it gives a client's process half a minute
            _log.info("%s did not take us on (%s)", executor.name, first_line(error))
            if attempt + 1 == _TRIES:
                raise _not_connected(executor, error) from error
        except Exception as error:  # of every kind: another Ray or Python there, a full disk here
            raise _not_connected(executor, error) from error


def _not_connected(executor: Executor, error: Exception) -> TrainingError:
    return TrainingError(f"{executor.name} could not be connected to: {first_line(error)} {_HINT}")


def _reach(executor: Executor) -> None:
    """Raise TrainingError where nobody listens: Ray itself would try for minutes."""
    parts = urlsplit(executor.address)
    try:
        socket.create_connection((parts.hostname, parts.port), _REACH_SECONDS).close()
    except OSError as error:
        raise TrainingError(
            f"{executor.name} cannot be reached ({error.strerror or error}). Look whether the "
            "cluster is up (`ray status` there) and its client port (10001, unless it was set) is "
            f"open from here. {_HINT}"
        ) from None


def _same_versions(executor: Executor, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Raise TrainingError where a node has another workbench, Python or PyTorch, or none."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    found = {}
    for node in nodes:
        on = On(node["NodeID"], soft=False)
        asking = ray.remote(num_cpus=0, scheduling_strategy=on, max_retries=0)(asked())
        found[node["NodeManagerAddress"]] = asking.remote()
    for address, reference in found.items():
        at = f"The node {address} of {executor.name}"
        try:
            told = ray.get(reference, timeout=_ASK_SECONDS)
        except Exception as error:
            raise TrainingError(f"{at} did not answer: {first_line(error)} {_HINT}") from error
        for name, version in asked()().items():
            if told.get(name) != version:
                raise TrainingError(
                    f"{at} has {name} {told.get(name, 'not at all')}, and this machine has "
                    f"{version}. Install the same there: the workbench with `pip install "
                    "'workbench[ray]'` on every node, in this version."
                )


def asked() -> Any:
    """A function that tells versions. It is made here so that Ray sends it whole: nodes without a
    workbench can say so."""

    def versions() -> dict[str, str]:
        import importlib.metadata
        import platform

        found = {"Python": platform.python_version().rpartition(".")[0]}
        for name in ("workbench", "torch", "transformers", "peft"):
            with suppress(importlib.metadata.PackageNotFoundError):
                found[name] = importlib.metadata.version(name).partition("+")[0]
        return found

    return versions


def first_line(error: BaseException) -> str:
    """What an error of Ray's says, as one sentence."""
    words = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (words or [type(error).__name__])[0][:300]
    return text if text.endswith((".", "!")) else f"{text}."

"""Every test runs in a home of its own, with none of the caller's engine settings."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from tiny import write_tiny_llama

if TYPE_CHECKING:
    from library.registry_server import RegistryServer

# threads that wait sleep, where PyTorch is not loaded yet: beside other work they are far quicker
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# no test may fail because the machine is slow; --hypothesis-profile=deep looks harder
hypothesis.settings.register_profile("workbench", deadline=None, max_examples=30)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("workbench")

PREFIXES = ("WORKBENCH_", "OLLAMA_")
NAMES = ("DEBUG", "LOG_LEVEL")
LONG = {
    "arena", "bench", "browser", "cli", "cluster", "doctor", "lessons", "meter", "notebooks",
    "recipes", "standard",
}  # fmt: skip


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two processes share the tests: one has those of browsers, commands and measurements, which
    take as long as all the others do. Finer sharing would start a file's servers twice."""
    from xdist.scheduler import LoadScopeScheduling

    class Halves(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "long" if LONG & set(nodeid.partition("::")[0].split("/")[:-1]) else "short"

    return Halves(config, log)


def pytest_collection_finish() -> None:
    """What stays until the end anyway, 7,000 tests and what they import, is not searched for
    garbage again and again: of a process's time a twentieth."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A temporary WORKBENCH_HOME; the settings of the caller's shell are hidden."""
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    yield


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers with a chat template, 600 kB."""
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_embedding_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as an embedding model (mean pooling, 64 features)."""
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "embed.gguf", embedding=True)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine of this file's tests, which has a tiny model, `one`."""
    from bench_servers import engine_with

    folder = tmp_path_factory.mktemp("engine-of-one")
    model = write_tiny_llama(folder / "one.gguf", endless=True)
    with engine_with(folder / "home", {"one": model}) as found:
        yield found


@pytest.fixture
def registry() -> RegistryServer:
    """A registry of models, to be filled."""
    from library.registry_server import RegistryServer

    return RegistryServer()


@pytest.fixture
def host(registry: RegistryServer) -> Iterator[str]:
    """The address at which it is served."""
    from library.library_tools import serving

    with serving(registry.app) as url:
        yield url.removeprefix("http://")

"""Cards of what is installed, from a real engine: by its files, by `show`, and without either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines.scripted import ScriptedServer, answer

from workbench.cards import installed
from workbench.catalogue import Filters, gather, network_for
from workbench.engines import Engine
from workbench.errors import EngineError
from workbench.fit import Load, memory


@pytest.fixture(scope="module")
def engine_url(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> Iterator[str]:
    """An embedded engine with `tiny`, a copy of it, and `tiny-embed`."""
    home = tmp_path_factory.mktemp("catalogue-engine")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "OLLAMA_"))}
    command = [sys.executable, "-m", "workbench.embedded", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(
        command, env=kept, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        told = home / "engine" / "engine.json"
        for _ in range(1200):
            if told.exists():
                break
            assert process.poll() is None, "the engine did not start"
            time.sleep(0.05)
        url = str(json.loads(told.read_text())["url"])
        with Engine(url) as connected:
            for name, path in (("tiny", tiny_gguf), ("tiny-embed", tiny_embedding_gguf)):
                *_, last = connected.create(name, files=path)
                assert last.status == "success"
            connected.copy("tiny", "twin:1b")
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def engine(engine_url: str) -> Iterator[Engine]:
    with Engine(engine_url) as connected:
        yield connected


def test_an_installed_model_is_told_by_its_file(engine: Engine, tiny_gguf: Path) -> None:
    cards = {card.name: card for card in installed(engine)}
    assert set(cards) == {"tiny:latest", "tiny-embed:latest", "twin:1b"}
    card = cards["tiny:latest"]
    assert card.installed == card.name and card.family == "tiny" and card.origins == ("engine",)
    assert card.context == 512 and card.quantisation == "F32" and card.digest
    assert card.download and card.download >= tiny_gguf.stat().st_size
    assert card.architecture and card.network and card.network.from_file
    assert card.network.tokenizer_bytes and card.sources["context"] == "the file's header"
    assert cards["tiny-embed:latest"].categories == ("embedding",)


def test_show_tells_the_same_where_the_file_cannot_be_reached(
    engine: Engine, engine_url: str
) -> None:
    """As with an engine in a container: the file that the Modelfile names is not here."""
    near = {card.name: card for card in installed(engine)}["tiny:latest"]
    details = engine.show("tiny", verbose=True).raw
    elsewhere = details | {"modelfile": "FROM /nowhere/on/this/machine/sha256-0"}
    models = {"models": [{"name": "tiny:latest", "size": near.download, "digest": near.digest}]}
    server = ScriptedServer()
    server.says(answer(models), answer(elsewhere), answer(elsewhere))
    with Engine(server.url) as far:
        (card,) = installed(far)
        asked = len(server.asked)
        server.says(answer(models), answer(elsewhere))
        assert installed(far) == (card,) and len(server.asked) == asked + 2  # the header is kept
    server.close()
    assert card.path is None and card.sources["context"] == "the engine"
    assert card.network and near.network
    assert card.network.tensors[0].name == near.network.tensors[0].name
    assert {t.name: (t.shape, t.type, t.bytes) for t in card.network.tensors} == {
        t.name: (t.shape, t.type, t.bytes) for t in near.network.tensors
    }
    assert card.parameters == near.parameters and card.capabilities == near.capabilities
    assert card.architecture == near.architecture
    far_ram, near_ram = (memory(one.network, Load()).ram for one in (card, near) if one.network)
    assert abs(far_ram.value / near_ram.value - 1) < 0.01


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"tensors": "all", "model_info": {"general.architecture": "llama"}},
        {"tensors": [{"name": 1}], "model_info": {"general.architecture": "llama"}},
        {"tensors": [{"name": "x", "type": "Q9", "shape": [32]}], "model_info": {}},
        {"tensors": [{"name": "x", "type": "F32", "shape": [-4, 1e308]}], "model_info": {}},
        {"tensors": [{"name": "x", "type": "Q4_K", "shape": [7]}], "model_info": {}},
        {"modelfile": "FROM /etc/passwd", "model_info": {}},
        {"modelfile": "FROM /dev/zero", "model_info": {}},
    ],
)
def test_an_engine_that_tells_nonsense_leaves_a_plain_card(told: dict[str, object]) -> None:
    server = ScriptedServer()
    line = {"name": "odd:1b", "size": 7, "details": {"quantization_level": "Q4_0"}}
    server.says(answer({"models": [line]}), answer(told))
    with Engine(server.url) as engine:
        (card,) = installed(engine)
    server.close()
    assert card.installed == "odd:1b" and card.quantisation == "Q4_0" and card.download == 7
    assert card.network is None and card.architecture is None and card.parameters is None
    assert card.notes and network_for(card) is None


def test_gather_marks_what_is_installed_once(engine: Engine, tiny_gguf: Path) -> None:
    catalogue = gather(engine, [tiny_gguf.parent])
    found = catalogue.search(Filters(installed=True))
    assert {hit.card.name for hit in found.hits} == {"tiny:latest", "tiny-embed:latest"} or {
        hit.card.name for hit in found.hits
    } == {"twin:1b", "tiny-embed:latest"}
    assert catalogue.get("twin:1b") is catalogue.get("tiny")  # a copy is the same model
    assert catalogue.problems == ()


def test_an_engine_that_is_gone_is_a_problem_and_no_error() -> None:
    server = ScriptedServer()
    server.says(answer({"error": "out of order"}, status="500 Internal Server Error"))
    with Engine(server.url) as engine:
        with pytest.raises(EngineError):
            installed(engine)
        catalogue = gather(engine)
    server.close()
    assert len(catalogue) > 300 and "not listed" in catalogue.problems[0]

"""Whatever JSON a Hub, a folder or an engine sends: a card, or a clear error; never a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from catalogue_cards import HubServer, repository
from engines.scripted import ScriptedServer, answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library.library_tools import serving

from workbench.cards import hub_search, installed
from workbench.catalogue import Catalogue, Filters, network_for
from workbench.engines import Engine
from workbench.fit import Profile

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
CALM = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
INFO = ("general.architecture", "llama.block_count", "llama.embedding_length", "general.license")
TENSOR = st.fixed_dictionaries(
    {
        "name": ANY | st.just("token_embd.weight"),
        "shape": ANY | st.just([64, 100]),
        "type": ANY | st.just("F32"),
    }
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer()
    with serving(server.app) as url:
        monkeypatch.setenv("WORKBENCH_HF_ENDPOINT", url)
        yield server


@CALM
@given(
    changes=st.dictionaries(st.sampled_from(sorted(repository())), ANY, max_size=4),
    told=st.dictionaries(st.sampled_from(["total", "context_length", "chat_template"]), ANY),
)
def test_any_item_of_a_hub(hub: HubServer, changes: dict[str, Any], told: dict[str, Any]) -> None:
    hub.items = [{**repository(gguf=told), **changes}, repository("someone/Good-GGUF")]
    found = hub_search("x", refresh=True)
    assert found.problems == () and found.cards[-1].name == "hf.co/someone/Good-GGUF"
    results = Catalogue(found.cards).search(Filters(text="good"), profile=Profile("p", "", 10**9))
    assert results.count >= 1
    for card in found.cards:
        assert card.parameters is None or card.parameters > 0
        assert card.context is None or card.context > 0


@CALM
@given(info=st.dictionaries(st.sampled_from(INFO), ANY), tensors=st.lists(TENSOR, max_size=3) | ANY)
def test_any_show_of_an_engine(info: dict[str, Any], tensors: Any) -> None:
    server = ScriptedServer()
    told = answer({"model_info": info, "tensors": tensors})
    server.says(answer({"models": [{"name": "odd:1b", "size": 7}]}), told, told)
    with Engine(server.url) as engine:
        (card,) = installed(engine)
    server.close()
    assert card.installed == "odd:1b" and (card.network is None) == (network_for(card) is None)

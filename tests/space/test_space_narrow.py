"""What is left of a space for a real model in a real engine, and for machines of other kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from live import own_engine
from tiny import write_tiny_llama

from workbench.engines import Engine
from workbench.errors import ModelNotFound, TuneError
from workbench.fit import Profile, ProfileGpu, network_of
from workbench.gguf import read_header
from workbench.space import (
    ModelFacts,
    Space,
    facts_of,
    find_space,
    narrowed,
    predicted_memory,
    spaces,
    too_large,
)

MACHINE = Profile("this", "A machine", 8 * 2**30, cores=4)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("narrow")
    file = write_tiny_llama(folder / "wide.gguf", width=128, context=2048)
    with own_engine(folder / "home") as url, Engine(url, kind="embedded") as connected:
        list(connected.create("wide", files=file))
        own = {"temperature": 0.65, "num_ctx": 1024, "stop": ["x"], "kv_cache_type": "q8_0"}
        list(connected.create("own", from_="wide", parameters=own))
        yield connected


@pytest.fixture
def facts(tmp_path: Path) -> ModelFacts:
    file = write_tiny_llama(tmp_path / "wide.gguf", width=128, layers=2, context=4096)
    return ModelFacts(
        "wide", "embedded", context=4096, quantisation="F32", threads=4, profile=MACHINE,
        network=network_of(read_header(file)),
    )  # fmt: skip


def notes_about(name: str, found: tuple[Space, list[str]]) -> str:
    [note] = [one for one in found[1] if name in one.partition(":")[0].split(", ")]
    return note


def test_a_real_model_in_a_real_engine(engine: Engine) -> None:
    facts = facts_of(engine, "own")
    assert (facts.engine, facts.context, facts.quantisation) == ("embedded", 2048, "F32")
    assert facts.own == {"temperature": 0.65, "num_ctx": 1024, "kv_cache_type": "q8_0"}
    assert facts.network is not None and facts.profile is not None and facts.threads
    space, notes = narrowed(find_space("everything"), facts)
    assert space.parameter("num_ctx").choices == (1024, 2048)
    assert space.parameter("num_batch").choices == (64, 128, 256, 512, 1024)
    assert "draft_num_predict" not in space.names
    assert space.default()["temperature"] == 0.65  # not one of its steps
    assert space.default()["num_ctx"] == 1024
    assert any("trained with 2048 tokens" in note for note in notes)
    # and the engine takes every kind of point that is left
    assert space.parameter("flash_attention").choices == (True,)  # its own cache needs it
    for point in list(space.grid(3)):
        reply = engine.generate("own", "def", options={**point, "num_predict": 2})
        assert reply.metrics.eval_count
        if "num_parallel" in point:
            assert engine.running()[0].slots == point["num_parallel"]
    with pytest.raises(ModelNotFound):
        facts_of(engine, "nobody")


def test_an_engine_elsewhere_tells_nothing_of_its_machine(engine: Engine) -> None:
    facts = replace(facts_of(engine, "wide"), profile=None, threads=None, network=None)
    space, _ = narrowed(find_space("speed"), facts)
    assert {"num_thread", "num_gpu"} <= set(space.names)
    assert space.parameter("num_thread").high == 32
    assert predicted_memory({"num_ctx": 8192}, facts) is None
    assert too_large({"num_ctx": 8192}, facts, most=1) == ""


def test_an_ollama_is_asked_for_what_it_takes(facts: ModelFacts) -> None:
    found = narrowed(find_space("speed"), replace(facts, engine="ollama"))
    assert found[0].names == ("num_ctx", "num_batch", "num_thread")
    assert notes_about("num_parallel", found) == notes_about("kv_cache_type", found)
    assert "OLLAMA_*" in notes_about("flash_attention", found)
    drafting, _ = narrowed(find_space("speed"), replace(facts, engine="ollama", draft=True))
    assert "draft_num_predict" in drafting.names


def test_cards_and_cores_of_the_machine(facts: ModelFacts) -> None:
    found = narrowed(find_space("speed"), facts)
    assert found[0].parameter("num_thread").high == 4
    assert "no graphics card" in notes_about("num_gpu", found)
    card = replace(MACHINE, gpus=(ProfileGpu("A card", 2**33),))
    with_card, _ = narrowed(find_space("speed"), replace(facts, profile=card))
    assert with_card.parameter("num_gpu").high == 3  # two layers and the output
    alone = narrowed(find_space("quick"), replace(facts, threads=1))
    assert alone[0].names == ("temperature", "repeat_penalty")
    assert "one processor" in notes_about("num_thread", alone)


def test_a_short_context_is_tried_whole_and_by_half(facts: ModelFacts) -> None:
    space, _ = narrowed(find_space("speed"), replace(facts, context=512))
    assert space.parameter("num_ctx").choices == (256, 512)
    assert space.parameter("num_batch").choices == (64, 128, 256, 512)
    found = narrowed(find_space("speed"), replace(facts, context=96))
    assert found[0].parameter("num_ctx").choices == (48, 96)
    assert "could not always be kept" in notes_about("num_batch", found)


def test_what_hangs_on_what_was_cut_goes_too(facts: ModelFacts) -> None:
    space = Space.of({"name": "own", "parameters": [
        {"name": "num_ctx", "choices": [1024, 4096, 8192]},
        {"name": "num_batch", "choices": [1024, 2048], "when": {"num_ctx": [8192]}},
        {"name": "top_k", "choices": [5, 10], "when": {"num_ctx": [4096, 8192]}},
    ]})  # fmt: skip
    found = narrowed(space, facts)
    assert found[0].names == ("num_ctx", "top_k")
    assert found[0].parameter("top_k").when == {"num_ctx": (4096,)}
    assert "counts only beside what was left out" in notes_about("num_batch", found)


def test_what_somebody_holds_stays(facts: ModelFacts) -> None:
    found = narrowed(find_space("speed").fixed(num_thread=16, num_ctx=8192), facts)
    assert found[0].default()["num_thread"] == 16
    assert found[0].default()["num_ctx"] == 8192


def test_a_quantised_cache_needs_whole_blocks(facts: ModelFacts, tiny_gguf: Path) -> None:
    assert narrowed(find_space("speed"), facts)[0].parameter("kv_cache_type").choices[1] == "q8_0"
    small = replace(facts, network=network_of(read_header(tiny_gguf)))
    assert "only f16 is left" in notes_about("kv_cache_type", narrowed(find_space("speed"), small))


def test_what_does_not_fit_is_not_tried(facts: ModelFacts) -> None:
    """Against the formula itself: as much as fits is kept, what does not is told."""
    space = find_space("speed").fixed(num_parallel=8)
    taken = {n: predicted_memory({"num_ctx": n, "num_parallel": 8, "kv_cache_type": "q4_0",
                                  "num_batch": 64}, facts) for n in (1024, 4096)}  # fmt: skip
    assert taken[1024] is not None and taken[4096] is not None
    between = int(taken[1024].ram.value + taken[4096].ram.value) // 2
    tight = replace(facts, profile=replace(MACHINE, memory=between))
    found = narrowed(space, tight)
    assert 1024 in found[0].parameter("num_ctx").choices
    assert 4096 not in found[0].parameter("num_ctx").choices
    assert any("4096 would not fit this machine's memory" in note for note in found[1])
    assert too_large({"num_ctx": 4096, "num_parallel": 8}, tight).startswith("It would take ")
    assert "1 MB are allowed" in too_large({}, facts, most=10**6)
    assert too_large({}, facts) == ""


def test_weights_are_made_of_exact_ones(facts: ModelFacts) -> None:
    assert narrowed(find_space("weights"), facts)[0].size() == 4
    with pytest.raises(TuneError, match=r"Nothing of the space weights .* is there in Q4_K_M"):
        narrowed(find_space("weights"), replace(facts, quantisation="Q4_K_M"))
    small, large = (predicted_memory({"quantisation": kind}, facts) for kind in ("Q4_K_M", "Q8_0"))
    assert small is not None and large is not None and small.ram.value < large.ram.value


def test_an_embedding_model_has_nothing_to_sample(facts: ModelFacts) -> None:
    for name in ("general", "prompt"):
        with pytest.raises(TuneError, match="an embedding model writes nothing"):
            narrowed(find_space(name), replace(facts, embedding=True))
    assert narrowed(find_space("speed"), replace(facts, embedding=True))[0].size()


@pytest.mark.parametrize("space", spaces(), ids=lambda one: one.name)
def test_what_is_left_is_a_space_with_the_same_meaning(space: Space, facts: ModelFacts) -> None:
    narrow, notes = narrowed(space, facts)
    assert set(narrow.names) <= set(space.names)
    assert narrowed(narrow, facts) == (narrow, [])
    for name in set(space.names) - set(narrow.names):
        assert any(name in note for note in notes)
    for point in narrow.grid(30):
        assert narrow.checked(point) == point

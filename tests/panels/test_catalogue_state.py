"""The Models panel's rules without a browser: searching, pricing, comparing, installing."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from workbench.cards import Card, Score, Variant, shipped
from workbench.catalogue import Filters
from workbench.errors import FitError, InvalidRequest
from workbench.panels import Models
from workbench.panels.states import CatalogueState
from workbench.panels.states._asking import AskingState

NAMES = {"llama3.1:8b", "qwen2.5-coder:7b", "qwen2.5-coder:1.5b", "mistral:7b", "llama3.3:70b"}
CARDS = tuple(card for card in shipped() if card.name in NAMES)
BARE = Card("bare:latest", categories=("code",))


@pytest.fixture
async def state(monkeypatch: pytest.MonkeyPatch) -> CatalogueState:
    """Six cards, no engine, a laptop of 16 GB whatever runs the tests."""
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    state = CatalogueState(cards=(*CARDS, BARE), machine="laptop-16gb")
    await state.refresh(start=False)
    return state


def found(state: CatalogueState) -> list[str]:
    return [hit.card.name for hit in state.results.hits]


async def test_all_cards_are_there_without_an_engine(state: CatalogueState) -> None:
    assert set(found(state)) == {*NAMES, "bare:latest"}
    assert state.engine.engine is None
    assert state.profile.name == "laptop-16gb" and "laptop-16gb" in state.machines


async def test_words_become_filters_and_can_be_taken_back(state: CatalogueState) -> None:
    await state.change("text", "a code model that fits in 8 GB")
    assert set(found(state)) == {"qwen2.5-coder:7b", "qwen2.5-coder:1.5b"}
    assert {one.field for one in state.results.understood} == {"category", "max_memory"}
    await state.change("text", "a code model")
    assert "bare:latest" in found(state), "what it takes is not known, and nobody asked"
    await state.clear()
    assert len(found(state)) == 6 and state.filters == Filters()


async def test_filters_have_their_kinds(state: CatalogueState) -> None:
    await state.change("fits", "yes")
    assert "llama3.3:70b" not in found(state) and "bare:latest" not in found(state)
    await state.change("fits", "")
    await state.change("min_context", "131072")
    assert set(found(state)) == {"llama3.1:8b", "llama3.3:70b"}
    await state.change("min_context", "")
    await state.change("installed", "yes")
    assert found(state) == []


@pytest.mark.parametrize("value", ["nan", "-5", "inf", "1e999", "seven", "1.2.3"])
async def test_nonsense_is_told_and_the_list_stays(state: CatalogueState, value: str) -> None:
    before = found(state)
    await state.change("min_context", value)
    assert "min_context" in state.problem and found(state) == before
    await state.change("min_context", "4096")
    assert state.problem == ""


async def test_sorting_turns_round(state: CatalogueState) -> None:
    await state.change("sort", "parameters")
    assert found(state)[0] == "qwen2.5-coder:1.5b" and found(state)[-1] == "bare:latest"
    await state.change("sort", "parameters", "yes")
    assert found(state)[0] == "llama3.3:70b" and found(state)[-1] == "bare:latest"


async def test_an_unknown_machine_is_told_and_the_old_one_stays(state: CatalogueState) -> None:
    await state.machine("other")
    assert state.other
    await state.machine("a potato")
    assert state.problem and state.other and state.profile.name == "laptop-16gb"
    await state.machine("gpu-24gb")
    assert not state.other and state.problem == "" and state.profile.gpus


async def test_settings_price_again_and_stay_for_the_card(state: CatalogueState) -> None:
    await state.open_card("llama3.1:8b")
    fit = state.fit
    first = fit.answer.fit.memory.ram.value
    contexts = fit.answer.choices["context"]
    await fit.price("context", str(len(contexts) - 1))
    assert fit.load.context == contexts[-1] == 131072
    assert fit.answer.fit.memory.ram.value > first
    await fit.price("quantisation", "0")
    assert fit.quantisation == fit.answer.choices["quantisation"][0]
    await state.machine("gpu-24gb")
    assert fit.load.context == contexts[-1], "another machine is no reason to forget"
    await fit.reset()
    await state.machine("laptop-16gb")
    assert fit.answer.fit.memory.ram.value == first
    for name, value in (("context", "9999"), ("context", "-1"), ("slots", "many"), ("slots", "")):
        await fit.price(name, value)
    assert fit.load.context == 4096 and fit.load.slots == 1


async def test_layers_on_the_card_are_chosen_or_found(state: CatalogueState) -> None:
    await state.machine("gpu-24gb")
    await state.open_card("llama3.1:8b")
    fit = state.fit
    all_of_them = len(fit.answer.choices["gpu_layers"]) - 1
    assert all_of_them == 33 and fit.answer.fit.verdict == "gpu"
    await fit.price("gpu_layers", "0")
    assert fit.by_hand and fit.answer.fit.verdict == "ram"
    in_memory = fit.answer.fit.memory.ram.value
    await fit.price("gpu_layers", "20")
    assert fit.answer.fit.verdict == "split"
    assert fit.answer.fit.memory.ram.value < in_memory and fit.answer.fit.memory.gpu.value > 0
    await fit.price("gpu_layers", "auto")
    assert not fit.by_hand and fit.answer.fit.verdict == "gpu"


async def test_a_card_without_a_shape_says_that_nothing_is_known(state: CatalogueState) -> None:
    await state.open_card("bare:latest")
    assert state.fit.answer.fit.verdict == "unknown" and state.fit.answer.fit.memory is None
    assert state.fit.answer.errors is None and state.fit.answer.choices == {}
    await state.fit.price("context", "3")
    assert state.fit.answer.fit.verdict == "unknown"


async def test_a_card_that_vanished_is_no_error(state: CatalogueState) -> None:
    await state.open_card("gone:1b")
    assert state.card is None and state.fit.answer is None
    state.leave()
    assert state.opened == "" and state.focus == "gone:1b"


async def test_the_tray_is_compared_drawn_and_saved(state: CatalogueState) -> None:
    for name in ("llama3.1:8b", "mistral:7b", "bare:latest", "mistral:7b"):
        await state.compare.toggle(name)
    assert state.compare.names == ("llama3.1:8b", "bare:latest")
    assert state.compare.comparison is None, "nobody looks at it yet"
    await state.show("compare")
    assert state.compare.comparison.names == ("llama3.1:8b", "bare:latest")
    assert state.compare.figure == ""
    await state.compare.draw("memory_bars")
    assert '"data"' in state.compare.figure
    for ending, words in (("csv", "llama3.1:8b"), ("md", "| --"), ("html", "<html")):
        text = state.compare.text(ending)
        assert words in text or words.replace(" ", "") in text
    await state.compare.save("md")
    assert Path(state.compare.saved).read_text(encoding="utf-8") == state.compare.text("md")
    with pytest.raises(KeyError):
        await state.compare.save("../../secret")
    await state.compare.draw("pie")
    assert "pie" in state.compare.problem
    await state.compare.clear()
    assert state.compare.comparison is None and state.compare.figure == ""


async def test_a_plot_that_comes_late_leaves_the_word_of_the_saved_file(
    state: CatalogueState,
) -> None:
    for name in ("llama3.1:8b", "mistral:7b"):
        await state.compare.toggle(name)
    await state.show("compare")
    drawing = asyncio.create_task(state.compare.draw("radar"))
    await state.compare.save("md")
    assert not state.compare.figure and state.compare.saved, "the plot is drawn still"
    await drawing
    assert state.compare.figure and Path(state.compare.saved).is_file()
    await state.compare.toggle("bare:latest")
    assert state.compare.saved == "", "the file does not hold what is shown now"


async def test_recommendations_follow_task_and_machine(state: CatalogueState) -> None:
    await state.show("recommend")
    best = state.advice.found.recommendations[0]
    assert best.model_name.startswith("qwen2.5-coder") and best.reasons
    await state.advice.choose("task", "embedding")
    assert state.advice.found.recommendations == () and state.advice.found.why_not
    await state.advice.choose("task", "no such task")
    assert "no such task" in state.advice.problem
    with pytest.raises(AttributeError, match="source"):
        await state.advice.choose("source", "x")


async def test_the_newest_question_is_answered_and_old_ones_are_left_out() -> None:
    state, answers, threads = AskingState(), [], set()
    go = threading.Event()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        go.wait(10)
        return number

    asked = [
        asyncio.ensure_future(state.ask(lambda n=n: work(n), answers.append)) for n in range(9)
    ]
    await asyncio.sleep(0.05)
    go.set()
    await asyncio.gather(*asked)
    assert answers[-1] == 8 and len(answers) <= 2
    assert threading.get_ident() not in threads


async def test_a_question_that_fails_is_a_problem_until_the_next() -> None:
    state = AskingState()

    def fail() -> None:
        raise FitError("There is no such machine.")

    await state.ask(fail, print)
    assert state.problem == "There is no such machine."
    await state.ask(lambda: 1, lambda _found: None)
    assert state.problem == ""
    with pytest.raises(ZeroDivisionError):
        await state.ask(lambda: 1 / 0, print)


async def test_bad_own_cards_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    folder = tmp_path / "home" / "cards"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("{")
    state = CatalogueState(machine="laptop-16gb")
    await state.refresh(start=False)
    assert any("broken.json" in notice for notice in state.notices)
    assert len(state.results.hits) == len(shipped())


async def test_the_loop_is_free_while_cards_are_searched(state: CatalogueState) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.ensure_future(beat())
    state.catalogue.search = lambda *_given, **_named: (time.sleep(0.2), state.results)[1]
    before = beats
    await state.change("text", "x")
    beating.cancel()
    assert beats - before > 20


async def test_only_what_is_meant_to_be_reached_can_be(state: CatalogueState) -> None:
    for trait in ("wanted", "cards", "opener", "view"):
        with pytest.raises(AttributeError, match=trait):
            state.put(trait, "x")
    assert "look" not in state.actions and "about" not in state.fit.actions
    with pytest.raises(InvalidRequest):
        Filters(category="no such category", text="x" * 1000).check()


async def test_the_panel_draws_every_view(state: CatalogueState) -> None:
    odd = Card(
        "odd:<b>", publisher="<script>", scores=(Score("M", 50.0, "0-shot", "me"),),
        variants=(Variant("Q4_0", "odd:q4", None, False), Variant("Q8_0", "odd:q8", 10**9, True)),
    )  # fmt: skip
    panel = Models(cards=(*CARDS, odd, BARE), machine="laptop-16gb", shown=False)
    panel.appear()
    await panel.state.refresh(start=False)

    def check() -> str:
        for part in panel.parts:
            part.draw()
        html = "".join(str(part.children[0].html) for part in panel.parts)
        assert "Traceback" not in html and "<script>" not in html
        return html

    assert "odd:&lt;b&gt;" in check()
    for name in ("odd:<b>", "bare:latest", "llama3.1:8b", "gone"):
        await panel.state.open_card(name)
        check()
    await panel.state.machine("gpu-24gb")
    check()
    for name in ("odd:<b>", "llama3.1:8b"):
        await panel.state.compare.toggle(name)
    for view in ("compare", "recommend", "browse"):
        await panel.state.show(view)
        check()
    await panel.state.change("text", "zzzzqqqq")
    assert "No model passes all of this" in check()
    panel.close()


def test_unknown_keywords_fail_with_advice() -> None:
    with pytest.raises(TypeError, match="Did you mean 'machine'"):
        Models(machin="this")

"""Recommendations follow from facts, fit the machine, and admit what is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from choice_cards import GB, card, machine, score

from workbench.advice import TASKS, Recommendations, Task, find_task, recommend, tasks
from workbench.advice._tasks import is_base, special_for
from workbench.cards import Score, Variant, shipped
from workbench.catalogue import compatibility, fit_card
from workbench.cli._output import plain
from workbench.errors import FitError, InvalidRequest
from workbench.fit import Load

CARDS = {one.name: one for one in shipped()}
MACHINES = {"2 GB": machine(1.6), "8 GB": machine(6.9), "GPU": machine(60, 24)}


def names(found: Recommendations) -> list[str]:
    return [one.model_name for one in found.recommendations]


def test_code_on_a_laptop_of_8_gb() -> None:
    found = recommend(shipped(), "code_generation", MACHINES["8 GB"])
    assert names(found)[0] == "qwen2.5-coder:7b"
    assert {"yi-coder:9b", "codeqwen:7b", "opencoder:8b"} & set(names(found))
    for one in found.recommendations:
        assert one.fit.memory is None or one.fit.memory.ram.value <= 6.9 * GB


def test_only_tiny_ones_on_2_gb() -> None:
    found = recommend(shipped(), "code_generation", MACHINES["2 GB"])
    assert found.recommendations
    for one in found.recommendations:
        assert one.fit.memory is not None
        assert one.fit.memory.ram.value <= 1.6 * GB
        assert (CARDS[one.model_name].parameters or 0) < 4e9


@pytest.mark.parametrize("task", TASKS)
def test_nothing_fits_1_mb_and_it_says_why_and_what_would(task: str) -> None:
    found = recommend(shipped(), task, machine(0.001))
    assert not found.recommendations
    assert found.why_not
    assert "do not fit a machine of 0.001 GB" in found.why_not
    assert any("would run" in line for line in found.what_would)


@pytest.mark.parametrize("where", MACHINES)
@pytest.mark.parametrize("name", TASKS)
def test_what_is_recommended_can_do_the_task_and_runs(name: str, where: str) -> None:
    task, profile = TASKS[name], MACHINES[where]
    found = recommend(shipped(), name, profile, limit=8)
    assert found.why_not is None
    assert found.recommendations
    room = profile.memory + sum(gpu.memory for gpu in profile.gpus)
    for one in found.recommendations:
        assert set(task.needs) <= set(one.card.capabilities)
        assert ("embedding" in one.card.capabilities) is task.embedding
        assert one.fit.verdict in ("gpu", "split", "ram", "tight", "unknown")
        assert (one.card.download or 0) <= room or one.quantisation != one.card.quantisation
        assert special_for(one.card) is None or name in (special_for(one.card) or ())
        assert task.base or not is_base(one.card)
        assert 0 < one.confidence_score <= 1
        assert {reason.fact for reason in one.reasons} >= {"scores", "memory"}
        assert all(reason.text.endswith(".") for reason in one.reasons)
        assert one.model_name not in [other.model_name for other in one.alternatives]
    order = [one.suitability for one in found.recommendations]
    assert order == sorted(order, reverse=True)
    assert len({one.card.family for one in found.recommendations}) == len(order)
    assert names(recommend(reversed(shipped()), name, profile, limit=8)) == names(found)


def test_a_model_without_results_says_so_and_comes_behind_its_equal() -> None:
    cards = [
        card("measured:8b", score("IFEval", 70)),
        card("unknown:8b"),
        *(card(f"other{n}:8b", score("IFEval", 40 + n), layers=20) for n in range(8)),
    ]
    found = recommend(cards, "chat", machine(16))
    by_name = {one.model_name: one for one in found.recommendations}
    assert names(found).index("measured:8b") < names(found).index("unknown:8b")
    assert by_name["unknown:8b"].expected_performance is None
    assert "No result" in by_name["unknown:8b"].reasoning
    assert any("measured it" in line for line in by_name["unknown:8b"].trade_offs)
    assert by_name["unknown:8b"].confidence_score < by_name["measured:8b"].confidence_score


def test_own_results_turn_the_order_round() -> None:
    cards = [card("a:8b", score("IFEval", 80)), card("b:8b", score("IFEval", 60)),
             *(card(f"c{n}:8b", score("IFEval", 50 + n)) for n in range(5))]  # fmt: skip
    assert names(recommend(cards, "chat", machine(16)))[0] == "a:8b"
    own = {name: [score("IFEval", value, "here", own=True)] for name, value in
           (("a:8b", 20), ("b:8b", 75), ("c1:8b", 40))}  # fmt: skip
    found = recommend(cards, "chat", machine(16), own=own)
    assert names(found)[0] == "b:8b"
    assert "Own result" in found.recommendations[0].reasoning


def test_the_newer_of_equals_is_taken() -> None:
    cards = [card("old:8b", released="2024-01"), card("young:8b", released="2024-02")]
    assert names(recommend(cards, "chat", machine(16)))[0] == "young:8b"
    line = [card("qwen2:8b", released="2024-01"), card("qwen2.5:8b", released="2024-02")]
    assert names(recommend(line, "chat", machine(16))) == ["qwen2.5:8b"]


def test_all_experts_are_held_in_memory_though_few_work() -> None:
    mixture = CARDS["qwen3:30b"]
    assert mixture.active_parameters is not None
    assert fit_card(mixture, machine(8)).verdict == "no"
    found = recommend([mixture], "chat", machine(40))
    reason = next(
        one for one in found.recommendations[0].reasons if one.fact == "active_parameters"
    )
    assert "30.5 billion" in reason.text
    assert "3.4 billion" in reason.text


def test_a_smaller_quantisation_is_taken_where_the_usual_one_is_too_large() -> None:
    found = recommend([card("a:8b")], "chat", machine(4.6))
    one = found.recommendations[0]
    assert one.quantisation == "Q2_K"
    assert one.pull == "a:8b-q2_K"
    assert any("Q2_K loses" in line for line in one.trade_offs)


def test_alternatives_differ_in_one_thing_each() -> None:
    setting = "Open LLM Leaderboard v2 (lm-eval), chat_template=True, bfloat16"

    def followed(value: float) -> Score:
        return score("IFEval", value, setting)

    cards = [
        card("main:8b", followed(85), license="LicenseRef-Own"),
        card("main:2b", followed(60), layers=8),
        card("main:40b", followed(90), layers=160),
        card("free:8b", followed(50), license="MIT"),
        card("next:9b", layers=36, released="2025-12", license=None),
        card("here:1b", layers=4, installed="here:1b", released="2023-01"),
    ]
    found = recommend(cards, "chat", machine(9))
    assert names(found)[0] == "main:8b"
    kinds = {one.kind: one for one in found.recommendations[0].alternatives}
    assert kinds["smaller"].model_name == "main:2b"
    assert kinds["bigger"].model_name == "main:40b"
    assert "GB" in kinds["bigger"].reason
    assert kinds["licence"].model_name == "free:8b"
    assert kinds["newer"].model_name == "next:9b"
    assert kinds["installed"].model_name == "here:1b"
    assert any("LicenseRef-Own" in line for line in found.recommendations[0].trade_offs)


def test_a_model_made_for_the_task_alone_is_offered() -> None:
    found = recommend(shipped(), "translation", machine(15))
    offers = [other for one in found.recommendations for other in one.alternatives]
    assert any(
        other.kind == "specialist" and other.model_name.startswith("translategemma")
        for other in offers
    )
    chat = recommend(shipped(), "chat", machine(15))
    assert not any(
        other.kind == "specialist" for one in chat.recommendations for other in one.alternatives
    )


def test_wishes_narrow_the_list_and_the_answer_says_what_they_cost() -> None:
    tiny = recommend(shipped(), "chat", machine(16), preferred_size="tiny")
    assert tiny.recommendations
    assert {one.card.size_class for one in tiny.recommendations} == {"tiny"}
    none = recommend(shipped(), "chat", machine(16), installed_only=True)
    assert not none.recommendations
    assert "not installed" in (none.why_not or "")
    assert any("Without the wish" in line for line in none.what_would)
    empty = recommend([], "chat", machine(16))
    assert empty.why_not == "The catalogue is empty."


def test_a_card_of_which_little_is_known_is_never_said_to_fit() -> None:
    shapeless = card("a:8b", architecture=None)
    found = recommend([shapeless], "chat", machine(16))
    assert found.recommendations[0].fit.verdict == "unknown"
    assert any("not known" in line for line in found.recommendations[0].trade_offs)
    nothing = card("a:8b", architecture=None, download=None, variants=(), parameters=None)
    assert not recommend([nothing], "chat", machine(16)).recommendations
    assert fit_card(shapeless, machine(4)).verdict == "no"


def test_bad_wishes_are_answered_with_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean code"):
        recommend(shipped(), "codegeneration", machine(8))
    with pytest.raises(InvalidRequest, match="tiny, small"):
        recommend(shipped(), "chat", machine(8), preferred_size="giant")
    for limit in (0, -1, 10**9):
        with pytest.raises(InvalidRequest, match="1 to 100"):
            recommend(shipped(), "chat", machine(8), limit=limit)
    with pytest.raises(InvalidRequest):
        find_task("x" * 10**6)
    assert find_task("Function Calling") is TASKS["tools"]
    assert find_task("summarization") is TASKS["summarisation"]


@pytest.mark.parametrize(
    "load", [Load(context=0), Load(context=-5), Load(slots=0), Load(cache_type="f64")]
)
def test_a_load_that_cannot_be_is_refused(load: Load) -> None:
    with pytest.raises(FitError):
        recommend(shipped(), "chat", machine(8), load=load)
    with pytest.raises(FitError):
        compatibility(CARDS["llama3.1:8b"], machine(8), load)


def test_the_answer_is_json_in_the_interface_s_words() -> None:
    found = recommend(shipped(), "chat", MACHINES["GPU"])
    said = json.loads(json.dumps(found.as_dict()))
    assert said["task_type"] == "chat"
    assert said["system_info"] == {
        "available_memory_gb": 60.0, "gpu_available": True, "gpu_memory_gb": 24.0
    }  # fmt: skip
    assert set(said["recommendations"][0]) >= {
        "model_name", "confidence_score", "reasoning", "expected_performance", "alternatives",
        "trade_offs",
    }  # fmt: skip
    assert json.dumps(plain(found))
    assert recommend([], "chat", machine(8)).as_dict()["system_info"]["gpu_memory_gb"] is None


def test_another_package_adds_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "haiku-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: haiku\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[workbench.tasks]\nhaiku = haiku_task:TASK\nbroken = haiku_task:MISSING\n"
    )
    (tmp_path / "haiku_task.py").write_text(
        'TASK = {"title": "poems", "wants": ["general"], "metrics": {"IFEval": 1.0}}\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    tasks.cache_clear()
    try:
        with pytest.warns(UserWarning, match="broken"):
            assert tasks()["haiku"] == Task(
                "haiku", "poems", wants=("general",), metrics={"IFEval": 1.0}
            )
        assert recommend(shipped(), "haiku", machine(16)).recommendations
    finally:
        tasks.cache_clear()


def test_what_a_file_holds_beyond_the_shape_is_counted() -> None:
    plain = card("a:8b", capabilities=("completion", "vision"))
    assert plain.download is not None
    with_pictures = replace(plain, download=plain.download + GB)
    one, other = fit_card(plain, machine(16)), fit_card(with_pictures, machine(16))
    assert one.memory
    assert other.memory
    assert other.memory.ram.value - one.memory.ram.value == pytest.approx(GB, rel=0.1)
    assert sum(part.bytes for part in other.memory.parts) == pytest.approx(other.memory.ram.value)
    assert any("pictures" in line for line in other.warnings)
    listed = replace(with_pictures, download=None, variants=(
        Variant("Q4_K_M", "a:8b", with_pictures.download, True),
    ))  # fmt: skip
    assert fit_card(listed, machine(16)).memory == other.memory
    assert fit_card(plain, machine(6)).verdict != "no"
    assert fit_card(with_pictures, machine(6)).verdict == "no"


def test_compatibility_tells_part_from_part() -> None:
    large, small = CARDS["llama3.1:70b"], CARDS["llama3.2:1b"]
    none = compatibility(large, machine(15))
    assert none.hardware_compatibility["memory"] == "incompatible"
    assert none.hardware_compatibility["gpu"] == "not needed"
    assert none.compatibility_score == 0.0
    assert none.needs
    assert any(none.needs in line for line in none.recommendations)
    fine = compatibility(small, machine(15))
    assert fine.hardware_compatibility["memory"] == "compatible"
    assert (fine.compatibility_score or 0) > 0
    assert any("How fast" in line for line in fine.warnings)
    long = compatibility(CARDS["llama3:8b"], machine(15), Load(context=100_000))
    assert any("8,192" in line for line in long.warnings)
    unknown = compatibility(card("a:8b", architecture=None), machine(15))
    assert unknown.hardware_compatibility["memory"] == "not known"
    assert unknown.compatibility_score is None
    embedding = compatibility(CARDS["all-minilm:22m"], machine(15))
    assert embedding.fit.load.embedding

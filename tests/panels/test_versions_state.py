"""The Versions panel's rules without a browser: releases, updates and models as they are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from panels.versions_records import HOSTILE, LONG, digest, write_versions

from workbench import releases, versions
from workbench.panels import Versions
from workbench.panels._fragment import find_state
from workbench.panels._html import render
from workbench.panels.states import EngineState, VersionsState
from workbench.panels.states._versions import VIEWS
from workbench.types import Model

TEMPLATES = [template for column in Versions.columns for template, _watch in column]
NOBODY = "http://127.0.0.1:9"  # where no engine answers


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A home with releases and updates that say odd things; the updates' ids by state."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return write_versions()


@pytest.fixture
async def state(ids: dict[str, str]) -> VersionsState:
    engine = EngineState(url=NOBODY)
    engine.models = (
        Model("assistant:latest", 9, digest("assistant:latest"), capabilities=("completion",)),
        Model(LONG, 9, digest(LONG), capabilities=("completion",)),
        Model("all-minilm:latest", 9, digest("all-minilm:latest"), capabilities=("embedding",)),
    )
    found = VersionsState(engine=engine, opener=lambda name: None, leader=lambda name: None)
    await found.changed()
    await found.part.look()
    return found


def drawn(state: VersionsState, *templates: str) -> str:
    return "".join(render(name, state=state) for name in templates or TEMPLATES)


async def test_an_empty_home_says_how_to_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    state = VersionsState(engine=EngineState(url=NOBODY), leader=lambda name: None)
    assert "Reading the releases" in drawn(state)
    assert await state.changed() and not await state.changed()
    await state.part.look()
    assert "Find a model" in drawn(state) and "Say which models you run" in drawn(state)
    await state.show("update")
    assert "Nothing is in use yet" in drawn(state)
    await state.show("models")
    assert "No release says which models" in drawn(state)
    await state.flow.open_update("nowhere")
    assert "There is no update" in drawn(state)


def test_what_the_parts_watch_exists() -> None:
    state = VersionsState()
    for column in Versions.columns:
        for template, watch in column:
            for path in watch.split():
                found, name = find_state(state, path)
                assert found.has_trait(name), f"{template} watches {path}"


async def test_pages_bear_whatever_a_release_or_an_update_says(
    state: VersionsState, ids: dict[str, str]
) -> None:
    page = drawn(state)
    state.timeline.wish("v0.1")
    state.timeline.by_hand()
    for form in ("markdown", "json"):
        await state.timeline.write_out(form)
        page += drawn(state)
    for view in VIEWS[:3]:
        await state.show(view)
        page += drawn(state)
    for id in ids.values():
        await state.flow.open_update(id)
        assert state.flow.unread == "" and state.flow.update.id == id
        page += drawn(state)
    assert "<img" not in page and "</script" not in page and "onerror=&#34;" in page
    for words in ("Back to v0.3", "changed", "cannot be told apart", "did not pass", "Stopped",
                  "Taken back", "vectors of 384", "61.0"):  # fmt: skip
        assert words in page, words


async def test_two_releases_are_told_beside_each_other(state: VersionsState) -> None:
    line = state.timeline
    assert [one.version for one in line.spans] == ["v0.1", "v0.2", "v0.3", "v0.2"]
    assert line.spans[0].share > 0.5 and sum(one.share for one in line.spans) == pytest.approx(1)
    assert state.used.version == "v0.2" and state.before.version == "v0.3"
    assert line.release and line.release.version == "v0.2"
    assert line.other and line.other.version == "v0.1"
    assert [row.kind for row in line.difference.rows] == ["changed", "same", "added", "added"]
    await line.choose("v0.3")
    assert line.other.version == "v0.2" and line.difference.a == "v0.2"
    await line.compare("v0.1")
    assert (line.difference.a, line.difference.b) == ("v0.1", "v0.3")
    await line.choose("v0.1")
    assert line.other is None and line.difference is None
    assert "nothing: it is the first" in drawn(state, "versions_releases_timeline")
    await line.choose("v0.2")
    assert json.loads(line.evidence)["suite"]["verdict"] == "better"


async def test_a_way_back_that_is_not_there_says_what_is_missing(state: VersionsState) -> None:
    line = state.timeline
    await line.go_back()
    assert not line.problem, "nothing was asked for"
    line.wish("v0.1")
    assert "Take v0.1 into use again?" in drawn(state, "versions_releases")
    await line.go_back("too slow")
    assert line.problem and line.back == "v0.1" and not line.busy, "no engine answers"
    assert releases.find("current").version == "v0.2"
    line.stay()
    assert "into use again?" not in drawn(state, "versions_releases")


async def test_the_history_goes_into_a_file_and_comes_back(
    state: VersionsState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, file = state.timeline, tmp_path / "all.json"
    await line.write_file(str(file))
    assert line.filed == f"Written: {file}" and not line.wrong_file
    await line.import_file()
    assert "Nothing in it is new here." in line.filed
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "other"))
    await line.import_file()
    assert "Added v0.1, v0.2, v0.3." in line.filed and "v0.2" in line.filed
    assert len(state.releases) == 3 and state.used is None
    file.write_text("{")
    await line.import_file()
    assert "is no JSON" in line.wrong_file and not line.filed
    assert "is no JSON" in drawn(state, "versions_releases_file")


async def test_the_form_of_an_update_is_checked_while_it_is_written(state: VersionsState) -> None:
    await state.show("update")
    form = state.flow.new
    assert [role for role, _ in form.rows] == ["primary", "fallback", "embedding", "domain:health"]
    names = [name for name, _ in form.choices(*form.rows[0])]
    assert names == ["assistant:latest"], "not what it is now, and nothing that makes vectors"
    assert not form.choices(*form.rows[2]) and form.missing == "Choose a candidate for a role."
    await form.write("to:primary", "assistant:latest")
    assert form.roles == {"primary": "assistant:latest"} and "plan" in form.problems
    assert "No engine answers" in drawn(state, "versions_update") and not form.ready
    await form.write("to:primary", "…")
    assert form.typed("primary") and not form.roles
    await form.write("name:primary", "qwen3:8b")
    assert form.roles == {"primary": "qwen3:8b"}
    await form.write("limit", "some")
    assert form.problems["limit"] and not form.code
    await form.write("limit", "")
    await form.write("version", "v0.2")
    assert "There is a release v0.2 already." in form.problems["version"]
    await form.write("version", "")
    for text, words in {"nonsense": "is no role", "domain:health": "stands above"}.items():
        await form.write("role", text)
        await form.add_role()
        assert words in form.problems["role"]
    await form.write("role", "task:code")
    await form.add_role()
    assert form.rows[-1] == ("task:code", None) and form.text("role") == ""
    with pytest.raises(KeyError):
        await form.write("to:nobody", "x")


async def test_an_update_is_watched_stopped_and_taken_back(
    state: VersionsState, ids: dict[str, str]
) -> None:
    flow = state.flow
    await flow.open_update(ids["stopped"][:6])
    assert flow.id == ids["stopped"] and not flow.live and "Resume" in drawn(state)
    await flow.stop()
    assert "has ended" in flow.problem
    await flow.open_update(ids["running"])
    assert flow.live and "under way" in drawn(state, "versions_top", "versions_update_steps")
    await flow.stop()
    assert flow.update.state == "stopped" and not flow.problem
    await flow.open_update(ids["done"])
    assert flow.in_use and "Take it back" in drawn(state)
    await flow.undo()
    assert versions.find(ids["done"]).state == "done", "nothing was asked about"
    flow.wish()
    await flow.undo("it was slow")
    assert flow.problem and flow.undoing, "no engine answers"
    await state.show("update")
    assert flow.id == "" and flow.focus == ids["done"]
    assert "data-focus" not in drawn(state, "versions_update_list")
    state.update = ids["failed"]
    await state.refresh(start=False)
    assert flow.id == ids["failed"] and not state.update
    assert "worse for certain" in drawn(state, "versions_update_steps")


async def test_other_names_are_given_and_forgotten(state: VersionsState) -> None:
    await state.show("models")
    family, form = state.family, state.family.alias
    assert [one.alias for one in family.aliases] == ["candidate"]
    await form.write("model", LONG)
    await form.start("alias", "primary")
    assert "cannot be an alias" in form.problem
    await form.start("alias", "best")
    assert releases.model("best") == LONG and form.text("alias") == ""
    await form.forget("best")
    assert form.gone.alias == "best" and len(family.aliases) == 1
    await form.undo()
    assert releases.model("best") == LONG and form.gone is None


async def test_where_a_model_comes_from_is_drawn_without_an_engine(state: VersionsState) -> None:
    await state.show("models")
    family = state.family
    assert family.shown == LONG and len(family.plan.boxes) == 2
    assert "No engine answers" in drawn(state, "versions_models")
    await family.see("all-minilm:latest")
    assert [box.node.names for box in family.plan.boxes] == [("all-minilm:latest",)]
    assert family.pair == ("v0.1", "v0.2") and family.roles == ["primary", "embedding"]
    assert family.comparison.verdict == "unmeasured"
    assert "workbench bench run" in drawn(state, "versions_models_compare")
    await family.weigh("role", "embedding")
    assert family.comparison.verdict == "same"
    await family.weigh("b", "v0.3")
    assert family.pair == ("v0.2", "v0.3") and family.comparison.role == "embedding"
    await family.weigh("actions", "x")
    assert HOSTILE not in drawn(state, "versions_models_compare")

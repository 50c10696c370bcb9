"""The Modelfiles view's rules without a browser: real domains, a real engine with a tiny model."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from workbench.domains import domains, find, versions_of
from workbench.engines import connect
from workbench.panels._html import render
from workbench.panels.states import EngineState, VersionsState
from workbench.panels.states._versions_files import PARTS, FilesState, with_setting

HOSTILE = "<img src=x onerror=alert(1)>"
MINE = f"""# title: Taxes {HOSTILE}
# about: Reads forms.
# ask: Which line {HOSTILE}?

FROM tiny
PARAMETER temperature 0.2
SYSTEM \"\"\"You read forms {HOSTILE}.\"\"\"
"""


@pytest.fixture(autouse=True)
def no_domains(at_home: Path) -> Iterator[None]:
    yield
    for path in (at_home / "domains").glob("Modelfile.*"):
        path.unlink()
    with connect(start=False) as engine:
        for model in engine.models():
            if model.name != "tiny:latest":
                engine.delete(model.name)


@pytest.fixture
async def state(at_home: Path) -> AsyncIterator[VersionsState]:
    made = VersionsState(engine=EngineState(), view="modelfiles")
    await made.engine.refresh()
    await made.files.look()
    yield made
    await made.engine.drop()


@pytest.fixture
def own(state: VersionsState) -> FilesState:
    assert isinstance(state.files, FilesState)
    return state.files


def drawn(own: FilesState) -> str:
    return render("versions_files", state=own.source)


async def test_the_shelf_is_there_and_the_first_one_in_the_editor(own: FilesState) -> None:
    assert [one.name for one in own.domains] == [one.name for one in domains()]
    assert own.name == own.domains[0].name and own.text == own.domains[0].modelfile
    assert not own.changed and own.errors[0].message.startswith("The base")
    for part in PARTS:
        await own.turn_to(part)
        assert drawn(own)
    assert "Questions to try" in own.page and "<h2>Questions to try</h2>" in drawn(own)
    ast.parse(own.code)
    own.source.view = "health"
    assert not drawn(own).strip(), "another view"


async def test_what_is_typed_is_checked_with_line_and_column(own: FilesState) -> None:
    await own.open("")
    assert own.domain is None and "FROM tiny:latest" in own.text and not own.errors
    await own.write("FROM tiny\nPARAMETRE temperature 1\nPARAMETER top_k many\nSYSTEM hello\n")
    assert [one.line for one in own.errors] == [2, 3]
    assert [worst for _, worst in own.lines][:4] == ["", "error", "error", ""]
    text = drawn(own)
    assert 'data-line="2"' in text and "Did you mean" in text and "2 errors" in text
    await own.call("mine")
    assert own.target == own.wrong_name == "" and not own.ready, "the text cannot be read"
    assert "Mend the errors first: line 2" in text
    await own.call("")
    await own.write("FROM tiny\nSYSTEM hello\n")
    assert own.target == "" and "Give the model a name" in own.wrong_name and not own.ready
    await own.call("mine")
    assert own.target.startswith("mine") and own.ready
    await own.revert()
    assert not own.changed and own.before is not None
    await own.put_back()
    assert own.text == "FROM tiny\nSYSTEM hello\n" and own.before is None


async def test_drafts_stay_when_another_one_is_opened(own: FilesState) -> None:
    first, second = (one.name for one in own.domains[:2])
    await own.write("FROM tiny\n")
    await own.open(second)
    assert own.text == find(second).modelfile and "changed" in drawn(own)
    await own.open(first)
    assert own.text == "FROM tiny\n" and own.changed


async def test_a_text_is_kept_deleted_and_brought_back(own: FilesState) -> None:
    await own.open("")
    await own.write(MINE)
    await own.keep("No Name")
    assert "cannot name a domain" in own.unsaved and "cannot name a domain" in drawn(own)
    await own.keep("taxes")
    assert find("taxes").own and own.name == "taxes" and not own.changed
    assert "Kept as" in own.saved and "" not in own.drafts
    await own.write(MINE.replace("0.2", "0.3"))
    await own.keep()
    assert "0.3" in find("taxes").modelfile, "one's own is written again without a question"
    await own.open("")
    await own.write(MINE.replace("0.2", "0.5"))
    await own.keep("taxes")
    assert "You have a domain taxes already" in drawn(own) and "0.3" in find("taxes").modelfile
    await own.keep("taxes", replace="taxes")
    assert "0.5" in find("taxes").modelfile and own.name == "taxes" and not own.drafts
    await own.forget()
    assert find("taxes"), "nobody asked first"
    own.wish()
    assert "Delete it?" in drawn(own)
    await own.forget()
    assert "taxes" not in [one.name for one in own.domains] and own.removed
    await own.bring_back()
    assert own.name == "taxes" and "0.5" in own.text
    await own.open(domains()[0].name)
    own.wish()
    await own.forget()
    assert "ships with the workbench" in own.unsaved


async def test_a_preview_shows_what_the_model_reads(own: FilesState) -> None:
    await own.open("")
    await own.write(MINE)
    await own.turn_to("preview")
    await own.say("Which one?")
    assert "You read forms" in own.previewed and "Which one?" in own.previewed
    assert own.previewed.endswith("assistant\n")
    assert "<img" not in drawn(own)
    await own.write("FROM\n")
    assert not own.previewed and "Mend the errors" in own.preview_problem
    ast.parse(own.code)


async def test_settings_are_added_as_lines(own: FilesState) -> None:
    await own.open("")
    await own.write(MINE)
    await own.turn_to("settings")
    here = {one.name: value for one, value in own.settings}
    assert here["temperature"] == "0.2" and here["top_k"] == ""
    await own.add_setting("top_k")
    assert "PARAMETER temperature 0.2\nPARAMETER top_k 40\nSYSTEM" in own.text
    assert not own.errors and own.before == MINE
    await own.add_setting("top_k")
    assert own.text.count("top_k") == 1
    quoted = 'FROM x\nSYSTEM """a\nPARAMETER b\n"""\n'
    assert with_setting(quoted, "PARAMETER c 1").startswith("FROM x\nPARAMETER c 1\nSYSTEM")


async def test_a_model_is_built_replaced_and_its_versions_compared(own: FilesState) -> None:
    await own.open("")
    await own.write(MINE)
    await own.keep("taxes")
    await own.call("mine")
    assert own.target == "mine-taxes:latest" and own.ready
    await own.build()
    assert own.built == own.target and not own.build_problem and not own.building
    assert any("it answers" in words for words in own.steps)
    assert own.target in [one.name for one in own.source.engine.models]
    await own.write(MINE.replace("0.2", "0.4"))
    await own.build()
    assert own.replacing == own.target and len(versions_of(own.target)) == 1
    assert "There is a model mine-taxes:latest already" in drawn(own)
    await own.build(own.replacing)
    assert own.built == own.target and len(versions_of(own.target)) == 2
    await own.turn_to("versions")
    newest, oldest = own.versions
    await own.beside("left", oldest.digest)
    await own.beside("right", newest.digest)
    (row,) = [one for one in own.rows if one.changed]
    assert (row.what, row.before, row.after) == ("PARAMETER temperature", "0.2", "0.4")
    assert "PARAMETER temperature" in drawn(own) and "<img" not in drawn(own)
    await own.take(oldest.digest)
    assert "0.2" in own.text and "0.4" in own.before
    await own.of_model("nowhere")
    assert own.model == "mine-taxes:latest"


async def test_a_build_can_be_stopped_and_leaves_nothing(own: FilesState) -> None:
    await own.open("")
    await own.write("FROM tiny\nSYSTEM hello\n")
    await own.call("halted")
    task = asyncio.ensure_future(own.build())
    while not own.building:
        await asyncio.sleep(0)
    own.stop()
    assert "Stopping" in drawn(own)
    await task
    assert "Stopped: nothing was made" in own.build_problem and not own.built
    assert [one.name for one in own.source.engine.models] == ["tiny:latest"]


async def test_without_an_engine_the_text_is_checked(at_home: Path) -> None:
    state = VersionsState(engine=EngineState(url="http://127.0.0.1:9"), view="modelfiles")
    await state.files.look()
    assert isinstance(state.files, FilesState) and state.files.unasked
    assert not state.files.errors and "No engine answers" in drawn(state.files)

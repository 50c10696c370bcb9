"""The Data panel's rules without a browser: real files, a real repository, real jobs."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from panels.data_documents import HOSTILE, SECRET, write_docs, write_repository

from workbench import data, gather, jobs
from workbench.crawl._scope import Options
from workbench.errors import DataError, GatherError
from workbench.panels import Data
from workbench.panels._fragment import find_state
from workbench.panels._html import render
from workbench.panels.states import DataState
from workbench.panels.states._data_form import code_of, number_of
from workbench.panels.states._data_gather import PAGE, offers
from workbench.refine import Rules

PARTS = [template for column in Data.columns for template, _watch in column]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the collection `docs` and the datasets `docs` (cleaned, then split), `talks`."""
    folder = tmp_path_factory.mktemp("data-state")
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(folder / "home")
    gather.gather("docs", "files", str(write_docs(folder / "docs")))
    gather.gather("docs", "git", str(write_repository(folder / "repository")))
    corpus = data.make_corpus("docs", ["docs"])
    data.split(corpus, validation=0.2, by="address")
    talks = folder / "talks.jsonl"
    said = [(f"{n} {HOSTILE}", f"It is {n}.") for n in range(30)]
    rows = [
        {"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}
        for a, b in said
    ]
    talks.write_text("\n".join([*map(json.dumps, rows), "{broken"]))
    data.import_file("talks", talks)
    yield folder
    if before is None:
        del os.environ["WORKBENCH_HOME"]
    else:
        os.environ["WORKBENCH_HOME"] = before


@pytest.fixture
async def state(made: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DataState]:
    monkeypatch.setenv("WORKBENCH_HOME", str(made / "home"))
    found = DataState()
    await found.look()
    yield found
    found.close()
    jobs.stop_supervisor()


async def ended(state: DataState) -> jobs.Job:
    """The newest job, when it has ended."""
    async with asyncio.timeout(120):
        while True:
            await state.refresh(start=False)
            if state.jobs.jobs and state.jobs.jobs[0].ended:
                return state.jobs.jobs[0]
            await asyncio.sleep(0.2)


def drawn(state: DataState, *templates: str) -> str:
    return "".join(render(name, state=state) for name in templates or PARTS)


async def test_an_empty_home_says_how_to_begin() -> None:
    state = DataState()
    assert "Reading what was gathered" in drawn(state)
    await state.look()
    page = drawn(state)
    assert "three steps" in page and "Python&#39;s standard library" in page
    assert all(Path(one["address"]).is_dir() for one in offers())
    for view, words in (("clean", "Nothing is gathered"), ("datasets", "no dataset yet")):
        await state.show(view)
        assert words in drawn(state)


def test_what_the_parts_watch_exists() -> None:
    state = DataState()
    for column in Data.columns:
        for template, watch in column:
            for path in watch.split():
                found, name = find_state(state, path)
                assert found.has_trait(name), f"{template} watches {path}"


async def test_the_form_is_checked_while_it_is_written(tmp_path: Path) -> None:
    form = DataState().gather
    assert form.missing == "Say what to gather." and not form.code
    await form.write("address", str(tmp_path / "nowhere"))
    assert "no such file" in form.problems["address"]
    await form.write("address", str(tmp_path))
    await form.write("collection", "Docs!")
    assert "small letters" in form.problems["collection"] and not form.ready
    await form.write("collection", "docs")
    assert form.ready
    await form.write("include", "*.rst, *.md")
    assert form.given() == (["docs", "files", str(tmp_path)], {"include": ["*.rst", "*.md"]})
    await form.write("kind", "web")
    assert "begins with https" in form.problems["address"]
    await form.write("address", "https://example.org/")
    await form.write("depth", "21")
    assert "from 0 to 20" in form.problems["depth"]
    for name, value in (("depth", "2"), ("delay", "0.5"), ("include", "")):
        await form.write(name, value)
    await form.flip("beneath")
    assert form.given()[1] == {"depth": 2, "delay": 0.5, "beneath": False}
    for address in ("-u evil", "ext::sh -c id"):
        await form.write("kind", "git")
        await form.write("address", address)
        assert "Write the repository's" in form.problems["address"]
    for kind in ("files", "git", "transcript"):
        await form.write("kind", kind)
        await form.write("address", "~nobody-of-this-name/texts")
        assert "no such file" in form.problems["address"], "and it is no failure of ours"
    with pytest.raises(KeyError):
        await form.write("no-such-field", "x")


def test_the_form_tells_the_defaults_that_count() -> None:
    state, usual = DataState(), Options()
    state.gather.texts = {**state.gather.texts, "kind": "web"}
    page = drawn(state, "data_gather")
    for value in (usual.depth, usual.pages, usual.delay):
        assert f'placeholder="{value}"' in page
    assert bool(state.gather.fields["beneath"]) is usual.beneath
    clean = state.clean
    assert Rules(**clean.rules) == Rules()
    assert {name: clean.text(name) for name in ("secrets", "personal", "contamination")} == {
        "secrets": Rules().secrets, "personal": Rules().personal,
        "contamination": Rules().contamination,
    }  # fmt: skip
    assert float(clean.text("near")) == Rules().near


def test_numbers_are_read_strictly() -> None:
    found = [
        number_of(text) for text in ("7", "0.5", ".5", "", "-1", "1e9", "nan", "٣٫٥", "9" * 12)
    ]
    assert found == [7, 0.5, 0.5, None, None, None, None, None, None]


def test_hostile_texts_are_literals_in_the_code() -> None:
    name = "x'); import os; os.system('id"
    code = code_of("workbench.gather.submit_gather", ([name], {"ref": '"""\n'}), "{call}\n")
    tree = compile(code, "shown", "exec")
    assert name in tree.co_consts and '"""\n' in tree.co_consts


async def test_gathering_is_a_job_and_its_documents_unfold(tmp_path: Path) -> None:
    state = DataState()
    await state.look()
    form = state.gather
    await form.write("address", str(write_docs(tmp_path / "docs")))
    await form.write("collection", "mine")
    await form.start()
    assert "Gather" in form.started
    try:
        job = await ended(state)
    finally:
        jobs.stop_supervisor()
    assert job.state == "done" and "Gathering" in drawn(state)
    (mine,) = state.collections
    (source,) = mine.sources
    assert source.skipped == 1 and mine.documents == source.documents == 14
    await form.unfold("mine", source.key, "skipped")
    assert "noise.bin" in form.rows[0].address and form.rows[0].reason in drawn(state)
    await form.unfold("mine", source.key, "documents")
    assert len(form.rows) == min(PAGE, 14)
    page = drawn(state)
    assert "<script>" not in page and "<img" not in page and "&lt;script&gt;" in page
    await form.unfold("mine", source.key, "documents")
    assert form.inside == ""
    state.put("deleting", "mine/" + source.key)
    assert "Delete its documents for good?" in drawn(state)
    await state.forget("mine")
    assert state.collections, "only what was asked about is deleted"
    state.put("deleting", "mine")
    await state.forget("mine")
    assert state.collections == ()


async def test_cleaning_from_the_form_is_cleaning_from_python(state: DataState) -> None:
    await state.refine("docs")
    form = state.clean
    assert state.view == "clean" and form.given() == (["clean", "docs"], {"collections": ["docs"]})
    await form.write("near", "1.5")
    assert "from 0" in form.problems["near"] and not form.ready
    await form.write("near", "0.7")
    await form.write("languages", "english")
    assert "two letters" in form.problems["languages"]
    await form.write("languages", "EN")
    await form.flip("boilerplate")
    await form.write("secrets", "drop")
    await form.pick("suites", form.suites[0][0])
    await form.write("name", "stricter")
    assert form.rules == {
        "boilerplate": False, "secrets": "drop", "near": 0.7, "languages": ["en"],
        "suites": [form.suites[0][0]],
    }  # fmt: skip
    assert "Only" in drawn(state)
    await form.start()
    job = await ended(state)
    assert job.state == "done", job.error
    await state.see(job.id)
    plain = data.make_corpus("plainly", ["docs"], rules=form.rules)
    assert state.opened.dataset.digest == plain.digest
    state.put("deleting", state.opened.dataset.label)
    await state.forget(state.opened.dataset.label)
    assert not state.opened.label and "stricter" not in {one.name for one in state.datasets}


async def test_a_report_is_told_to_a_person(state: DataState) -> None:
    await state.open_dataset("docs")
    await state.open_dataset(state.opened.parent.label, "report")
    page = drawn(state, "data_report")
    report = state.opened.dataset.report
    lost = sum(one["documents_in"] - one["documents_out"] for one in report["steps"])
    assert lost >= 3 and page.count(" dropped</b>") == sum(
        1 for one in report["steps"] if one["documents_in"] > one["documents_out"]
    )
    assert "is like" in page and "with.rst" in page and "try.rst" in page and "too short" in page
    assert "AWS_KEY" in page and "EMAIL" in page and SECRET not in page


async def test_every_part_of_a_dataset_is_drawn(state: DataState) -> None:
    await state.open_dataset("docs")
    opened = state.opened
    assert opened.statistics.examples == opened.dataset.examples
    page = drawn(state)
    assert "Split with seed 0: 20 % for validation" in page
    assert opened.parent.label in page and "<rect" in page
    await opened.verify()
    assert opened.wrong == () and "as they were made" in drawn(state)
    await opened.turn_to("checks")
    assert opened.validation.verdict == opened.verdicts[opened.dataset.digest]
    page = drawn(state)
    assert all(part.why in page.replace("&#39;", "'") for part in opened.validation.parts)
    await opened.turn_to("make")
    assert 'value="address" selected' in drawn(state)
    await opened.turn_to("versions")
    await opened.compare(opened.parent.label)
    assert opened.difference.same is False and opened.difference.common == opened.dataset.examples
    assert "moved train → validation" in drawn(state)


async def test_examples_are_shown_as_the_model_reads_them(state: DataState) -> None:
    await state.open_dataset("talks", "examples")
    opened = state.opened
    _example, rendered, tokens, counter = opened.example
    assert rendered.text.startswith("<|im_start|>user\n0 <script>") and tokens > 0
    assert not counter.exact
    page = drawn(state)
    assert '<mark class="wb-learnt">It is 0.&lt;|im_end|&gt;</mark>' in page
    assert "<script>" not in page and "<img" not in page
    for value, at in (("+1", 1), ("30", 29), ("+1", 29), ("-1", 28), ("0", 0), ("x", 0), ("", 0)):
        await opened.choose("at", value)
        assert opened.at == at
        assert opened.example[0].fields["messages"][1]["content"] == f"It is {at}."
    await opened.turn_to("report")
    assert "30 of 31 rows were taken" in drawn(state)


async def test_a_split_and_examples_from_code_are_made(state: DataState) -> None:
    await state.open_dataset("docs", "make")
    await state.open_dataset(state.opened.parent.label, "make")
    form = state.opened.split
    for name, value in (("validation", "60"), ("test", "50")):
        await form.write(name, value)
    assert "left to train on" in form.problems["test"]
    await form.write("validation", "0")
    await form.write("test", "0")
    assert "more than nothing" in form.problems["validation"]
    await form.write("validation", "20")
    assert form.ready and form.given()[1]["by"] == "address"
    await form.start()
    job = await ended(state)
    assert job.state == "done", job.error
    assert job.result["label"] == data.find("docs").label, "the same seed, the same split"
    code = state.opened.code
    await code.write("limit", "3")
    await code.start()
    job = await ended(state)
    assert job.state == "done", job.error
    await state.see(job.id)
    assert state.opened.dataset.form == "completion" and state.opened.dataset.examples == 3
    await state.opened.turn_to("make")
    assert "Examples are cut from a cleaned corpus" in drawn(state)


async def test_a_file_is_recognised_mapped_and_imported(state: DataState, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(f"frage,antwort,art\n{HOSTILE},ja,a\nWarum?,darum,b\n")
    form = state.imports
    await state.show("imports")
    for name in ("~nobody-of-this-name.csv", "a\x00b", str(tmp_path)):
        await form.write("path", name)
        assert form.problem and not form.ready, name
    await form.write("path", str(tmp_path / "nowhere.csv"))
    assert form.problem and not form.ready and "nowhere" in drawn(state)
    await form.write("path", str(path))
    assert form.form == "completion" and form.changed == {}
    page = drawn(state)
    assert "% sure" in page and "<script>" not in page and "&lt;script&gt;" in page
    await form.map("label", "art")
    assert form.changed == {
        "columns": {"prompt": "frage", "completion": "antwort", "label": "art"},
        "form": "completion",
    }
    await form.write("form", "text")
    assert "text" in form.uses and form.problem
    await form.map("text", "frage")
    assert not form.problem and form.preview.examples[0].form == "text"
    await form.write("form", "completion")
    assert form.changed == {}
    await form.write("name", "pairs")
    await form.start()
    job = await ended(state)
    assert job.state == "done", job.error
    await state.see(job.id)
    assert state.opened.dataset.recipe["columns"] == {"prompt": "frage", "completion": "antwort"}
    assert "frage as prompt" in drawn(state)


def shown_code(page: str) -> list[str]:
    """The texts that "Show code" shows."""
    found = re.findall(r'<pre class="wb-pre" id="[^"]*"[^>]*>(.*?)</pre>', page, re.S)
    return [unescape(code) for code in found]


async def test_the_code_that_is_shown_runs(state: DataState, capsys: Any) -> None:
    codes = []
    await state.open_dataset("docs")
    await state.opened.compare(state.opened.parent.label)
    for part in ("overview", "examples", "checks", "versions"):
        await state.opened.turn_to(part)
        codes += shown_code(drawn(state))
    await state.open_dataset(state.opened.parent.label, "report")
    codes += shown_code(drawn(state))
    for view in ("datasets", "gather"):
        await state.show(view)
        codes += shown_code(drawn(state))
    assert len(codes) >= 8
    for code in codes:
        exec(compile(code, "shown", "exec"), {})
    assert "contamination 1" in capsys.readouterr().out


async def test_what_is_gone_is_told_and_changes_elsewhere_are_seen(state: DataState) -> None:
    await state.refresh(start=False)
    with pytest.raises(GatherError):
        gather.find_collection("elsewhere")
    gather.gather("elsewhere", "files", str(Path(json.__file__).parent))
    await state.refresh(start=False)
    assert "elsewhere" in {one.name for one in state.collections}
    gather.remove_collection("elsewhere")
    await state.refresh(start=False)
    assert "elsewhere" not in {one.name for one in state.collections}
    await state.open_dataset("no-such-dataset")
    assert "There is no dataset" in state.opened.problem and state.opened.dataset is None
    assert "There is no dataset" in drawn(state)
    await state.show("datasets")
    assert not state.opened.problem
    with pytest.raises(DataError):
        data.find("no-such-dataset")


async def test_damaged_files_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    gather.gather("docs", "files", str(write_docs(tmp_path / "docs")))
    made = data.make_corpus("docs", ["docs"])
    whole = gather.find_collection("docs")
    (whole.folder / whole.sources[0].key / "source.json").write_text("{")
    text = made.path().read_text("utf-8")
    made.path().write_text("{broken\n" + text.partition("\n")[2], "utf-8")
    state = DataState()
    await state.look()
    page = drawn(state)
    assert "is damaged" in page and "three steps" not in page
    assert [one.name for one in state.datasets] == ["docs"]
    await state.open_dataset("docs", "checks")
    assert state.opened.validation.verdict == "refused"
    assert "No, not as it is" in drawn(state) and "line 1" in drawn(state)
    await state.opened.verify()
    assert "was changed" in str(state.opened.wrong)
    await state.opened.turn_to("examples")
    assert "This line is damaged" in state.opened.problem
    assert "This line is damaged" in drawn(state)
    state.close()


async def test_small_datasets_are_judged_for_the_list(state: DataState) -> None:
    await state.show("datasets")
    async with asyncio.timeout(60):
        while len(state.opened.verdicts) < len(state.datasets):
            await asyncio.sleep(0.05)
    page = drawn(state, "data_list")
    assert "not checked yet" not in page and page.count("wb-chip") == len(state.datasets)


async def test_the_panel_opens_a_dataset_by_its_name(state: DataState) -> None:
    panel = Data(dataset="talks", view="datasets", shown=False)
    await panel.state.refresh(start=False)
    assert panel.state.opened.dataset.name == "talks"
    panel.close()
    with pytest.raises(TypeError, match="Did you mean 'dataset'"):
        Data(datset="talks", shown=False)

"""A domain becomes a model that answers, or nothing changes; its texts are kept."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from workbench.domains import add, build, diff, find, preview, target, versions_of
from workbench.engines import Engine
from workbench.errors import (
    InvalidRequest,
    ModelfileError,
    ModelNotFound,
    TrainingError,
)
from workbench.protocol import parse_modelfile
from workbench.settings import home
from workbench.types import Progress

TEXT = '''# title: Mine
# ask: What is mine?

FROM tiny:v1
PARAMETER num_ctx 128
PARAMETER seed 1
SYSTEM """Be
brief."""
MESSAGE user Hi
MESSAGE assistant Yes?
LICENSE MIT
'''
# whatever it says, it ends with the first letter of it
LETTERS = [chr(code) for code in range(33, 591) if chr(code) not in '"\x85\xa0']
MUTE = "".join(f"PARAMETER stop {letter}\n" for letter in LETTERS)
QUESTION = [{"role": "user", "content": "Hi?"}]


def steps(made: Iterable[Progress]) -> list[str]:
    return [step.status for step in made]


def names(engine: Engine) -> set[str]:
    return {model.name for model in engine.models()}


def test_a_domain_is_built(engine: Engine) -> None:
    add(TEXT, "mine")
    every = list(build(engine, "mine"))
    assert every[-1].status == "tiny-mine:v1 is made"
    assert any(step.status.startswith("it answers: ") for step in every)
    assert names(engine) == {"tiny:v1", "embed:latest", "tiny-mine:v1"}
    [listed] = [model for model in engine.models() if model.name == "tiny-mine:v1"]
    assert every[-1].digest == listed.digest
    shown = engine.show("tiny-mine:v1")
    assert (shown.system, shown.license) == ("Be\nbrief.", "MIT")
    assert "num_ctx" in shown.parameters and "128" in shown.parameters
    read = engine.render("tiny-mine:v1", QUESTION)
    assert "Be\nbrief." in read and "Yes?" in read and "Hi?" in read
    assert preview(find("mine"), QUESTION, engine) == read, "the preview is what it reads"


def test_those_that_ship_on_another_base(engine: Engine) -> None:
    with pytest.raises(ModelNotFound, match=r"qwen2.5:7b is not installed.*--base"):
        build(engine, "health")
    told = steps(build(engine, "health", "nurse", base="tiny:v1"))
    assert told[0] == "tiny:v1 reads 512 tokens, so num_ctx is 512"
    assert told[-1] == "nurse-health:latest is made"
    shown = engine.show("nurse-health")
    assert shown.system == find("health").parsed.system and "512" in shown.parameters
    assert steps(build(engine, "legal", base="tiny:v1"))[-1] == "tiny-legal:v1 is made"


def test_a_context_of_8192_where_nothing_is_said(engine: Engine) -> None:
    list(build(engine, "FROM tiny:v1\nSYSTEM x\n", "plain"))
    [version] = versions_of("plain")
    assert "PARAMETER num_ctx 512" in version.text, "8192, and no more than the base reads"


def test_names(engine: Engine) -> None:
    assert target("health") == "qwen2.5-health:7b"
    assert target("health", base="library/llama3.2") == "llama3.2-health:latest"
    assert target("legal", "mine") == "mine-legal:latest"
    assert target("legal", "mine:v2", "tiny:v1") == "mine-legal:v2"
    assert target("FROM x\n", "mine") == "mine:latest"
    with pytest.raises(ModelfileError, match="Give the model a name"):
        target("FROM x\n")
    for bad in ("../x", "a b", "x" * 100, "\0"):
        with pytest.raises((ModelfileError, InvalidRequest)):
            build(engine, "legal", bad, base="tiny:v1")
    with pytest.raises(ModelfileError, match="is the base itself"):
        build(engine, "FROM tiny:v1\n", "TINY:v1", replace=True)
    assert names(engine) == {"tiny:v1", "embed:latest"}


def test_nobody_loses_a_model_by_accident(engine: Engine) -> None:
    list(build(engine, TEXT, "mine"))
    before = engine.models()
    with pytest.raises(TrainingError, match="There is a model mine:latest already"):
        build(engine, TEXT, "mine")
    with pytest.raises(ModelfileError, match="answers nothing"):
        list(build(engine, TEXT + MUTE, "mine", replace=True))
    assert engine.models() == before and len(versions_of("mine")) == 1
    list(build(engine, TEXT + "PARAMETER top_k 3\n", "mine", replace=True))
    assert len(names(engine)) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM tiny:v1\nTEMPLATE {{ .Prompt\n", r"\(line 2\): The template cannot be read"),
        ("FROM tiny:v1\nADAPTER ./lora\n", "cannot have an ADAPTER"),
        ("FROM ./weights.gguf\n", "is not the name of one model"),
        ("FROM /etc/passwd\n", "is not the name of one model"),
        ("FROM tiny:v1\nFROM embed\n", "is not the name of one model"),
        ("FROM embed\nSYSTEM x\n", "writes no texts"),
        ("FROM tiny:v1\nPARAMETER heat 3\n", "unknown parameter"),
    ],
)
def test_what_cannot_be_built(engine: Engine, text: str, words: str) -> None:
    before = engine.models()
    with pytest.raises(ModelfileError, match=words):
        list(build(engine, text, "mine"))
    assert engine.models() == before and versions_of("mine") == []


def test_versions_of_a_modelfile(engine: Engine) -> None:
    list(build(engine, TEXT, "mine"))
    list(build(engine, TEXT, "mine", replace=True))
    assert len(versions_of("mine")) == 1, "the same text is one version"
    list(build(engine, TEXT.replace("Be\nbrief.", "Be kind."), "mine", replace=True))
    list(build(engine, TEXT, "mine", replace=True))
    newest, middle, oldest = versions_of("MINE:latest")
    assert newest.text == oldest.text and newest.digest == oldest.digest != middle.digest
    assert newest.at > middle.at > oldest.at
    [row] = [row for row in diff(oldest.text, middle.text) if row.changed]
    assert (row.what, row.before, row.after) == ("SYSTEM", "Be\nbrief.", "Be kind.")
    assert "# title: Mine" in newest.text and newest.base == "tiny:v1"
    [tiny] = [model for model in engine.models() if model.name == "tiny:v1"]
    assert newest.base_digest == tiny.digest.removeprefix("sha256:")
    digest = next(model.digest for model in engine.models() if model.name == "mine:latest")
    list(build(engine, newest.text, "again"))
    assert next(m.digest for m in engine.models() if m.name == "again:latest") == digest
    assert versions_of("again")[0].text == newest.text, "a version is built again as it was"


def test_changed_versions_are_left_out(engine: Engine) -> None:
    list(build(engine, TEXT, "mine"))
    [file] = (home() / "modelfiles").rglob("*.Modelfile")
    (file.parent / "notes.Modelfile").write_text("FROM x\n", "utf-8")
    (file.parent / f"20260101T000000.000000Z-{'a' * 64}.Modelfile").symlink_to(file)
    assert len(versions_of("mine")) == 1
    file.write_text("FROM evil\n", "utf-8")
    assert versions_of("mine") == []
    with pytest.raises(InvalidRequest):
        versions_of("../../x")


def test_previews(engine: Engine) -> None:
    go = "FROM absent\nSYSTEM Be brief.\nTEMPLATE {{ .System }}|{{ .Prompt }}|\n"
    assert preview(go, ["Why?"]) == "Be brief.|Why?|", "its own template needs no engine"
    with pytest.raises(ModelfileError, match="only be shown with an engine"):
        preview("FROM tiny:v1\nSYSTEM x\n", ["Why?"])
    shown = preview(find("health"), engine=engine, base="tiny:v1")
    assert find("health").asks[0] in shown and "You help people" in shown
    assert shown.startswith("<|im_start|>system\n") and shown.endswith("<|im_start|>assistant\n")
    own = (
        "FROM tiny:v1\nTEMPLATE {% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}\n"
    )
    assert "[user]Why?" in preview(own, ["Why?"], engine)
    assert names(engine) == {"tiny:v1", "embed:latest"}, "the copy of a moment is gone"
    assert "Why?" in preview("tiny:v1", ["Why?"], engine)
    turns = [{"role": "system", "content": "Other."}, {"role": "user", "content": "Why?"}]
    assert preview(go, turns) == "Other.|Why?|", "a request's own system text counts"
    with pytest.raises(ModelNotFound):
        preview("FROM absent\nSYSTEM x\n", engine=engine)


def child(environment: dict[str, str], url: str, begun: object) -> None:
    """Build again and again, in a process of its own."""
    os.environ.clear()
    os.environ.update(environment)
    with Engine(url, kind="embedded") as engine:
        engine.version()
        begun.set()  # type: ignore[attr-defined]
        for turn in range(1000):
            text = TEXT.replace("brief", f"brief {turn}")
            list(build(engine, text, "mine", replace=True))


def test_a_kill_leaves_the_model_that_was_there(engine: Engine, live_engine: str) -> None:
    list(build(engine, TEXT, "mine"))
    forks, chance = multiprocessing.get_context("forkserver"), random.Random(4)
    for _ in range(5):
        begun = forks.Event()
        process = forks.Process(target=child, args=(dict(os.environ), live_engine, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.join()
        system = engine.show("mine").system
        assert system in {parse_modelfile(one.text).system for one in versions_of("mine")}
        assert engine.chat("mine", QUESTION, options={"num_predict": 4}).text
    list(build(engine, TEXT, "mine", replace=True))
    assert engine.show("mine").system == "Be\nbrief."
    assert names(engine) == {"tiny:v1", "embed:latest", "mine:latest"}, "nothing is left over"


def test_the_file_may_be_anywhere(engine: Engine, tmp_path: Path) -> None:
    from workbench.domains import read

    path = tmp_path / "Modelfile.taxes"
    path.write_text(TEXT, "utf-8")
    assert steps(build(engine, read(path), "my"))[-1] == "my-taxes:latest is made"
    assert read(path, "other").name == "other"
    (tmp_path / "plain").write_text(TEXT, "utf-8")
    assert steps(build(engine, read(tmp_path / "plain"), "my"))[-1] == "my:latest is made"

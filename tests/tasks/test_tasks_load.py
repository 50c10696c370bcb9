"""Task and suite files: what is taken, and that every mistake is named with its line."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import TaskError
from workbench.tasks import (
    ScorerUse,
    find_any,
    find_suite,
    find_task,
    load_suite,
    load_task,
    problems,
    suites,
    tasks,
)

GOOD = """\
name: capitals
title: Capitals of Europe
mode: chat
system: Answer with one word.
prompt: "What is the capital of {{ country }}?"
target: capital
group: region
samples:
  - {country: France, capital: Paris, region: west}
  - {country: Norway, capital: Oslo, region: north}
  - {country: Italy, capital: [Rome, Roma], region: south}
scorers:
  - normalised
  - name: includes
    whole_words: true
options: {num_predict: 16}
count: 3
source: the project
license: MIT
"""


def write(folder: Path, text: str, name: str = "task.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def refused(path: Path) -> TaskError:
    with pytest.raises(TaskError) as caught:
        load_task(path)
    return caught.value


def test_a_whole_task(tmp_path: Path) -> None:
    task = load_task(write(tmp_path, GOOD))
    assert (task.name, task.title, task.mode) == ("capitals", "Capitals of Europe", "chat")
    assert task.scorers == (ScorerUse("normalised"), ScorerUse("includes", {"whole_words": True}))
    assert task.options == {"temperature": 0.0, "num_predict": 16}
    assert task.source == "the project · MIT"
    assert task.file == str(tmp_path / "task.yaml")
    first, _, third = task.samples()
    assert first.prompt == "What is the capital of France?"
    assert (first.target, first.group) == ("Paris", "west")
    assert third.target == ["Rome", "Roma"]
    assert first.more == {"country": "France", "capital": "Paris"}


def test_the_same_file_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    one = load_task(write(tmp_path / "a", GOOD))
    two = load_task(write(tmp_path / "b", GOOD))
    assert one.fingerprint(one.samples(seed=4)) == two.fingerprint(two.samples(seed=4))
    other = load_task(write(tmp_path / "c", GOOD.replace("true", "false")))
    assert one.fingerprint(one.samples()) != other.fingerprint(other.samples())


def test_name_and_title_come_from_the_file(tmp_path: Path) -> None:
    task = load_task(
        write(tmp_path, "samples: [{prompt: a, target: b}]\nscorers: [exact]", "x.yaml")
    )
    assert (task.name, task.title, task.count) == ("x", "x", 100)


def test_plain_scalars_are_not_reinterpreted(tmp_path: Path) -> None:
    text = """\
samples:
  - {prompt: 2024-01-01, target: no, when: 12:30, code: 0x1F, big: 1_000, n: 1e3, t: true}
  - {prompt: "5", target: 5, when: .inf, n: ~}
scorers: [exact]
"""
    first, second = load_task(write(tmp_path, text)).samples()
    assert (first.prompt, first.target) == ("2024-01-01", "no")
    assert first.more == {"when": "12:30", "code": "0x1F", "big": "1_000", "n": 1000.0, "t": True}
    assert (second.prompt, second.target) == ("5", 5)
    assert second.more == {"when": ".inf", "n": None}


MISTAKES = {
    "unknown key": ("title:", "titel:", 2, "'titel' is not known. Did you mean title?"),
    "unknown mode": ("mode: chat", "mode: chatt", 3, "Did you mean chat?"),
    "system is a list": ("Answer with one word.", "[a, b]", 4, "must be a text"),
    "template": ("{{ country }}", "{{ country", 5, "template"),
    "template calls": ("{{ country }}", "{{ country.upper() }}", 5, "call is not allowed"),
    "template multiplies": ("{{ country }}", "{{ 'a' * 9 }}", 5, "mul is not allowed"),
    "template's filter": ("{{ country }}", "{{ country | random }}", 5, "random is not allowed"),
    "sample is a text": ("{country: France, capital: Paris, region: west}", "France", 9, "mapping"),
    "key twice": ("mode: chat", "name: other", 3, "'name' is there twice"),
    "alias": ("capital: Oslo", "capital: &a Oslo, b: *a", 10, "aliases"),
    "tag": ("capital: Oslo", "capital: !!python/name:os.system x", 10, "tag"),
    "tab": ("mode: chat", "\tmode: chat", 3, "cannot start any token"),
    "two documents": ("mode: chat", "---\nmode: chat", 3, "document"),
    "key is a list": ("mode: chat", "? [a]\n: b", 3, "key must be a text"),
    "unknown scorer": ("- normalised", "- normalized", 13, "Did you mean normalised?"),
    "reserved scorer": ("- normalised", "- likelihood", 13, "has no scorer 'likelihood'"),
    "scorer's option": ("whole_words", "whole_word", 14, "Did you mean whole_words?"),
    "scorer's option's type": ("whole_words: true", "whole_words: 3", 14, "true or false"),
    "scorer without name": ("name: includes", "nam: includes", 14, "mapping with a name"),
    "engine's option": ("num_predict", "num_predikt", 16, "Did you mean num_predict or"),
    "engine's option's type": ("num_predict: 16", "num_predict: x", 16, "type integer"),
    "count": ("count: 3", "count: 0", 17, "count must be"),
    "count is true": ("count: 3", "count: true", 17, "count must be"),
    "count is a fraction": ("count: 3", "count: 2.5", 17, "count must be"),
    "source has two lines": ("the project", '"a\\nb"', 18, "one line"),
    "half a character": ("license: MIT", 'license: "\\ud800"', 19, "no characters"),
    "name": ("name: capitals", "name: ../x", 1, "A name has"),
    "no scorers": ("scorers:\n  - normalised\n", "system:\n", 12, "there twice"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, mistake: str) -> None:
    before, after, line, reason = MISTAKES[mistake]
    assert GOOD.count(before) >= 1
    error = refused(write(tmp_path, GOOD.replace(before, after, 1)))
    assert reason in str(error)
    assert error.line == line
    assert error.file == str(tmp_path / "task.yaml")


def test_a_sample_without_the_field_is_named_when_it_is_read(tmp_path: Path) -> None:
    task = load_task(write(tmp_path, GOOD.replace("capital: Oslo", "capitol: Oslo")))
    with pytest.raises(TaskError, match=r"no field 'capital'\. Did you mean capitol") as caught:
        task.samples()
    assert caught.value.line == 10
    task = load_task(write(tmp_path, GOOD.replace("country: Italy", "land: Italy")))
    with pytest.raises(TaskError, match=r"'country' is undefined.*land, capital, region") as caught:
        task.samples()
    assert caught.value.line == 11


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("- a\n- b\n", "A task is a mapping"),
        ("just words", "A task is a mapping"),
        ("name: x\nscorers: [exact]", "samples or a generator"),
        (
            "samples: [{prompt: a}]\ngenerator: {name: b}\nscorers: [exact]",
            "samples or a generator",
        ),
        ("samples: [{prompt: a}]", "needs scorers"),
        ("samples: []\nscorers: [exact]", "samples must be"),
        ("samples: none.jsonl\nscorers: [exact]", "no such file"),
        ("samples: task.yaml\nscorers: [exact]", "Convert the file"),
        ("samples: ../../etc/x.jsonl\nscorers: [exact]", "lies outside"),
        ("generator: {name: os}\nscorers: [exact]", "no generator 'os'"),
        ("generator: {name: ../x}\nscorers: [exact]", "A name has"),
        ("samples: [{prompt: a, target: b}]\nscorers: [{name: regex, pattern: '('}]", "pattern"),
        ("samples: [{prompt: a}]\nmode: choice\nscorers: [exact]", "no scorer 'exact'"),
        ("samples: [{prompt: a}]\nscorers: [exact]\nshots: 1", "needs a target"),
        ("samples: [{prompt: a, target: b}]\nscorers: [exact]\nshots: 2", "only 1 samples"),
        ("samples: [{prompt: a}]\nscorers: [exact]\nshots: [{prompt: a}]", "shot has a prompt"),
        ("samples: [{prompt: a}]\nscorers: [exact]\nmode: insert\nshots: 1", "have no shots"),
        ("[" * 5000, "nested too deeply"),
        ("a: " * 3 + "b", "mapping values are not allowed"),
        ("x: " + "{a: " * 60 + "1" + "}" * 60, "nested too deeply"),
        ("name: \x00", "not allowed"),
    ],
)
def test_what_is_no_task_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in str(refused(write(tmp_path, text)))


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "no such file" in str(refused(tmp_path / "none.yaml"))
    os.mkfifo(tmp_path / "pipe.yaml")  # opening it would wait for ever
    assert "no such file" in str(refused(tmp_path / "pipe.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    assert "UTF-8" in str(refused(tmp_path / "latin.yaml"))
    (tmp_path / "big.yaml").write_bytes(b"#" * (1 << 21))
    assert "larger than 1 MB" in str(refused(tmp_path / "big.yaml"))


LINES = st.sampled_from(
    [*GOOD.splitlines(), "  - x", "? a", "a: &b", "*b", "[", "{", "|", ">", "%"]
)


@given(st.one_of(st.binary(), st.lists(st.one_of(LINES, st.text())).map("\n".join).map(encoded)))
def test_any_file_is_a_task_or_refused(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "task.yaml"
        path.write_bytes(content)
        try:
            assert load_task(path).samples()
        except TaskError as error:
            assert str(path) in str(error)


def test_an_alias_bomb_is_not_unfolded(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    error = refused(write(tmp_path, "\n".join(lines)))
    assert "aliases" in str(error) and error.line == 1  # where it was first written


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text('{"prompt": "a", "target": "b"}\n')
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    path = write(tmp_path / "tasks", "samples: link.jsonl\nscorers: [exact]")
    assert "lies outside" in str(refused(path))
    write(tmp_path / "tasks", f"samples: {tmp_path}/secret.jsonl\nscorers: [exact]")
    assert load_task(path).samples()[0].target == "b"  # said openly it is taken


SUITE = """\
title: Two
domain: development
tasks:
  - capitals
  - task: written
    weight: 2.5
  - name: inline
    samples: [{prompt: a, target: b}]
    scorers: [exact]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    write(home / "tasks", GOOD, "capitals.yaml")
    write(home / "tasks", "samples: [{prompt: a, target: b}]\nscorers: [exact]", "written.yaml")
    write(home / "suites", SUITE, "two.yaml")
    return home


def test_own_tasks_and_suites(own: Path) -> None:
    assert {"capitals", "written"} <= set(tasks())
    suite = find_suite("two")
    assert [task.name for task in suite.tasks] == ["capitals", "written", "inline"]
    assert suite.weights == (1.0, 2.5, 1.0)
    assert (suite.name, suite.title, suite.domain) == ("two", "Two", "development")
    assert find_suite(own / "suites" / "two.yaml") == suite == suites()["two"]
    assert find_task(str(own / "tasks" / "written.yaml")).name == "written"


@pytest.mark.parametrize(
    ("before", "after", "line", "reason"),
    [
        ("- capitals", "- capital", 4, "Did you mean capitals?"),
        ("- capitals", "- 7", 4, "A task is given by"),
        ("weight: 2.5", "weight: 0", 6, "A weight must be"),
        ("weight: 2.5", "weight: .nan", 6, "A weight must be"),
        ("weight: 2.5", "wait: 1", 6, "can only be weight"),
        ("task: written", "task: capitals", 5, "'capitals' is there twice"),
        ("name: inline", "title: inline", 7, "needs a name"),
        ("scorers: [exact]", "scorers: [exakt]", 9, "Did you mean exact?"),
        ("domain:", "domains:", 2, "Did you mean domain?"),
        ("- capitals", "- other.yaml", 4, "no such file"),
        ("- capitals", "- ../../other.yaml", 4, "lies outside"),
    ],
)
def test_mistakes_in_suites(own: Path, before: str, after: str, line: int, reason: str) -> None:
    path = write(own / "suites", SUITE.replace(before, after, 1), "two.yaml")
    with pytest.raises(TaskError) as caught:
        load_suite(path)
    assert reason in str(caught.value)
    assert caught.value.line == line or "no such file" in reason


def test_a_broken_file_is_told_of_and_hides_no_other(own: Path) -> None:
    shipped = set(tasks()) - {"capitals", "written"}
    write(own / "tasks", "samples: [", "broken.yaml")
    write(own / "suites", "tasks: [broken]", "three.yaml")
    assert {"capitals", "written"} <= set(tasks())
    assert "two" in suites()
    ours = [one for one in problems() if str(own) in one]
    assert len(ours) == 2
    assert "broken.yaml, line 1" in ours[0] and "three.yaml, line 1" in ours[1]
    with pytest.raises(TaskError, match=r"broken\.yaml, line 1"):
        find_task("broken")
    with pytest.raises(TaskError, match="Did you mean capitals"):
        find_task("capitls")
    with pytest.raises(TaskError, match="no suite"):
        find_suite("capitals")
    for name in shipped:  # a name that ships stays ours
        write(own / "tasks", GOOD.replace("name: capitals", f"name: {name}"), "mine.yaml")
        assert tasks()[name].file != str(own / "tasks" / "mine.yaml")
        assert any("taken" in one for one in problems())
        break


def test_a_suite_may_be_a_suite_a_task_or_a_dataset(tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    data.write_text('{"prompt": "One?", "completion": "1"}\n', encoding="utf-8")
    found = find_any(str(data))
    assert [use.name for use in found.tasks[0].scorers] == ["similarity"]
    assert found.tasks[0].samples()[0].target == "1"
    assert find_any("reading-code").name == "reading-code" and len(find_any("code").tasks) > 2
    assert [task.name for task in find_any("arithmetic").tasks] == ["arithmetic"]
    (tmp_path / "bad.yaml").write_text("name: bad\nmode: dance\nsamples: []\n", encoding="utf-8")
    with pytest.raises(TaskError, match="dance"):
        find_any(str(tmp_path / "bad.yaml"))
    with pytest.raises(TaskError, match="Did you mean code"):
        find_any("cod")

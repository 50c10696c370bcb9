"""From rows to samples: files, mappings, datasets without a mapping, seeds, shots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import TaskError
from workbench.tasks import Sample, Task, load_task, task_from_dataset


def jsonl(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sample(tmp_path: Path, row: Any, **keys: Any) -> Sample:
    return task_from_dataset(jsonl(tmp_path / "data.jsonl", row), **keys).samples()[0]


TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "Hi."},
]
KNOWN: list[tuple[dict[str, Any], str, Any]] = [
    ({"prompt": "p", "completion": "c"}, "p", "c"),
    ({"prompt": "p", "chosen": "c", "rejected": "r"}, "p", "c"),
    ({"prompt": "p", "target": 4, "completion": "c"}, "p", 4),
    ({"question": "q", "answer": "a"}, "q", "a"),
    ({"instruction": "i", "output": "o"}, "i", "o"),
    ({"instruction": "i", "input": "x", "output": "o"}, "i\n\nx", "o"),
    ({"instruction": "i", "input": "", "output": "o"}, "i", "o"),
    ({"input": "x", "output": "o"}, "x", "o"),
    ({"text": "t", "label": "l"}, "t", "l"),
    ({"document": "d", "summary": "s"}, "d", "s"),
    ({"text": "t"}, "", "t"),
    ({"question": "q", "target": "t"}, "q", "t"),
    ({"messages": TURNS}, "Be kind.\n\nHello?", "Hi."),
    ({"messages": TURNS[1:2]}, "Hello?", None),
    ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, "q", "a"),
    ({"prompt": TURNS[:2], "completion": TURNS[2:]}, "Be kind.\n\nHello?", "Hi."),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "a", None),
]


@pytest.mark.parametrize(("row", "prompt", "target"), KNOWN)
def test_rows_are_recognised(tmp_path: Path, row: Any, prompt: str, target: Any) -> None:
    found = sample(tmp_path, row)
    assert (found.prompt, found.target) == (prompt, target)


def test_several_turns_become_a_transcript(tmp_path: Path) -> None:
    turns = [*TURNS, {"role": "user", "content": "Bye."}, {"role": "assistant", "content": "Ciao."}]
    found = sample(tmp_path, {"messages": turns})
    assert found.prompt == "Be kind.\n\nUser: Hello?\n\nAssistant: Hi.\n\nUser: Bye."
    assert found.target == "Ciao."
    assert found.more["messages"] == turns[:-1]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": []},
        {"messages": [3]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "assistant", "content": "a"}]},
        {"messages": [{"role": 1, "content": "a"}]},
        {"prompt": {"a": 1}, "choices": "abc"},
        {},
        [],
        "text",
        None,
    ],
)
def test_rows_that_are_none_are_named(tmp_path: Path, row: Any) -> None:
    task = task_from_dataset(jsonl(tmp_path / "x.jsonl", {"prompt": "a", "target": "b"}, row))
    with pytest.raises(TaskError) as caught:
        task.samples()
    assert caught.value.line == 2 and caught.value.file.endswith("x.jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b'{"prompt": NaN}', "NaN is not a number"),
        (b'{"prompt": 1e999999}\n{"a":', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"prompt": "\\ud800", "target": "b"}', "surrogates"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"prompt": "\xff"}', "UTF-8"),
        (b'"' + b"x" * (5 << 20) + b'"', "longer than 4 MB"),
    ],
)
def test_hostile_lines(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"prompt": "a", "target": "b"}\n\n' + line + b"\n")
    with pytest.raises(TaskError, match=reason) as caught:
        task_from_dataset(path).samples()
    assert caught.value.line in {3, 4} or reason == "UTF-8"


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    lines = ["\ufeffquestion, answer ,choices", '"two', 'lines",B,"[""x"", ""y""]"']
    path.write_text("\n".join([*lines, 'second,y,"[""x"", ""y""]"']), encoding="utf-8")
    first, second = task_from_dataset(path, mode="choice").samples()
    assert first.prompt == "two\nlines"
    assert (first.target, second.target) == (1, 1)
    assert first.choices == ("x", "y")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a,b\n1,2\n1,2,3\n", 3, "3 cells for 2 columns"),
        ("a,a\n1,2\n", 1, "all different"),
        ("a,\n1,2\n", 1, "need names"),
        ('a,b\n1,"2\n', 2, "not CSV"),
        ("a,b\n" + "x" * 200_000 + ",1\n", 2, "not CSV"),
    ],
)
def test_csv_that_is_none(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(TaskError, match=reason) as caught:
        task_from_dataset(path, prompt="{{ a }}").samples()
    assert caught.value.line == line


def rows_of(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"Question {n}", "target": str(n)} for n in range(count)]


def test_seeds_take_others_and_always_the_same(tmp_path: Path) -> None:
    task = task_from_dataset(jsonl(tmp_path / "x.jsonl", *rows_of(40)), count=10)
    assert [one.target for one in task.samples()] == [str(n) for n in range(10)]
    one, two = task.samples(seed=1), task.samples(seed=2)
    assert one == task.samples(seed=1)
    assert len({s.id for s in one}) == 10
    assert {s.id for s in one} != {s.id for s in two}
    # pinned: another machine and another version of Python must find the same
    assert [s.target for s in one][:5] == PINNED
    assert [s.target for s in task.samples(3, seed=1)] == PINNED[:3]


PINNED = ["3", "11", "19", "17", "24"]


def test_the_first_samples_serve_as_shots_and_are_never_asked(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", *rows_of(12))
    for seed in range(4):
        task = task_from_dataset(path, shots=2)
        assert task.shots == (("Question 0", "0"), ("Question 1", "1"))
        asked = {one.target for one in task.samples(seed=seed)}
        assert asked == {str(n) for n in range(2, 12)}


def test_shots_of_choices_show_the_right_one(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["x", "y"], "answer": 1, "n": n} for n in range(3)]
    task = task_from_dataset(jsonl(tmp_path / "x.jsonl", *rows), mode="choice", shots=1)
    assert task.shots == (("q", "y"),)
    assert len(task.samples()) == 2


def test_ids_are_unique_and_stay(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": "same", "target": "x"}] * 3
    ids = [one.id for one in task_from_dataset(jsonl(tmp_path / "a.jsonl", *rows)).samples()]
    assert ids == [ids[0], f"{ids[0]}#2", f"{ids[0]}#3"]
    moved = jsonl(tmp_path / "b.jsonl", {"prompt": "first", "target": "y"}, rows[0])
    assert task_from_dataset(moved).samples()[1].id == ids[0]
    named = [{"prompt": "a", "target": "b", "id": name} for name in ("k", "k", "k#2", 7)]
    task = task_from_dataset(jsonl(tmp_path / "c.jsonl", *named))
    assert [one.id for one in task.samples()] == ["k", "k#2", "k#2#2", "7"]
    task = task_from_dataset(jsonl(tmp_path / "d.jsonl", {"prompt": "a", "id": "x" * 300}))
    with pytest.raises(TaskError, match="at most 200"):
        task.samples()


@pytest.mark.parametrize(
    ("choices", "target", "index"),
    [
        (["x", "y"], 1, 1),
        (["x", "y"], "y", 1),
        (["x", "y"], "B", 1),
        (["x", "y"], "b", 1),
        (["x", "y"], "1", 1),
        (["B", "A"], "A", 1),
        (["3", "1", "0"], 2, 2),  # a whole number is the place, whatever the choices are
        (["3", "1", "0"], "1", 1),  # a text is the choice
        ([7, 8], 8, 1),
        (["x", "y"], 2, None),
        (["x", "y"], -1, None),
        (["x", "y"], True, None),
        (["x", "y"], "z", None),
        (["x", "y"], None, None),
        (["x", "y"], "²", None),
        (["x"], 0, None),
        ("xy", 0, None),
        ([["x"], "y"], 0, None),
    ],
)
def test_which_choice_is_right(
    tmp_path: Path, choices: Any, target: Any, index: int | None
) -> None:
    row = {"prompt": "q", "choices": choices, "target": target}
    if index is None:
        with pytest.raises(TaskError):
            sample(tmp_path, row, mode="choice")
    else:
        assert sample(tmp_path, row, mode="choice").target == index


def test_choices_of_the_task(tmp_path: Path) -> None:
    found = sample(tmp_path, {"text": "t", "label": "bad"}, mode="choice", choices=["good", "bad"])
    assert (found.choices, found.target) == (("good", "bad"), 1)
    task = task_from_dataset(jsonl(tmp_path / "x.jsonl", {"text": "t"}), mode="choice")
    assert [use.name for use in task.scorers] == ["choice", "choice_normalised"]


def test_perplexity_needs_a_text(tmp_path: Path) -> None:
    assert sample(tmp_path, {"text": "t"}, mode="perplexity").target == "t"
    with pytest.raises(TaskError, match="needs a text"):
        sample(tmp_path, {"prompt": "t", "target": 4}, mode="perplexity")


def test_templates(tmp_path: Path) -> None:
    template = (
        "{% for one in choices %}{{ 'ABCD'[loop.index0] }}. {{ one | trim }}\n{% endfor %}"
        "{{ question }}{% if hint %} ({{ hint }}){% endif %}\n"
    )
    row = {"question": "q", "choices": [" x", "y "], "hint": "", "key": "v"}
    found = sample(tmp_path, row, prompt=template, target="<{{ key }}>")
    assert found.prompt == "A. x\nB. y\nq\n"  # the template's last line end is kept
    assert found.target == "<v>"
    assert (
        sample(tmp_path, {"prompt": "<b>&", "target": 1}, prompt="{{ prompt }}!").prompt == "<b>&!"
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ prompt.__class__.__mro__ }}",
        "{{ prompt['__class__'] }}",
        "{{ prompt | attr('__class__') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ range(9999999) }}",
        "{{ 'a' * 999999999 }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ prompt | center(999999999) }}",
        "{{ 9 ** 9999999 }}",
        "{% for a in rows %}{% for b in rows %}{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% macro a() %}{% endmacro %}",
        "{% set a = 1 %}",
        "{{ " + "(" * 3000,
        "{% for one in rows %}{{ long }}{% endfor %}",
        "{{ prompt + 1 }}",
        "{{ nothing }}",
    ],
)
def test_templates_reach_nothing(tmp_path: Path, template: str) -> None:
    row = {"prompt": "p", "target": "t", "rows": list(range(1000)), "long": "x" * 100_000}
    with pytest.raises(TaskError):
        sample(tmp_path, row, prompt=template)


def test_more_holds_what_scorers_need(tmp_path: Path) -> None:
    row = {"prompt": "p", "target": "t", "suffix": "s", "group": "g", "tests": ["assert f()"]}
    found = sample(tmp_path, row, mode="insert", scorer="exact")
    assert (found.suffix, found.group, found.more) == ("s", "g", {"tests": ["assert f()"]})


def test_a_dataset_takes_any_key_of_a_task(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "data.jsonl", {"question": "q", "answer": "#### 4"})
    task = task_from_dataset(
        path, scorer={"name": "numeric", "tolerance": 0.5}, name="mine", count=7, system="s"
    )
    assert (task.name, task.count, task.system) == ("mine", 7, "s")
    assert task.scorers[0].options == {"tolerance": 0.5}
    with pytest.raises(TaskError, match="Did you mean count"):
        task_from_dataset(path, coutn=7)
    with pytest.raises(TaskError, match="no such file"):
        task_from_dataset(tmp_path / "none.jsonl")
    with pytest.raises(TaskError, match="Convert"):
        task_from_dataset(tmp_path / "x.parquet")


def generated(tmp_path: Path, text: str) -> Task:
    (tmp_path / "g.yaml").write_text(text)
    return load_task(tmp_path / "g.yaml")


def test_a_generator_makes_others_for_each_seed(tmp_path: Path) -> None:
    text = "generator: {name: functions, ask: output, count: 30}\nscorers: [exact]\nshots: 2\n"
    task = generated(tmp_path, f"{text}prompt: 'Read. {{{{ prompt }}}}'")
    assert len(task.shots) == 2 and task.shots[0][0].startswith("Read. ```python")
    shown = {prompt for prompt, _ in task.shots}
    one, two = task.samples(20, seed=1), task.samples(20, seed=2)
    assert one == task.samples(20, seed=1) and one != two
    assert not {s.prompt for s in (*one, *two, *task.samples())} & shown


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("generator: {name: function}", r"line 1: There is no .* Did you mean functions"),
        ("generator: {name: functions, coutn: 1}", r"takes no 'coutn'\. Did you mean count\?"),
        ("generator: {name: functions}\ntarget: x", "line 2: A generator makes target itself"),
        ("generator: functions", "must be a mapping"),
        ("generator: {name: templates}", "cannot be called: missing a required argument: 'file'"),
    ],
)
def test_mistakes_about_generators(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        generated(tmp_path, f"{text}\nscorers: [numeric]")


def test_a_generator_that_fails_is_named(tmp_path: Path) -> None:
    task = generated(tmp_path, "generator: {name: functions, count: many}\nscorers: [exact]")
    with pytest.raises(TaskError, match=r"g\.yaml: Its generator fails: \w*Error"):
        task.samples()

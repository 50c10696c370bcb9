"""A file becomes a dataset, row by row accounted for; every form comes back as it went in."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data import examples, find, import_arguments, import_file, verify
from workbench.errors import DataError
from workbench.examples import Example, Form, recognise, to_examples
from workbench.jobs import JobCancelled, JobContext

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": TEXT}
    ),
    min_size=1,
    max_size=4,
)
ANSWER = TEXT.map(lambda text: [{"role": "assistant", "content": text}])
FORMS: dict[Form, st.SearchStrategy[dict[str, Any]]] = {
    "text": st.fixed_dictionaries({"text": TEXT}),
    "conversation": st.fixed_dictionaries({"messages": MESSAGES}),
    "completion": st.fixed_dictionaries({"prompt": TEXT, "completion": TEXT}),
    "preference": st.fixed_dictionaries({"prompt": TEXT, "chosen": TEXT, "rejected": TEXT})
    | st.fixed_dictionaries({"prompt": MESSAGES, "chosen": ANSWER, "rejected": ANSWER}),
    "gap": st.fixed_dictionaries({"prefix": st.just("") | TEXT, "middle": TEXT, "suffix": TEXT}),
}


def rows_file(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_every_form_comes_back(tmp_path: Path, form: Form, data: st.DataObject) -> None:
    rows = data.draw(st.lists(FORMS[form], min_size=1, max_size=5))
    path = rows_file(tmp_path / "rows.jsonl", *rows)
    assert recognise(path).form == form
    made = import_file("there", path)
    assert (made.form, made.report["taken"], made.report["findings"]) == (form, len(rows), [])
    back = [one.fields for one in examples(made)]
    assert back == rows
    again = import_file("again", made.path())
    assert again.digest == made.digest
    assert verify(again) == verify(made) == []


@given(rows=st.lists(FORMS["completion"], min_size=1), delimiter=st.sampled_from(",;\t"))
def test_tables_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], delimiter: str
) -> None:
    rows = [{key: text.replace("\0", "0") for key, text in row.items()} for row in rows]
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    found = list(to_examples(path))
    assert [one.fields if isinstance(one, Example) else one for one in found] == rows


SPOKEN = st.text("abcdefg ,.!?äß", min_size=1, max_size=30).filter(str.strip).map(str.strip)


@given(st.lists(st.lists(st.tuples(SPOKEN, SPOKEN), min_size=1, max_size=3), min_size=1))
def test_transcripts_come_back(
    tmp_path_factory: pytest.TempPathFactory, talks: list[list[tuple[str, str]]]
) -> None:
    path = tmp_path_factory.mktemp("talk") / "talk.txt"
    written = ["\n".join(f"User: {a}\nAssistant: {b}" for a, b in talk) for talk in talks]
    path.write_text("\n---\n".join(written), "utf-8")
    found = [[m["content"] for m in one.fields["messages"]] for one in to_examples(path)]
    assert found == [[text for pair in talk for text in pair] for talk in talks]


def test_report_accounts_for_every_row(tmp_path: Path) -> None:
    path = rows_file(tmp_path / "x.jsonl", {"q": "a", "r": "b"}, {"q": "", "r": "b"}, [1])
    with path.open("a") as file:
        file.write("{bad\n")
    made = import_file("x", path, columns={"prompt": "q", "completion": "r"})
    report = made.report
    assert (report["rows"], report["taken"], made.examples) == (4, 1, 1)
    found = {one["code"]: (one["count"], one["lines"]) for one in report["findings"]}
    assert found == {"empty": (1, [2]), "format": (2, [3, 4])}
    assert find("x").report == report


def test_recipe_makes_it_again(tmp_path: Path) -> None:
    path = rows_file(tmp_path / "x.jsonl", {"q": "a", "r": "b", "system": "s"})
    made = import_file("x", path, columns={"prompt": "q", "completion": "r", "system": "system"})
    assert made.form == "conversation"
    recipe = dict(made.recipe)
    assert recipe.pop("kind") == "import"
    assert len(recipe.pop("sha256")) == 64
    assert recipe.pop("file") == "x.jsonl"
    assert import_file("y", **recipe).digest == made.digest


def test_recognised_layouts_are_made_again_from_their_recipes(tmp_path: Path) -> None:
    said = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    user, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    rows: list[dict[str, Any]] = [
        {"conversations": said},
        {"chosen": [user, answer], "rejected": [user, answer | {"content": "c"}]},
        {"prompt": [user], "completion": [answer]},
        {"instruction": "i", "input": "x", "output": "o"},
        {"sentence": "s", "label": "l"},
    ]
    for number, row in enumerate(rows):
        made = import_file("x", rows_file(tmp_path / f"{number}.jsonl", row))
        kept = {key: made.recipe[key] for key in ("path", "columns", "form", "format")}
        assert import_file("y", **kept).digest == made.digest


def test_nothing_usable_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = rows_file(tmp_path / "x.jsonl", {"text": " "})
    with pytest.raises(DataError, match="No example is left"):
        import_file("x", path)
    with pytest.raises(DataError, match="There is no row"):
        import_file("x", rows_file(tmp_path / "empty.jsonl"))
    with pytest.raises(DataError, match="cannot name"):
        import_file("../x", path)
    assert not list((tmp_path / "home" / "datasets").glob("*"))


def test_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = rows_file(tmp_path / "x.jsonl", *[{"text": f"t{n}"} for n in range(10)])

    def change(report: object) -> None:
        rows_file(path, *[{"text": f"u{n}"} for n in range(10)])

    with pytest.raises(DataError, match="was changed"):
        import_file("x", path, context=JobContext("", tmp_path, report=change))


def test_cancelled_import_leaves_nothing(tmp_path: Path) -> None:
    import threading

    stop = threading.Event()
    context = JobContext("", tmp_path, report=lambda report: stop.set(), stop=stop)
    path = rows_file(tmp_path / "x.jsonl", *[{"text": f"t{n}"} for n in range(1500)])
    with pytest.raises(JobCancelled):
        import_file("x", path, context=context)
    assert not list((tmp_path / "home" / "datasets").glob("*"))


def test_job_is_asked_for_what_the_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_file(tmp_path / "x.jsonl", {"text": "a"})
    monkeypatch.chdir(tmp_path)
    assert import_arguments("x.jsonl")["path"] == str(tmp_path / "x.jsonl")
    with pytest.raises(DataError, match="no file"):
        import_arguments("y.jsonl")
    with pytest.raises(DataError, match="Did you mean text"):
        import_arguments("x.jsonl", columns={"text": "tex"})

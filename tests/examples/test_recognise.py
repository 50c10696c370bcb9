"""What a file is, is seen from its rows; columns are mapped by hand where it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import DataError
from workbench.examples import Example, Finding, preview, recognise, role_of, to_examples


def rows_file(folder: Path, *rows: Mapping[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def turns(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant") * len(texts)
    return [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]


HH = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: and?\n\nAssistant: "
KNOWN: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("Alpaca", "completion", {"instruction": "i", "input": "x", "output": "o"},
     {"prompt": "i\n\nx", "completion": "o"}),
    ("Alpaca", "completion", {"instruction": "i", "input": "", "output": "o"},
     {"prompt": "i", "completion": "o"}),
    ("ShareGPT", "conversation",
     {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}],
      "system": "s"},
     {"messages": [{"role": "system", "content": "s"}, *turns("a", "b")]}),
    ("OpenAI messages", "conversation",
     {"messages": [{"role": "developer", "content": "s"},
                   {"role": "user", "content": [{"type": "text", "text": "a"}]},
                   {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                   {"role": "tool", "content": "3", "tool_call_id": "1"}], "tools": [{"t": 1}]},
     {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
                   {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
                   {"role": "tool", "content": "3", "tool_call_id": "1"}]}),
    ("prompt and completion", "completion", {"prompt": "p", "completion": "c"},
     {"prompt": "p", "completion": "c"}),
    ("prompt and completion", "completion", {"Question": "p", "context": "k", "Answer": 4},
     {"prompt": "p\n\nk", "completion": "4"}),
    ("prompt and completion", "completion", {"prompt": "p", "completion": "c", "system": "s"},
     {"messages": [{"role": "system", "content": "s"}, *turns("p", "c")]}),
    ("prompt and completion in messages", "conversation",
     {"prompt": turns("p"), "completion": turns("", "c")[1:]}, {"messages": turns("p", "c")}),
    ("source and target", "completion", {"source": "p", "target": "c"},
     {"prompt": "p", "completion": "c"}),
    ("inputs and labels", "completion", {"sentence": "p", "label": 1},
     {"prompt": "p", "completion": "1"}),
    ("preference pairs", "preference",
     {"prompt": "p", "chosen": "c", "rejected": "r", "chosen_model": "m", "voter": "user"},
     {"prompt": "p", "chosen": "c", "rejected": "r"}),
    ("preference pairs", "preference",
     {"prompt": "p", "chosen": turns("p", "c"), "rejected": turns("p", "r")},
     {"prompt": turns("p"), "chosen": turns("", "c")[1:], "rejected": turns("", "r")[1:]}),
    ("preference dialogues", "preference", {"chosen": HH + "yes", "rejected": HH + "no"},
     {"prompt": turns("hi", "hello", "and?"), "chosen": turns("", "yes")[1:],
      "rejected": turns("", "no")[1:]}),
    ("fill in the middle", "gap", {"prefix": "a", "suffix": "", "middle": "b"},
     {"prefix": "a", "middle": "b", "suffix": ""}),
    ("texts", "text", {"text": "t", "label": "good", "source": "web"}, {"text": "t"}),
]  # fmt: skip


@pytest.mark.parametrize(("style", "form", "row", "fields"), KNOWN)
def test_known_layouts(
    tmp_path: Path, style: str, form: str, row: dict[str, Any], fields: dict[str, Any]
) -> None:
    path = rows_file(tmp_path, row, row)
    shape = recognise(path)
    assert (shape.style, shape.form) == (style, form)
    assert 0.75 <= shape.sure <= 1
    assert {*shape.columns.values(), *shape.left} == set(row)
    first, second = to_examples(path)
    assert isinstance(first, Example) and isinstance(second, Example)
    assert first.fields == fields
    assert (second.about["file"], second.about["line"]) == ("rows.jsonl", 2)


def test_votes_of_the_arena_are_known(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from workbench.arena import preferences
    from workbench.store import StoredVote, session

    with session() as opened:
        opened.add(StoredVote(
            at=datetime.now(UTC), voter="user", question="q", model_a="m", model_b="n",
            answer_a="worse", answer_b="better", digest_a="", digest_b="", winner="b", more={},
        ))  # fmt: skip
    assert preferences(tmp_path / "votes.jsonl") == 1
    (one,) = to_examples(tmp_path / "votes.jsonl")
    assert isinstance(one, Example)
    assert one.fields == {"prompt": "q", "chosen": "better", "rejected": "worse"}


def test_how_sure_is_the_share_of_rows(tmp_path: Path) -> None:
    good = {"messages": turns("a", "b")}
    path = rows_file(tmp_path, good, good, good, {"messages": "none"})
    assert recognise(path).sure == 0.75
    found = list(to_examples(path))
    assert [one.line for one in found if isinstance(one, Finding)] == [4]


def test_labels_and_licences_are_kept(tmp_path: Path) -> None:
    row = {"text": "t", "label": "good", "license": "MIT", "about": {"address": "a", "line": 9}}
    (one,) = to_examples(rows_file(tmp_path, row))
    assert isinstance(one, Example)
    assert one.about == {
        "address": "a", "label": "good", "licence": "MIT", "file": "rows.jsonl", "line": 1,
    }  # fmt: skip


def test_unknown_columns_are_mapped_by_hand(tmp_path: Path) -> None:
    path = rows_file(tmp_path, {"f": "was?", "a": "das", "s": "sei kurz", "n": 1})
    shape = recognise(path)
    assert (shape.form, shape.left) == (None, ("f", "a", "s", "n"))
    assert preview(path).examples == ()
    with pytest.raises(DataError, match="Columns: f, a, s, n"):
        list(to_examples(path))
    (one,) = to_examples(path, {"prompt": "f", "completion": "a"})
    assert isinstance(one, Example)
    assert (one.form, one.fields) == ("completion", {"prompt": "was?", "completion": "das"})
    (one,) = to_examples(path, {"prompt": "f", "completion": "a", "system": "s"})
    assert isinstance(one, Example)
    assert [m["role"] for m in one.fields["messages"]] == ["system", "user", "assistant"]
    seen = preview(path, {"text": "f"})
    assert seen.examples[0].fields == {"text": "was?"}
    assert seen.shape.left == ("a", "s", "n")


@pytest.mark.parametrize(
    ("columns", "form", "words"),
    [
        ({"promt": "frage", "completion": "antwort"}, None, "Did you mean prompt"),
        ({"prompt": "frag", "completion": "antwort"}, None, "Did you mean frage"),
        ({"prompt": "frage"}, None, "do not make an example"),
        ({"text": "frage", "middle": "antwort"}, None, "do not make an example"),
        ({"text": "frage"}, "completion", "do not make completion"),
        (None, "txt", "Did you mean text"),
        (None, "gap", "cannot be taken as gap"),
    ],
)
def test_wrong_mappings_are_explained(
    tmp_path: Path, columns: dict[str, str] | None, form: str | None, words: str
) -> None:
    path = rows_file(tmp_path, {"frage": "was?", "antwort": "das"})
    with pytest.raises(DataError, match=words) as caught:
        list(to_examples(path, columns, form))
    assert caught.value.file == str(path)


def test_rows_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    good = {"prompt": "p", "completion": "c"}
    bad = [
        {"prompt": " ", "completion": "c"},
        {"prompt": "p", "completion": None},
        {"prompt": "p", "completion": ["c"]},
        {"prompt": "p"},
    ]
    found = list(to_examples(rows_file(tmp_path, good, *bad, good)))
    assert [one.code for one in found if isinstance(one, Finding)] == ["empty"] + ["format"] * 3
    assert [one.line for one in found if isinstance(one, Finding)] == [2, 3, 4, 5]


def test_strangers_and_pictures_are_told(tmp_path: Path) -> None:
    strange = [{"role": "narrator", "content": "x"}]
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]
    good = {"messages": turns("a", "b")}
    found = list(
        to_examples(rows_file(tmp_path, good, {"messages": strange}, {"messages": picture}))
    )
    assert [(one.code, one.line) for one in found if isinstance(one, Finding)] == [
        ("role", 2), ("format", 3),
    ]  # fmt: skip


def test_halves_of_characters_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "\\ud83d\\ude00 \\ud800"}\n')
    (one,) = to_examples(path)
    assert isinstance(one, Example)
    assert one.fields["text"] == "😀 \ufffd"


def test_messages_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    text = json.dumps(turns("a", "b")).replace('"', '""')
    path.write_text(f'id,messages\n1,"{text}"\n')
    (one,) = to_examples(path)
    assert isinstance(one, Example)
    assert one.fields == {"messages": turns("a", "b")}


def test_roles_by_any_name() -> None:
    names = ("human", " GPT ", "Developer", "function", "narrator", None, 3)
    assert list(map(role_of, names)) == ["user", "assistant", "system", "tool", None, None, None]


def test_preview_stops_early(tmp_path: Path) -> None:
    path = rows_file(tmp_path, *[{"text": f"t{n}"} for n in range(50)])
    with path.open("a") as file:
        file.write("{bad")
    seen = preview(path, limit=3)
    assert [one.fields["text"] for one in seen.examples] == ["t0", "t1", "t2"]
    assert not seen.findings

"""Folders as people have them, and as an enemy would make them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from workbench.documents._kinds import wanted
from workbench.errors import GatherError
from workbench.gather import Ask, Document, Skipped
from workbench.gather._files import files


def found(folder: Path, **options: object) -> dict[str, Document | Skipped]:
    """What a folder gives, by relative path."""
    rows = list(files(Ask(str(folder), folder, options)))
    assert len({one.address for one in rows}) == len(rows)
    return {os.path.relpath(one.address, folder): one for one in rows}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts in two folders, and what is to be left out."""
    root = tmp_path / "texts"
    names = ["b.txt", "a/z.md", "a/b.py", "a-c.txt", ".git/config", "node_modules/x/y.js"]
    names += ["venv/lib.py", "__pycache__/x.pyc", ".hidden.txt", "a/.ipynb_checkpoints/n.txt"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def test_a_folder_in_the_order_of_its_paths(folder: Path) -> None:
    rows = found(folder)
    assert list(rows) == ["a-c.txt", "a/b.py", "a/z.md", "b.txt"]
    one = rows["a/b.py"]
    assert isinstance(one, Document) and one.address == str(folder / "a" / "b.py")
    assert one.at.endswith("+00:00") and one.text == "# a/b.py\n"


def test_a_single_file_even_a_hidden_one(folder: Path) -> None:
    (one,) = files(Ask(str(folder / ".hidden.txt"), folder))
    assert isinstance(one, Document) and one.text == "# .hidden.txt\n"


def test_patterns_kinds_and_languages(folder: Path) -> None:
    assert set(found(folder, include=["a/*"])) == {"a/b.py", "a/z.md"}
    assert set(found(folder, include="*.txt", exclude=["b.*"])) == {"a-c.txt"}
    assert set(found(folder, kinds=("markdown",))) == {"a/z.md"}
    assert set(found(folder, languages=["python"])) == {"a/b.py"}
    assert set(found(folder, languages=["rust"])) == set()
    assert wanted("docs/deep/x.md", ("docs/*",), ()) and not wanted("x.md", (), ("*.md",))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"includes": []}, "Did you mean include"), ({"kinds": ["video"]}, "no kind 'video'"),
     ({"max_bytes": "5"}, "a number"), ({"max_bytes": 0}, "above 0"), ({"include": 5}, "list"),
     ({"include": [5]}, "list"), ({"max_bytes": True}, "a number")],
)  # fmt: skip
def test_options_that_make_no_sense(folder: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(GatherError, match=words):
        found(folder, **options)


def test_nothing_to_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GatherError, match="no file or folder"):
        found(tmp_path / "nowhere")
    with pytest.raises(GatherError, match="holds no files"):
        found(folder, include=["*.rs"])


def test_links_are_never_followed(folder: Path) -> None:
    outside = folder.parent / "secret.txt"
    outside.write_text("secret")
    (folder / "out.txt").symlink_to(outside)
    (folder / "up").symlink_to(folder.parent)
    (folder / "loop").symlink_to(folder)
    (folder / "round").symlink_to(folder / "round")
    (folder / "again.txt").symlink_to(folder / "b.txt")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    rows = found(folder)
    reasons = {name: one.reason for name, one in rows.items() if isinstance(one, Skipped)}
    assert set(reasons) == {"out.txt", "up", "loop", "round", "again.txt", "gone.txt"}
    assert "out of the folder" in reasons["out.txt"] and "out of the folder" in reasons["up"]
    assert "within this folder" in reasons["loop"] and "within" in reasons["again.txt"]
    assert "circle" in reasons["round"] and "nothing" in reasons["gone.txt"]
    assert not [one for one in rows.values() if isinstance(one, Document) and "secret" in one.text]


def test_pipes_and_sockets_do_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(folder / "socket.txt"))
        rows = found(folder)
    for name in ("pipe.txt", "socket.txt"):
        assert "no regular file" in getattr(rows[name], "reason", "")
    assert len(rows) == 6


def test_names_that_are_no_utf8_or_have_line_ends(folder: Path) -> None:
    for name in (b"caf\xe9.txt", b"two\nlines.txt", "ünï 😀.txt".encode()):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(b"words")
    rows = found(folder)
    assert {"caf\ufffd.txt", "two\nlines.txt", "ünï 😀.txt"} <= set(rows)
    for name in rows:
        name.encode()


def test_a_file_that_vanishes_or_turns_into_a_pipe(folder: Path) -> None:
    rows = files(Ask(str(folder), folder))
    assert next(rows).address.endswith("a-c.txt")
    (folder / "b.txt").unlink()
    (folder / "a" / "b.py").unlink()
    os.mkfifo(folder / "a" / "b.py")
    rest = {Path(one.address).name: one for one in rows}
    assert isinstance(rest["b.py"], Skipped)
    assert "b.txt" not in rest or isinstance(rest["b.txt"], Skipped)
    assert isinstance(rest["z.md"], Document)


def test_the_licence_at_the_root_is_noted(folder: Path) -> None:
    (folder / "LICENSE.txt").write_text("Apache License\nVersion 2.0, January 2004\n")
    asked = Ask(str(folder), folder)
    rows = [one for one in files(asked) if isinstance(one, Document)]
    assert asked.facts["licence"] == "Apache-2.0"
    assert {one.licence for one in rows} == {"Apache-2.0"}


def test_what_is_known_is_not_read_again(folder: Path) -> None:
    known = {str(folder / "b.txt"), str(folder / "a" / "z.md")}
    rows = files(Ask(str(folder), folder, known=known.__contains__))
    assert {Path(one.address).name for one in rows} == {"a-c.txt", "b.py"}


def test_progress_never_goes_back(folder: Path) -> None:
    (folder / "long.txt").write_text("some words of a line\n\n" * 200_000)
    (folder / "rows.csv").write_text("text\n" + "a row with words\n" * 5000)
    told: list[float] = []

    def tell(fraction: float | None, words: str) -> None:
        if fraction is not None:
            told.append(fraction)

    list(files(Ask(str(folder), folder, tell=tell)))
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 1
    assert len(told) > 12


def test_deep_folders(folder: Path) -> None:
    here = Path.cwd()
    try:  # deeper than a path may be long
        os.chdir(folder)
        for _ in range(90):
            Path("d" * 50).mkdir(exist_ok=True)
            os.chdir("d" * 50)
        Path("low.txt").write_text("low")
    finally:
        os.chdir(here)
    rows = found(folder)
    assert isinstance(rows["b.txt"], Document)
    assert [one for one in rows.values() if isinstance(one, Skipped)]


def test_the_installed_python_is_read(tmp_path: Path) -> None:
    room = Path(os.__file__).parent / "json"
    rows = found(room)
    text = rows["decoder.py"]
    assert isinstance(text, Document) and text.language == "python"
    assert text.text == (room / "decoder.py").read_text("utf-8")

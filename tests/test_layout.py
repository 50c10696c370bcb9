"""The map is true: the README's tree, the rooms' borders and sizes, the installed names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "workbench"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)


def documented_tree() -> set[str]:
    """Paths named in the README's tree, relative to the root."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- tree -->\n```\n(.*?)```", text, re.S)
    assert block, "README.md has no tree"
    paths: set[str] = set()
    parents: list[str] = []
    for line in block.group(1).splitlines():
        match = re.match(r"( *)(\S+)", line)
        if not match:
            continue
        depth = len(match.group(1)) // 2
        parents = [*parents[:depth], match.group(2)]
        paths.add("".join(parents))
    return paths


def test_readme_tree_is_the_disk() -> None:
    documented = documented_tree()
    for path in documented:
        assert (ROOT / path).exists(), f"README names {path}, which does not exist"
    rooms = {f"workbench/{name}/" for name in ROOMS}
    modules = {f"workbench/{path.name}" for path in PACKAGE.glob("*.py")}
    notebooks = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert rooms | modules | notebooks <= documented


@pytest.mark.parametrize("room", ROOMS)
def test_room_names_all_that_it_offers(room: str) -> None:
    module = import_module(f"workbench.{room}")
    assert module.__doc__, f"{room} does not say what it is for"
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    public = {name for name in imported if not name.startswith("_")}
    assert public <= set(module.__all__), "imported but not in __all__"
    for name in module.__all__:
        assert getattr(module, name, None) is not None, f"{room}.{name} cannot be had"


def test_rooms_are_entered_by_the_door() -> None:
    """A room's private files are imported by itself only."""
    for path in SOURCES:
        room = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench."):
                parts = (node.module or "").split(".")[1:]
                if parts[0] != room:
                    private = [part for part in parts[1:] if part.startswith("_")]
                    assert not private, f"{path.relative_to(ROOT)} imports {node.module}"


def function_lengths(tree: ast.AST) -> list[tuple[int, str]]:
    return [
        ((node.end_lineno or 0) - node.lineno + 1, node.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file_is_small_and_explains_itself(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 300
    long = [(length, name) for length, name in function_lengths(tree) if length > 50]
    assert not long
    assert ast.get_docstring(tree) or path.name == "__main__.py", "no docstring"


def code_lines(path: Path) -> int:
    """Lines with code on them: blank lines, comments and docstrings do not count.

    A budget of lines is meant against too much machinery; counted whole it would reward
    leaving out the reasons.
    """
    text = path.read_text(encoding="utf-8")
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        named = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, named) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def test_rooms_stay_small() -> None:
    lines = {
        room: sum(code_lines(path) for path in (PACKAGE / room).rglob("*.py")) for room in ROOMS
    }
    # the command line and the panels have small files per room and grow with their number
    budget = {"embedded": 2700, "cli": 4650, "panels": 6800}
    over = {room: count for room, count in lines.items() if count > budget.get(room, 1500)}
    assert not over
    # what stands, with little air: the next issue has to argue for what it adds
    assert sum(lines.values()) <= 64_500


def requirements(lines: list[str]) -> dict[str, str]:
    """Name to version bounds, without extras and space."""
    found = {}
    for line in lines:
        match = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?\s*(.*)", line)
        assert match, line
        found[match.group(1).lower()] = match.group(2).replace(" ", "")
    return found


def test_conda_environment_is_in_step() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = requirements(
        [*project["dependencies"], *project["optional-dependencies"]["dev"]],
    )
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = [entry for entry in listed if isinstance(entry, str)]
    assert f"python{project['requires-python']}" in conda
    entries = [line for line in [*conda, *pip] if not re.match("python[<>=]|pip$|-", line)]
    assert requirements([line.replace("pytorch", "torch") for line in entries]) == wanted


def test_constraints_hold_exact_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    for pin in pins:
        assert re.fullmatch(r"[\w.\-]+==[\w.!+]+", pin), pin

"""What a file is by its name: its kind, and the language of code; which files are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from workbench.documents._records import Kind

_KINDS: dict[Kind, str] = {
    "text": "txt text rst log tex adoc asc org",
    "markdown": "md markdown mdx qmd rmd",
    "page": "html htm xhtml",
    "pdf": "pdf",
    "docx": "docx",
    "table": "csv tsv jsonl ndjson json",
    "notebook": "ipynb",
}
_LANGUAGES = {
    "python": "py pyi pyx", "c": "c h", "cpp": "cc cpp cxx hpp hh hxx cu", "csharp": "cs",
    "java": "java", "javascript": "js mjs cjs jsx", "typescript": "ts tsx mts", "go": "go",
    "rust": "rs", "ruby": "rb", "php": "php", "perl": "pl pm", "swift": "swift", "r": "r",
    "kotlin": "kt kts", "scala": "scala", "haskell": "hs", "ocaml": "ml mli", "lua": "lua",
    "julia": "jl", "dart": "dart", "elixir": "ex exs", "erlang": "erl hrl", "clojure": "clj cljs",
    "fortran": "f f90 f95 f03", "shell": "sh bash zsh", "powershell": "ps1", "sql": "sql",
    "css": "css scss less", "vue": "vue", "svelte": "svelte", "zig": "zig", "nim": "nim",
    "lisp": "el lisp scm rkt", "assembly": "s asm", "yaml": "yaml yml", "toml": "toml",
    "xml": "xml xsd xsl", "protobuf": "proto", "cmake": "cmake", "ini": "ini cfg",
}  # fmt: skip
_NAMES = {"makefile": "make", "dockerfile": "docker", "gnumakefile": "make"}
_ADVICE = {
    "is an archive: unpack it first": "zip gz tgz tar bz2 xz zst 7z rar jar whl",
    "is a table that is not read: save it as .csv": "xls xlsx ods numbers parquet",
    "is an office file that is not read: save it as .docx or .pdf": "doc odt rtf ppt pptx odp",
    "is an e-book, which is not read: convert it to .html or .txt": "epub mobi azw3",
    "is a transcript: gather it with the source transcript": "vtt srt",
}
_BY_SUFFIX = {end: kind for kind, ends in _KINDS.items() for end in ends.split()}
_CODE = {end: language for language, ends in _LANGUAGES.items() for end in ends.split()}
_REFUSED = {end: words for words, ends in _ADVICE.items() for end in ends.split()}
_FOLDERS = {"node_modules", "__pycache__", "venv", "env", "site-packages"}


def kind_of(name: str) -> tuple[Kind | None, str]:
    """Kind and language; no kind where the name says nothing."""
    path = PurePosixPath(name.lower())
    end = path.suffix.removeprefix(".")
    language = _CODE.get(end) or _NAMES.get(path.name)
    return ("code", language) if language else (_BY_SUFFIX.get(end), "")


def refused(name: str) -> str:
    """Why a file of this name is not read; "" where it may be."""
    return _REFUSED.get(PurePosixPath(name.lower()).suffix.removeprefix("."), "")


def left_out(folder: str) -> bool:
    """Whether a folder is none of the author's texts: hidden, a library's, a cache."""
    return folder.startswith(".") or folder in _FOLDERS


def wanted(path: str, include: Iterable[str], exclude: Iterable[str]) -> bool:
    """Whether patterns let a relative path through; each is held against path and name alike.

    A `*` also stands for `/`, so `docs/*` means all that is below docs.
    """
    name = path.rpartition("/")[2]

    def matches(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(path, one) or fnmatchcase(name, one) for one in patterns)

    include = tuple(include)
    return (not include or matches(include)) and not matches(exclude)

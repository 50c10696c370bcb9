"""Which domains there are: those that ship, and the user's in `<home>/domains/`.

A file is a whole Modelfile; what else is to be known stands in the comments at its beginning:

    # title: Taxes
    # about: What it is for, and what it is not.
    # suite: finance
    # ask: A question to try it with (as many lines as you like).

A file of the user's with the name of one that ships takes its place until it is removed. One that
cannot be read hides no other; `problems` tells of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workbench.domains._files import LONGEST, decoded, read_text, write_text
from workbench.errors import ModelfileError
from workbench.protocol import Modelfile, parse_modelfile
from workbench.settings import home
from workbench.texts import nearest

_SHIPPED = Path(__file__).parent / "data"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_PREFIX = "Modelfile."
_COMMENT = re.compile(r"#\s*(title|about|suite|ask)\s*:\s*(.*\S)\s*", re.IGNORECASE)
_LONGEST_LINE = 2000
_MOST_ASKS = 20


@dataclass(frozen=True, slots=True)
class Domain:
    """What an assistant is for, and the Modelfile that makes a model one."""

    name: str
    title: str
    about: str
    suite: str  # that measures it; "" for none
    asks: tuple[str, ...]  # example messages
    modelfile: str  # the text
    path: Path | None = None  # None: not from a file
    own: bool = False  # the user's, not one that ships

    @property
    def parsed(self) -> Modelfile:
        """What the Modelfile says. Raises ModelfileError."""
        return parse_modelfile(self.modelfile)


def domains() -> list[Domain]:
    """All domains that can be read, in the order of their names."""
    return [one for one in _all().values() if isinstance(one, Domain)]


def problems() -> list[str]:
    """A sentence for each file that cannot be read as a domain."""
    return [str(one) for one in _all().values() if isinstance(one, ModelfileError)]


def find(name: str) -> Domain:
    """The domain of this name. Raises ModelfileError, with near names or with its file's fault."""
    known = _all()
    found = known.get(name)
    if isinstance(found, ModelfileError):
        raise found
    if found is None:
        raise ModelfileError(f"There is no domain {str(name)[:60]!r}.{nearest(name, known)}")
    return found


def read(path: Path | str, name: str = "") -> Domain:
    """The domain in a file called `Modelfile.<domain>`; of another file one called `name`, or a
    nameless one. Raises ModelfileError with the file and the line.
    """
    path = Path(path).expanduser().absolute()
    name = name or (path.name.removeprefix(_PREFIX) if path.name.startswith(_PREFIX) else "")
    return _domain(_checked(name) if name else "", read_text(path), path, own=True)


def add(source: Path | str, name: str = "", *, replace: bool = False) -> Domain:
    """Keep a Modelfile (its path, or its text and a name) as a domain of the user's.

    Raises ModelfileError: a bad name, one that the user has already (unless `replace`), a text
    that is no whole Modelfile.
    """
    if isinstance(source, Path):
        given = read(source, name)
        _checked(given.name)
    else:
        if len(source) > LONGEST:
            raise ModelfileError(
                f"A Modelfile of more than {LONGEST >> 10} kB is not kept: shorten it."
            )
        text = decoded(source.encode("utf-8", "replace"), "The text")
        given = _domain(_checked(name), text, None, own=True)
    path = _folder() / f"{_PREFIX}{given.name}"
    if path.exists() and not replace:
        raise ModelfileError(
            f"There is a domain {given.name} of yours already. Give another name, or allow to "
            "replace it (replace=True)."
        )
    write_text(path, given.modelfile)
    return find(given.name)


def remove(name: str) -> None:
    """Delete a domain of the user's; models that were built of it stay. Raises ModelfileError."""
    path = _folder() / f"{_PREFIX}{_checked(name)}"
    if not path.is_file() and not path.is_symlink():
        known = find(name)
        raise ModelfileError(
            f"{known.name} ships with the workbench and stays. One of yours with this name "
            "takes its place."
        )
    path.unlink(missing_ok=True)


def _all() -> dict[str, Domain | ModelfileError]:
    found: dict[str, Domain | ModelfileError] = {}
    for folder, own in ((_SHIPPED, False), (_folder(), True)):
        for path in sorted(folder.glob(f"{_PREFIX}*")) if folder.is_dir() else ():
            name = path.name.removeprefix(_PREFIX)
            try:
                if path.is_symlink():
                    raise ModelfileError(f"{path} is a link, which is not followed. Copy the file.")
                found[name] = _domain(_checked(name), read_text(path), path, own=own)
            except ModelfileError as error:
                found[name] = error
    return dict(sorted(found.items()))


def _folder() -> Path:
    return home() / "domains"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelfileError(
            f"{name[:60]!r} cannot name a domain. Use up to 32 small letters, digits, '_' and '-', "
            "as in Modelfile.taxes."
        )
    return name


def comments(text: str) -> list[str]:
    """The comments at the beginning of a Modelfile, a line each."""
    found = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        found += [line.strip()] * bool(line.strip())
    return found


def _domain(name: str, text: str, path: Path | None, *, own: bool) -> Domain:
    try:
        parse_modelfile(text)
    except ModelfileError as error:
        where = str(path) if path else f"The Modelfile of {name}"
        raise ModelfileError(f"{where} {error}") from None
    said: dict[str, list[str]] = {}
    for line in comments(text):
        match = _COMMENT.fullmatch(line[:_LONGEST_LINE])
        if match:
            said.setdefault(match[1].lower(), []).append(match[2])
    first = {key: values[0] for key, values in said.items()}
    return Domain(
        name, first.get("title", name.capitalize()), first.get("about", ""),
        first.get("suite", ""), tuple(said.get("ask", ())[:_MOST_ASKS]), text, path, own,
    )  # fmt: skip

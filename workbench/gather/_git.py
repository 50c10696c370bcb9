"""A Git repository as it is at one commit.

A remote one is fetched without its history into a bare repository of ours; of one on this machine
the objects are read where they are. There is never a work tree, so nothing of a repository can be
run: no hook, no filter, no link; submodules are left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from workbench.documents import (
    LICENCE_BYTES,
    MAX_BYTES,
    Ask,
    Document,
    Extractor,
    Item,
    Skipped,
    Unreadable,
    chosen,
    decode,
    is_licence,
    left_out,
    licence_of,
    wanted,
)
from workbench.errors import GatherError
from workbench.gather._files import check_kinds
from workbench.gather._gitprogram import Blobs, run, transfer

_SCP = re.compile(r"([\w.-]+@)?[\w.-]+:[^/].*|[\w.-]+@[\w.-]+:.*")
_MODES = {
    "120000": "is a link: links are not followed",
    "160000": "is a submodule: gather it by its own address",
}


def git(ask: Ask) -> Iterator[Document | Skipped]:
    """The texts of a repository, by an address that Git knows or a path of this machine.

    Options: `ref` (branch, tag or full commit; else HEAD), `languages`, `kinds`, `include`,
    `exclude`, `max_bytes` of a file, `max_size` of what is fetched (2 GB), `max_seconds` (3,600),
    `allow_private` (addresses of one's own network, and redirects). Addresses of documents are
    `<address>@<commit>:<path>`. Raises GatherError where the repository cannot be had.
    """
    options = chosen(
        ask, ref="", languages=(), kinds=(), include=(), exclude=(), allow_private=False,
        max_bytes=MAX_BYTES, max_size=2 << 30, max_seconds=3600,
    )  # fmt: skip
    check_kinds(options.kinds)
    if options.ref.startswith("-") or re.search(r"[\s:^~?*\[\\\x00-\x1f]|\.\.", options.ref):
        raise GatherError(f"{options.ref!r} is no branch, tag or commit.")
    local = check_git_address(ask.address, allow_private=options.allow_private)
    marker = ask.folder / "reading.json"
    repository, commit = _resumed(ask, marker, local)
    if not commit:
        repository, commit = _obtain(ask, local, options)
        marker.write_text(json.dumps({"options": _text(ask), "commit": commit}), "utf-8")
    ask.facts.update(commit=commit, ref=options.ref or "HEAD")
    with Blobs(repository) as blobs:
        listing = ask.folder / "tree"
        run(["ls-tree", "-r", "-l", "-z", "--full-tree", commit], repository, into=listing)
        total = sum(size for _, _, size, _ in _entries(listing))
        licence = ask.facts["licence"] = _licence(listing, blobs)
        with Extractor(
            ask, total, kinds=options.kinds, languages=options.languages,
            max_bytes=options.max_bytes, licence=licence,
        ) as extractor:  # fmt: skip
            for mode, name, size, path in _entries(listing):
                if not wanted(path, options.include, options.exclude):
                    continue
                address = f"{ask.address}@{commit[:12]}:{path}"
                if mode in _MODES:
                    yield Skipped(address, f"{path} {_MODES[mode]}.")
                elif size > options.max_bytes:
                    words = "is larger than `max_bytes` allows"
                    yield Skipped(address, f"{path} ({size / 2**20:,.0f} MB) {words}.")
                else:
                    item = Item(address, path, size, partial(blobs.open, name))
                    yield from extractor.documents(item)
    marker.unlink(missing_ok=True)


def check_git_address(address: str, *, allow_private: bool = False) -> Path | None:
    """The folder where the repository is on this machine, None where it is elsewhere.

    Raises GatherError for what is no address of a repository, or one that is not to be asked.
    """
    if address.startswith("-") or "::" in address.partition("/")[0]:
        raise GatherError(
            f"{address[:80]!r} is refused: it could make Git run a program. Give an address that "
            "begins with https://, http://, ssh:// or git://, or a folder."
        )
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "file" or os.path.exists(address):  # noqa: PTH110 (a name may be too long)
        path = Path(parts.path if parts.scheme == "file" else address)
        if not path.is_dir():
            raise GatherError(f"There is no repository {path}.")
        return path.absolute()
    if parts.scheme in {"http", "https", "git"} and parts.hostname:
        from workbench.addresses import check_address

        web = address.replace("git:", "http:", 1) if parts.scheme == "git" else address
        check_address(web, allow_private=allow_private)
    elif not (parts.scheme == "ssh" and parts.hostname) and not _SCP.fullmatch(address):
        raise GatherError(
            f"{address[:80]!r} is no repository: there is no such folder, and it does not begin "
            "with https://, http://, ssh:// or git://."
        )
    return None


def _text(ask: Ask) -> str:
    return json.dumps(dict(ask.options), sort_keys=True, default=str)


def _resumed(ask: Ask, marker: Path, local: Path | None) -> tuple[Path, str]:
    """The commit that an interrupted job with the same options was reading."""
    repository = local or ask.folder / "repository"
    try:
        known = json.loads(marker.read_text("utf-8"))
        commit = str(known["commit"]) if known["options"] == _text(ask) else ""
        if commit:
            run(["cat-file", "-e", f"{commit}^{{tree}}"], repository)
        return repository, commit
    except (OSError, ValueError, KeyError, TypeError, GatherError):
        return repository, ""


def _obtain(ask: Ask, local: Path | None, options: SimpleNamespace) -> tuple[Path, str]:
    """Where the objects are, and the commit's whole name."""
    ref = options.ref or "HEAD"
    if local is not None:
        return local, _commit(local, ref, ask.address)
    repository = ask.folder / "repository"
    if not (repository / "HEAD").exists():
        run(["init", "--bare", "--quiet", "--template=", str(repository)], ask.folder)
    for left in (*repository.glob("*.lock"), *repository.glob("objects/pack/tmp_*")):
        left.unlink()  # of a fetch that was killed
    transfer(ask, repository, ref, options)
    return repository, _commit(repository, "FETCH_HEAD", ask.address)


def _commit(repository: Path, ref: str, address: str) -> str:
    try:
        return run(["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"], repository).strip()
    except GatherError as error:
        if "dubious ownership" in str(error):
            raise GatherError(
                f"{address} belongs to another user, and Git refuses it. If you trust it: "
                f"git config --global --add safe.directory {repository}"
            ) from None
        raise GatherError(
            f"{address} is no Git repository, or has no commit {ref!r}. Name a branch, a tag or a "
            "whole commit as `ref`, or gather the folder with the source files."
        ) from None


def _entries(listing: Path) -> Iterator[tuple[str, str, int, str]]:
    """Mode, object, bytes and path of each file; hidden and libraries' folders are left out."""
    with listing.open("rb") as file:
        rest = b""
        while block := file.read(1 << 16):
            *whole, rest = (rest + block).split(b"\0")
            for entry in whole:
                facts, _, path = entry.partition(b"\t")
                mode, _, name, size = facts.decode("ascii").split()
                text = path.decode("utf-8", "replace")
                *folders, last = text.split("/")
                if not last.startswith(".") and not any(map(left_out, folders)):
                    # of an object that is missing, git writes "BAD" for its size
                    yield mode, name, int(size) if size.isdigit() else 1, text


def _licence(listing: Path, blobs: Blobs) -> str:
    for mode, name, size, path in _entries(listing):
        if "/" not in path and is_licence(path) and mode.startswith("100"):
            try:
                if size <= LICENCE_BYTES:
                    return licence_of(decode(blobs.open(name).read())[0], path)
            except Unreadable:
                continue
    return ""

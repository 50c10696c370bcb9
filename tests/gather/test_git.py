"""Repositories made here, read from their folder and over a real Git server on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from workbench.errors import GatherError
from workbench.gather import Ask, Document, Skipped, documents, find_collection, gather
from workbench.gather._git import check_git_address, git
from workbench.jobs import JobCancelled


def call(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody."""
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, a branch, a tag, a link, a submodule, a licence, things to leave out."""
    folder = tmp_path / "repository"
    folder.mkdir()
    call(folder, "init", "-q", "-b", "main")
    (folder / "LICENSE").write_text("MIT License\n\nPermission is hereby granted, free of charge, "
                                    "to any person obtaining a copy")  # fmt: skip
    (folder / "a.py").write_text("print('old')\n")
    call(folder, "add", ".")
    call(folder, "commit", "-qm", "one")
    call(folder, "tag", "v1")
    call(folder, "branch", "other")
    (folder / "a.py").write_text("print('new')\n")
    (folder / "docs").mkdir()
    (folder / "docs" / "guide.md").write_text("# Guide\n\nWords.\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "lib.js").write_text("x\n")
    (folder / ".hidden").write_text("x\n")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "name with\ttab ü.txt").write_text("Odd name.\n")
    call(folder, "add", ".")
    commit = call(folder, "rev-parse", "HEAD")
    call(folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    call(folder, "commit", "-qm", "two")
    (folder / "a.py").write_text("print('not committed')\n")
    return folder


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "scratch"
    folder.mkdir()
    yield folder


def found(address: object, scratch: Path, **options: object) -> dict[str, Document | Skipped]:
    """What a repository gives, by the path behind the commit."""
    asked = Ask(str(address), scratch, options)
    return {one.address.partition("@")[2].partition(":")[2]: one for one in git(asked)}


class Server(BaseHTTPRequestHandler):
    """Git's own program behind Python's server; /moved redirects, /login asks, /slow waits."""

    root = Path()
    waits = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/moved/"):
            self._answer(301, Location=self.path.replace("/moved/", "/"))
        elif self.path.startswith("/login/"):
            self._answer(401, **{"WWW-Authenticate": 'Basic realm="x"'})
        elif self.path.startswith("/slow/"):
            self.waits.wait(30)
        else:
            self._git()

    do_POST = do_GET

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _git(self) -> None:
        path, _, query = self.path.partition("?")
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = {
            "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "PATH": os.environ["PATH"],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_ADDR": "127.0.0.1",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=data, env=given, capture_output=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


@pytest.fixture
def site(repository: Path) -> Iterator[str]:
    """The repository's parent behind HTTP; the address without the path."""
    waits = threading.Event()
    handler = type("Handler", (Server,), {"root": repository.parent, "waits": waits})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        waits.set()
        server.shutdown()
        thread.join()


# ---- of this machine


def test_a_folder_is_read_from_its_objects(repository: Path, ask: Path) -> None:
    asked = Ask(str(repository), ask)
    rows = list(git(asked))
    commit = call(repository, "rev-parse", "HEAD")
    assert rows[0].address == f"{repository}@{commit[:12]}:LICENSE"
    by_path = {one.address.partition(":")[2]: one for one in rows}
    assert set(by_path) == {
        "LICENSE", "a.py", "docs/guide.md", "name with\ttab ü.txt", "out", "picture.png", "sub",
    }  # fmt: skip
    code = by_path["a.py"]
    assert isinstance(code, Document)
    assert (code.text, code.language, code.licence) == ("print('new')\n", "python", "MIT")
    assert "link" in getattr(by_path["out"], "reason", "")
    assert "submodule" in getattr(by_path["sub"], "reason", "")
    assert "binary" in getattr(by_path["picture.png"], "reason", "")
    assert asked.facts == {"commit": commit, "ref": "HEAD", "licence": "MIT"}


@pytest.mark.parametrize("ref", ["v1", "other", "the commit"])
def test_a_branch_a_tag_a_commit(repository: Path, ask: Path, ref: str) -> None:
    ref = call(repository, "rev-parse", "v1") if ref == "the commit" else ref
    code = found(repository, ask, ref=ref)["a.py"]
    assert isinstance(code, Document) and code.text == "print('old')\n"


def test_languages_and_patterns(repository: Path, ask: Path) -> None:
    assert set(found(repository, ask, languages=["python"])) == {"a.py", "out", "sub"}
    assert set(found(repository, ask, include=["docs/*"])) == {"docs/guide.md"}
    kinds = found(repository, ask, kinds=["markdown"], exclude=["out", "sub"])
    assert set(kinds) == {"docs/guide.md"}


def test_bare_repositories_and_addresses_with_file(repository: Path, ask: Path) -> None:
    bare = repository.parent / "bare.git"
    call(repository.parent, "clone", "-q", "--bare", str(repository), str(bare))
    assert set(found(bare, ask)) == set(found(f"file://{bare}", ask)) == set(found(repository, ask))


def test_a_large_file_is_skipped_before_it_is_read(repository: Path, ask: Path) -> None:
    one = found(repository, ask, max_bytes=10)["a.py"]
    assert isinstance(one, Skipped) and "`max_bytes`" in one.reason


def test_a_damaged_object_costs_one_file(repository: Path, ask: Path) -> None:
    name = call(repository, "rev-parse", "HEAD:docs/guide.md")
    path = repository / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    gone = call(repository, "rev-parse", "HEAD:LICENSE")
    (repository / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    rows = found(repository, ask)
    for path_ in ("docs/guide.md", "LICENSE"):
        assert "missing or damaged" in getattr(rows[path_], "reason", ""), rows[path_]
    assert isinstance(rows["a.py"], Document) and len(rows) == 7


def test_nothing_of_a_repository_is_run(repository: Path, ask: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for key in (
        "core.fsmonitor", "core.sshCommand", "filter.x.smudge", "filter.x.clean", "core.pager",
        "diff.x.textconv", "credential.helper", "uploadpack.packObjectsHook", "core.gitProxy",
    ):  # fmt: skip
        call(repository, "config", key, str(trap))
    call(repository, "config", "extensions.partialClone", "origin")
    call(repository, "config", "remote.origin.url", f"ext::{trap}")
    call(repository, "config", "remote.origin.promisor", "true")
    (repository / ".gitattributes").write_text("* filter=x diff=x\n")
    for hook in ("post-checkout", "pre-commit", "reference-transaction"):
        shutil.copy(trap, repository / ".git" / "hooks" / hook)
    gone = call(repository, "rev-parse", "HEAD:LICENSE")
    (repository / ".git" / "objects" / gone[:2] / gone[2:]).unlink()  # would be fetched lazily
    rows = found(repository, ask)
    assert isinstance(rows["a.py"], Document) and isinstance(rows["LICENSE"], Skipped)
    assert not (tmp_path / "sprung").exists()


def test_a_folder_inside_a_repository_is_none(repository: Path, ask: Path) -> None:
    with pytest.raises(GatherError, match="is no Git repository"):
        found(repository / "docs", ask)


def test_an_empty_repository_and_an_unknown_ref(repository: Path, ask: Path) -> None:
    empty = repository.parent / "empty"
    empty.mkdir()
    call(empty, "init", "-q")
    with pytest.raises(GatherError, match="has no commit 'HEAD'"):
        found(empty, ask)
    with pytest.raises(GatherError, match="Name a branch"):
        found(repository, ask, ref="nowhere")


# ---- over the network


def test_fetched_over_http(repository: Path, site: str, ask: Path) -> None:
    address = f"{site}/repository/.git"
    rows = found(address, ask, allow_private=True)
    code = rows["a.py"]
    assert isinstance(code, Document) and code.text == "print('new')\n"
    assert set(rows) == set(found(repository, ask))
    assert call(ask / "repository", "rev-list", "--count", "FETCH_HEAD") == "1"  # no history
    old = found(address, ask, allow_private=True, ref="v1")["a.py"]
    assert isinstance(old, Document) and old.text == "print('old')\n"


def test_fetched_again_it_has_what_is_new(repository: Path, site: str, ask: Path) -> None:
    address = f"{site}/repository/.git"
    found(address, ask, allow_private=True)
    call(repository, "commit", "-qam", "three")
    (ask / "repository" / "shallow.lock").touch()  # as a kill may leave it
    code = found(address, ask, allow_private=True)["a.py"]
    assert isinstance(code, Document) and code.text == "print('not committed')\n"


def test_an_interrupted_reading_keeps_its_commit(repository: Path, site: str, ask: Path) -> None:
    asked = Ask(f"{site}/repository/.git", ask, {"allow_private": True})
    rows = git(asked)
    first = next(rows)
    rows.close()  # as a job that is killed
    call(repository, "commit", "-qam", "three")
    again = list(git(asked))
    assert again[0].address == first.address
    assert "print('new')\n" in [one.text for one in again if isinstance(one, Document)]
    later = [one.text for one in git(asked) if isinstance(one, Document)]
    assert "print('not committed')\n" in later


def test_what_cannot_be_fetched(site: str, ask: Path) -> None:
    for path, words in (
        ("/nowhere/.git", "cannot be fetched"),
        ("/login/repository/.git", "needs a login"),
    ):
        with pytest.raises(GatherError, match=words):
            found(f"{site}{path}", ask, allow_private=True)
    with pytest.raises(GatherError, match="Name a branch, a tag"):
        found(f"{site}/repository/.git", ask, allow_private=True, ref="nowhere")


def test_redirects_are_followed_only_where_private_is_allowed(
    site: str, ask: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = f"{site}/moved/repository/.git"
    assert "a.py" in found(moved, ask, allow_private=True)
    monkeypatch.setattr("workbench.addresses.check_address", lambda *_a, **_k: None)
    monkeypatch.setattr("workbench.addresses.public_addresses", lambda *_a, **_k: ["127.0.0.1"])
    with pytest.raises(GatherError, match="has moved"):
        found(moved, ask)


def test_limits_of_size_and_time(repository: Path, site: str, ask: Path) -> None:
    (repository / "big.bin").write_bytes(os.urandom(3 << 20))
    call(repository, "add", "big.bin")
    call(repository, "commit", "-qm", "big")
    with pytest.raises(GatherError, match="larger than 0 MB"):
        found(f"{site}/repository/.git", ask, allow_private=True, max_size=1)
    with pytest.raises(GatherError, match="after 1 seconds"):
        found(f"{site}/slow/repository/.git", ask, allow_private=True, max_seconds=1)


def test_cancelled_git_is_ended(site: str, ask: Path) -> None:
    def tell(fraction: float | None, words: str) -> None:
        assert [child.name() for child in psutil.Process().children(recursive=True)]
        raise JobCancelled

    asked = Ask(f"{site}/slow/repository/.git", ask, {"allow_private": True}, tell=tell)
    with pytest.raises(JobCancelled):
        list(git(asked))
    names = [child.name() for child in psutil.Process().children(recursive=True)]
    assert not [name for name in names if "git" in name]


# ---- addresses


@pytest.mark.parametrize(
    "address",
    ["--upload-pack=touch x", "-c", "ext::sh -c touch% x", "fd::17", "nowhere", "ftp://a/b",
     "https://", "/nowhere", "http:///x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(GatherError):
        check_git_address(address)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/x.git", "https://localhost/x", "http://169.254.169.254/latest",
     "git://10.0.0.1/x", "http://[::1]/x", "http://0x7f000001/x"],
)  # fmt: skip
def test_private_addresses_are_refused(address: str) -> None:
    with pytest.raises(GatherError):
        check_git_address(address)


@pytest.mark.parametrize("address", ["git@github.com:a/b.git", "ssh://git@host/a", "host:a/b"])
def test_addresses_of_ssh_are_taken(address: str) -> None:
    assert check_git_address(address) is None


@pytest.mark.parametrize("ref", ["--help", "a b", "a..b", "a:b", "^a"])
def test_refs_that_are_none(repository: Path, ask: Path, ref: str) -> None:
    with pytest.raises(GatherError, match="no branch"):
        found(repository, ask, ref=ref)


def test_secrets_in_addresses_are_refused_and_not_repeated() -> None:
    for address in ("https://me:hunter2@example.org/x", "https://hunter2@example.org/x"):
        with pytest.raises(GatherError, match="holds a name or a password") as caught:
            gather("docs", "git", address)
        assert "hunter2" not in str(caught.value)


def test_equal_commits_give_equal_collections(repository: Path, tmp_path: Path) -> None:
    first = gather("one", "git", str(repository))
    (repository / "a.py").write_text("print('a third')\n")
    second = gather("two", "git", str(repository))
    assert first.digest == second.digest and first.documents == 4
    assert find_collection("one").sources[0].licence == "MIT"
    assert [one.text for one in documents("one")] == [one.text for one in documents("two")]

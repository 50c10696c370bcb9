"""A real PostgreSQL for the session, on loopback, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def program(name: str) -> str:
    """A program of PostgreSQL; Debian keeps them off the path."""
    found = shutil.which(name) or next(
        (str(file) for file in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None
    )
    assert found, f"{name} is missing. Install PostgreSQL: apt-get install postgresql"
    return found


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The server's URL, without a database. It refuses to run as root, so root lends it a user."""
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="workbench-postgres-"))  # postgres must get to it
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = str(folder / "data")
        made = [program("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*made, "--locale=C", "--no-sync"],
            cwd=folder,
            user=user,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
        yield from serve(data, folder, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve(data: str, folder: Path, user: str | None) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}"]
    options = [word for setting in (*settings, "fsync=off") for word in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program("postgres"), "-D", data, *options],
            cwd=folder,
            user=user,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while b"ready to accept connections" not in (folder / "log").read_bytes():
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"postgresql://tester@127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture
def postgres(
    postgres_server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An empty database, which WORKBENCH_DATABASE_URL names."""
    import psycopg

    name = f"d{abs(hash(request.node.nodeid))}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", f"{postgres_server}/{name}")
    yield f"{postgres_server}/{name}"

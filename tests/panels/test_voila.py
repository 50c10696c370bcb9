"""The dashboards' server: its front door, and what it keeps shut."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from workbench.panels import voila_command
from workbench.panels._voila import is_loopback, settings_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server without pre-heated kernels: no page of it is opened here."""
    folder = tmp_path_factory.mktemp("voila")
    (folder / "secret.txt").write_text("secret")
    (folder / "00_home.ipynb").write_bytes((ROOT / "notebooks/00_home.ipynb").read_bytes())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [*voila_command("127.0.0.1", port, folder, pool=0)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    "path",
    [
        "/voila/tree",
        "/voila/tree/secret.txt",
        "/voila/files/secret.txt",
        "/voila/files/00_home.ipynb",
        "/voila/api/contents/secret.txt",
        "/voila/render/../secret.txt",
        "/voila/render/sub/other.ipynb",
        "/voila/render/secret.txt",
        "/api/contents",
        "/api/sessions",
    ],
)
def test_files_are_neither_listed_nor_served(url: str, path: str) -> None:
    answer = httpx.get(url + path)
    assert answer.status_code in {403, 404}
    assert "secret\n" not in answer.text and answer.text != "secret"


def test_it_says_that_it_is_up(url: str) -> None:
    assert httpx.get(url + "/alive").text == "alive"


def test_a_foreign_host_name_is_refused(url: str) -> None:
    assert httpx.get(url + "/", headers={"Host": "evil.example"}).status_code == 403
    kernel = "/api/kernels/00000000-0000-0000-0000-000000000000"
    assert httpx.get(url + kernel, headers={"Host": "evil.example"}).status_code == 403


def test_the_page_may_ask_nobody_but_us(url: str) -> None:
    with httpx.stream("GET", url + "/", timeout=60) as answer:
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "http:" not in policy and "*" not in policy
        head = "".join(answer.iter_text())
    assert "cdn" not in head.lower()
    assert "Workbench" in head and "wb-boot" in head and "image/svg+xml" in head


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert settings_of(host)["Voila"]["auto_token"] is False
    assert settings_of(host)["Voila"]["tornado_settings"]["allow_remote_access"] is False


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_any_other_address_needs_one(host: str) -> None:
    assert not is_loopback(host)
    assert settings_of(host)["Voila"]["auto_token"] is True


def test_the_command_runs_this_python(tmp_path: Path) -> None:
    command = voila_command("127.0.0.1", 8866, tmp_path)
    assert command[0] == sys.executable
    assert str(tmp_path) in command and "--port=8866" in command

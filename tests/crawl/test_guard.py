"""Which addresses may be asked: by what they are connected to, however they are spelt."""

from __future__ import annotations

import socket
import threading
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_site import serve

from workbench.addresses import GuardedTransport, check_address, public_addresses
from workbench.crawl._scope import normalise, origin
from workbench.errors import GatherError

PRIVATE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0", "0.0.0.0",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "240.0.0.1",
    "192.0.0.192", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]",
    "[2002:7f00:1::]", "[2001::1]", "[fc00::1]", "[fec0::1]", "[2001:db8::1]",
    "localhost", "LOCALHOST", "localhost.", "docs.localhost",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fe80::1]",
    "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "168.63.129.16", "100.100.100.200",
    "[fd00:ec2::254]", "224.0.0.1", "[ff02::1]",
]  # fmt: skip
NO_ADDRESS = [
    "", "docs", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/", "javascript:alert(1)",
    "http://", "http:///x", "http://user@8.8.8.8/", "http://user:pass@8.8.8.8/", "http://8.8.8.8\\@x/",
    "http://8.8.8.8/ x", "http://8.8.8.8/\r\nHost: x", "http://8.8.8.8/\x00", "http://[::1", "http://[x]/",
    "http://8.8.8.8:99999999/", "http://8.8.8.8:x/", "http://8.8.8.8/" + "a" * 3000, "http://a..b/",
    "http://" + "a" * 300 + ".org/",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_with_the_option_that_allows_them(host: str) -> None:
    with pytest.raises(GatherError, match=r"--allow-private|cannot be found|is no address"):
        check_address(f"http://{host}:8080/x")


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "10.0.0.1"])
def test_private_addresses_can_be_allowed(host: str) -> None:
    check_address(f"http://{host}/", allow_private=True)


@pytest.mark.parametrize("host", NEVER)
@pytest.mark.parametrize("allow", [False, True])
def test_metadata_and_link_local_addresses_are_never_asked(host: str, allow: bool) -> None:
    with pytest.raises(GatherError, match="never asked"):
        check_address(f"http://{host}/latest/meta-data/", allow_private=allow)


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(GatherError) as error:
        check_address(url, allow_private=True)
    assert str(error.value).isprintable() and len(str(error.value)) < 300


@pytest.mark.parametrize("host", ["8.8.8.8", "134744072", "[2001:4860:4860::8888]"])
def test_public_addresses_pass(host: str) -> None:
    check_address(f"https://{host}/")


def answers(monkeypatch: pytest.MonkeyPatch, name: str, *turns: list[str]) -> list[str]:
    """A name service that somebody hostile runs: another answer each time. Who was looked up."""
    real, asked = socket.getaddrinfo, []
    left = list(turns)

    def lookup(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        if host != name:
            return real(host, port, *rest, **more)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "docs.test", ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(GatherError, match=r"10\.0\.0\.1"):
        check_address("http://docs.test/")


def test_a_name_that_answers_differently_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({"/": "secret"}) as site:
        port = int(site.url.rpartition(":")[2])
        answers(monkeypatch, "docs.test", ["8.8.8.8"], ["127.0.0.1"])
        check_address(f"http://docs.test:{port}/")
        with (
            httpx.Client(transport=GuardedTransport()) as client,
            pytest.raises(GatherError, match=r"127\.0\.0\.1"),
        ):
            client.get(f"http://docs.test:{port}/")
        assert not site.asked


def test_the_address_that_was_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve({"/": "here"}) as site:
        port = int(site.url.rpartition(":")[2])
        asked = answers(monkeypatch, "docs.test", ["127.0.0.1"], ["192.0.2.1"])
        with httpx.Client(transport=GuardedTransport(allow_private=True)) as client:
            assert client.get(f"http://docs.test:{port}/").text == "here"
        assert asked.count("docs.test") == 1
        assert site.seen[0][1]["host"] == f"docs.test:{port}"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:1")
    with serve({"/": "here"}) as site:
        transport = GuardedTransport(allow_private=True)
        with httpx.Client(transport=transport, trust_env=False) as client:
            assert client.get(site.url).text == "here"


def test_tls_names_the_host_and_not_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "docs.test", ["127.0.0.1"])
    hello: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with server.accept()[0] as peer:
                hello.append(peer.recv(4096))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        with (
            httpx.Client(transport=GuardedTransport(allow_private=True)) as client,
            pytest.raises(httpx.TransportError),
        ):
            client.get(f"https://docs.test:{server.getsockname()[1]}/")
        thread.join(10)
    assert b"docs.test" in hello[0]


def test_all_of_a_request_has_one_deadline() -> None:
    """Bytes that drip in, each of them in time, do not hold it up."""

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for n in range(1000):
            handler.wfile.write(f"X-{n}: y\r\n".encode())
            handler.wfile.flush()
            if stopped.wait(0.05):
                return

    stopped = threading.Event()
    with serve({"/": drip}) as site:
        transport = GuardedTransport(allow_private=True)
        with httpx.Client(transport=transport, timeout=60) as client:
            transport.allow(0.5)
            with pytest.raises(httpx.ReadTimeout):
                client.get(site.url)
        stopped.set()


@given(st.text(max_size=60))
def test_any_text_passes_or_is_refused_in_words(text: str) -> None:
    try:
        check_address(f"http://127.0.0.1/{text}")
    except GatherError as error:
        assert str(error).isprintable()
    else:
        pytest.fail("passed")


@given(st.integers(0, 2**32 - 1))
def test_each_spelling_of_an_address_is_judged_alike(number: int) -> None:
    plain = socket.inet_ntoa(number.to_bytes(4, "big"))
    hexed = f"{number:08x}"
    spelt = [plain, str(number), hex(number), f"::ffff:{plain}", f"64:ff9b::{plain}",
             f"2002:{hexed[:4]}:{hexed[4:]}::"]  # fmt: skip

    def verdict(host: str) -> bool:
        try:
            return bool(public_addresses(host, 80))
        except GatherError:
            return False

    assert len({verdict(one) for one in spelt}) == 1


@given(st.text(max_size=40), st.text(max_size=20))
def test_a_normalised_address_stays_as_it_is(path: str, query: str) -> None:
    found = normalise(f"{path}?{query}", "https://docs.test:443/a/b")
    assert found == "" or normalise(found) == found
    assert found == "" or found.startswith(origin(found) + "/")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("HTTPS://Docs.Test:443", "https://docs.test/"),
        ("https://docs.test?x=1", "https://docs.test/?x=1"),
        ("https://docs.test/a/./b/../c#part", "https://docs.test/a/c"),
        ("https://docs.test/%7euser/%e4?", "https://docs.test/~user/%E4"),
        ("https://docs.test/?b=2&a=1", "https://docs.test/?b=2&a=1"),
        ("mailto:a@b.c", ""),
        ("https://user@docs.test/", ""),
        ("http://[", ""),
    ],
)
def test_one_spelling_per_page(given: str, wanted: str) -> None:
    assert normalise(given) == wanted

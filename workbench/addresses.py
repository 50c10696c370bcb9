"""Addresses that a stranger's page may lead to, and those it may not (SSRF).

What counts is the address that is connected to, not how a URL spells it: `GuardedTransport` looks
a name up, checks every address found and connects to one of those, so a name that answers
differently the second time (DNS rebinding) gains nothing, nor does 0x7f.1 or [::ffff:7f00:1].
Proxies of the environment are not used: behind one, nobody could tell where a request goes.

Not covered: services of this very machine that listen on its public address.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from workbench.errors import GatherError

_IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_LONGEST = 2000  # characters of a URL
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
# what Python's is_global leaves open: IETF's own protocols, and all of IPv6 but global unicast
_PROTOCOLS, _UNICAST = ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv6Network("2000::/3")
# IPv6 networks whose addresses carry one of IPv4 in their last 32 bits: RFC 4291 and RFC 6052
_CARRIERS = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b::/96", "::ffff:0:0:0/96")))
# where clouds tell a machine its own secrets, beside 169.254.0.0/16: Azure, AWS, Alibaba
_METADATA = frozenset(
    map(ipaddress.ip_address, ("168.63.129.16", "fd00:ec2::254", "100.100.100.200"))
)


def check_address(url: str, *, allow_private: bool = False) -> None:
    """Raise GatherError unless the URL is http or https, plain, and all of its host's addresses
    are public. `allow_private` lets this machine and private networks pass, never the addresses
    of link-local networks, where clouds keep a machine's credentials. Looks the name up.
    """
    host, port = host_of(url)
    try:
        public_addresses(host, port, allow_private=allow_private)
    except OSError:
        raise GatherError(
            f"The name {host} cannot be found. Look at its spelling and at the connection."
        ) from None


def host_of(url: str) -> tuple[str, int]:
    """Host and port of a URL that can be asked. Raises GatherError."""
    shown = "".join(one if one.isprintable() else "?" for one in url[:100])
    if len(url) > _LONGEST:
        raise GatherError(f"{shown}… is no address: it has more than {_LONGEST} characters.")
    try:
        parts = httpx.URL(url)
        port = (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port
        host = parts.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise GatherError(f"{shown!r} is no address. Give one like https://docs.site/.") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise GatherError(
            f"{shown!r} is no address of the web. It begins with https:// or http://."
        )
    if parts.userinfo or "\\" in url or any(one.isspace() for one in url):
        raise GatherError(
            f"{shown!r} has a user name, a space or a backslash in it. Give the plain address."
        )
    if not _HOST.fullmatch(host) or not 0 < port < 65536:
        raise GatherError(f"{shown!r} has no host or port that there can be.")
    return host, port


def public_addresses(host: str, port: int, *, allow_private: bool = False) -> list[str]:
    """The addresses of a host, all of them checked. Raises GatherError, OSError where the name is
    not known."""
    name = host.rstrip(".").lower()
    if not allow_private and (name == "localhost" or name.endswith(".localhost")):
        raise GatherError(_refusal(host, "this machine", private=True))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (UnicodeError, ValueError) as error:
        raise OSError(str(error)) from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        ip = _carried(ipaddress.ip_address(address))
        if ip.is_link_local or ip.is_multicast or ip in _METADATA:
            raise GatherError(_refusal(host, address, private=False))
        public = ip.is_global and (ip in _UNICAST if ip.version == 6 else ip not in _PROTOCOLS)
        if not (allow_private or public):
            raise GatherError(_refusal(host, address, private=True))
    return addresses


def _carried(ip: _IP) -> _IP:
    """The IPv4 address that an IPv6 one stands for; others as they are."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if inner := ip.ipv4_mapped or ip.sixtofour:
        return inner
    if ip in _CARRIERS[0] and int(ip) < 2:  # :: and ::1 are themselves
        return ip
    if any(ip in network for network in _CARRIERS):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _refusal(host: str, address: str, *, private: bool) -> str:
    if private:
        return (
            f"{host} leads to {address}, which is not on the public network. "
            "If you trust it, allow it with --allow-private."
        )
    return (
        f"{host} leads to {address}, where networks and clouds keep what only this machine "
        "should see. It is never asked."
    )


class GuardedTransport(httpx.HTTPTransport):
    """HTTP over checked connections only, each request within `deadline` (time.monotonic())."""

    def __init__(self, *, allow_private: bool = False) -> None:
        super().__init__(trust_env=False)
        self._backend = _Backend(allow_private)
        # httpx has no public way to a network backend; a test sees to it that this one is used
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            network_backend=self._backend,
            max_connections=4,
            keepalive_expiry=30,
        )

    def allow(self, seconds: float) -> None:
        """From now on, all that is sent and received takes no longer than so many seconds."""
        self._backend.deadline = time.monotonic() + seconds


class _Backend(httpcore.NetworkBackend):
    def __init__(self, allow_private: bool) -> None:
        self._allow_private, self._inner = allow_private, httpcore.SyncBackend()
        self.deadline = time.monotonic() + 60

    def left(self, timeout: float | None) -> float:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("the time for this page is over")
        return seconds if timeout is None else min(timeout, seconds)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: Exception = httpcore.ConnectError(f"{host} cannot be found")
        try:
            addresses = public_addresses(host, port, allow_private=self._allow_private)
        except OSError:
            raise problem from None
        for address in addresses:
            try:
                return _Stream(self._inner.connect_tcp(address, port, self.left(timeout)), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends with the backend's deadline: bytes that drip in, each of
    them in time, do not hold it up."""

    def __init__(self, inner: httpcore.NetworkStream, backend: _Backend) -> None:
        self._inner, self._backend = inner, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._backend.left(timeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

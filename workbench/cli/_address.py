"""Where a page is served: hosts, ports that are free or taken and by whom, and URLs."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress

from workbench.cli._output import note
from workbench.errors import SettingsError
from workbench.settings import env, env_int

TRIES = 50  # ports that are looked at when the first is taken


def host_from_environment(default: str = "127.0.0.1") -> str:
    """HOST, when it is an address: shells and compilers keep other things under that name."""
    value = env("HOST")
    if not value or is_address(value):
        return value or default
    note(f"HOST is {value!r}, which is no IP address: {default} is used (--host sets another).")
    return default


def is_address(host: str) -> bool:
    """Whether it is `localhost` or an IP address."""
    try:
        return host == "localhost" or bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def choose_port(host: str, asked: int | None, default: int) -> int:
    """The port to serve on; 0 asks for any free one.

    A port asked for by `--port` is taken or refused; the one of the environment or the default
    gives way to the next free one, and a line says so. Raises SettingsError.
    """
    port = env_int("PORT", default, minimum=0) if asked is None else asked
    if port > 65535:
        raise SettingsError(f"PORT must be at most 65535, not {port}.")
    found = _bind(host, port)
    if found is not None:
        return found
    holder = f"Port {port} is taken{_holder(port)}"
    if asked is not None:
        raise SettingsError(f"{holder}. End that program, or choose another with --port.")
    for candidate in range(port + 1, min(port + TRIES, 65536)):
        if _bind(host, candidate) is not None:
            note(f"{holder}; {candidate} is used instead.")
            return candidate
    raise SettingsError(f"{holder}, and so are the next {TRIES}. Choose one with --port.")


def url_of(host: str, port: int) -> str:
    """The URL under which a browser on this machine finds it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (we go there)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _bind(host: str, port: int) -> int | None:
    """The port if it can be listened on, None if it is taken. Raises SettingsError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except (socket.gaierror, UnicodeError):
        raise SettingsError(f"{host!r} is not an address. Choose one with --host.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise SettingsError(
            f"Nothing can be served at {host}, port {port} ({error.strerror}). Choose another "
            "with --host and --port."
        ) from None


def _holder(port: int) -> str:
    """` by NAME (process N)`, or nothing when the system does not tell."""
    import psutil

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr.port == port and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f" by {name} (process {connection.pid})"
    return ""

"""What the canary and the speed share: prompts of a known length, names, and where an engine is."""

from __future__ import annotations

import ipaddress
import random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workbench.engines import AsyncEngine
from workbench.types import RunningModel

if TYPE_CHECKING:
    import psutil

ROUND = 16  # words
_roots: dict[str, psutil.Process] = {}  # by address
_WORDS = (
    "the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "with", "they",
    "be", "at",
)  # fmt: skip


def filler(rounds: int, seed: int = 0) -> str:
    """So many rounds of the same words, each in an order of its own.

    n rounds make a + n * b tokens; the seed makes prompts that share no beginning.
    """
    chance = random.Random(f"{rounds} {seed}")  # noqa: S311
    return " ".join(word for _ in range(rounds) for word in chance.sample(_WORDS, ROUND))


def same_name(one: str, other: str) -> bool:
    """Whether two names are one model's: `:latest` may be left out."""
    return one.removesuffix(":latest") == other.removesuffix(":latest")


async def loaded(engine: AsyncEngine, model: str) -> RunningModel | None:
    """The model's line among those that are loaded."""
    return next((row for row in await engine.running() if same_name(row.name, model)), None)


def local(url: str) -> bool:
    """Whether the address is this machine's loopback."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def processes(url: str) -> list[psutil.Process]:
    """The engine's processes, its models' among them; none when it is not here or not seen.

    It is the process that listens at the address; where another user's does not show that, those
    that are named after Ollama.
    """
    import psutil

    if not local(url):
        return []
    try:
        if (root := _listening(url)) is not None:
            return [root, *root.children(recursive=True)]
    except psutil.Error:  # macOS shows them to administrators only
        pass
    every = psutil.process_iter(["name"])
    return [one for one in every if str(one.info["name"]).startswith("ollama")]


def _listening(url: str) -> psutil.Process | None:
    """Whoever listens at the address. It is remembered: to find out, every open file of every
    process is looked at."""
    import psutil

    root, port = _roots.get(url), urlsplit(url).port
    if root is not None and root.is_running():
        return root
    for one in psutil.net_connections("tcp"):
        if one.status == "LISTEN" and one.pid and one.laddr.port == port:
            _roots[url] = psutil.Process(one.pid)
            return _roots[url]
    return None

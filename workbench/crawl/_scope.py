"""What a crawl is asked for, and which addresses belong to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from urllib.parse import unquote, urljoin

import httpx

from workbench import __version__
from workbench.addresses import host_of
from workbench.documents import Ask, chosen, wanted
from workbench.errors import GatherError

_ESCAPE = re.compile("%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# files that are no pages, known by their names and not asked for
_FILES = re.compile(
    r"\.(png|jpe?g|gif|svg|webp|ico|css|js|mjs|json|woff2?|ttf|eot|mp[34]|webm|avi|mov|ogg|wav|zip"
    r"|gz|tgz|bz2|xz|zst|7z|rar|tar|whl|deb|rpm|msi|exe|dmg|iso|jar|inv)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the source `web`. Times are seconds."""

    depth: int = 3  # links away from the start
    pages: int = 500  # pages asked for, whether they are taken or not
    include: tuple[str, ...] = ()  # globs on the path or its last part; "*" passes over "/"
    exclude: tuple[str, ...] = ()
    same_site: bool = True
    beneath: bool = True  # of the site only what lies in the start's folder
    delay: float = 0.5  # between two requests to a host
    timeout: float = 30.0  # for one page, from the first byte sent to the last one received
    sitemap: bool = False
    allow_private: bool = False
    user_agent: str = f"workbench/{__version__} (+documentation crawler)"


def read_options(ask: Ask) -> Options:
    """The options, checked. Raises GatherError."""
    given = dict(ask.options)
    for name in {"delay", "timeout"} & given.keys():
        value = given[name]
        if type(value) not in (int, float) or not (name == "timeout") * 0.1 <= value <= 3600:
            raise GatherError(f"The option {name!r} is seconds, at most 3,600, not {value!r}.")
        given[name] = float(value)
    defaults = {one.name: one.default for one in fields(Options)}
    options = Options(**vars(chosen(replace(ask, options=given), none=("depth",), **defaults)))
    agent = options.user_agent
    if not agent.strip() or not agent.isascii() or not agent.isprintable():
        raise GatherError("The option 'user_agent' is a line of plain ASCII characters.")
    return options


def normalise(url: str, base: str = "") -> str:
    """One spelling per page: absolute, without fragment, default port and needless escapes.

    The query stays as it is, since its order may matter. "" for what is no page of the web.
    """
    try:
        found = httpx.URL(urljoin(base, url.strip())).copy_with(fragment=None)
        found = found if found.query else found.copy_with(query=None)
        host_of(str(found))
    except (ValueError, UnicodeError, httpx.InvalidURL, GatherError):
        return ""
    address = _ESCAPE.sub(_escape, str(found))
    site = origin(address)
    path = address[len(site) :]
    return f"{site}{'' if path.startswith('/') else '/'}{path}"


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def origin(url: str) -> str:
    """Scheme, host and port of a normalised address."""
    return "/".join(url.split("/", 3)[:3]).split("?", 1)[0]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which addresses belong to the crawl that began at `start`, a normalised address."""

    start: str
    options: Options

    def holds(self, url: str) -> bool:
        """Whether a page may be asked for; not whether robots.txt allows it."""
        site, path = origin(url), path_of(url)
        if _FILES.search(path):
            return False
        if self.options.same_site:
            folder = path_of(self.start).rpartition("/")[0] + "/"
            if site != origin(self.start) or (self.options.beneath and not path.startswith(folder)):
                return False
        return self.wanted(url)

    def wanted(self, url: str) -> bool:
        """Whether the patterns take it."""
        return wanted(path_of(url), self.options.include, self.options.exclude)


def path_of(url: str) -> str:
    """The path of a normalised address, as a person reads it."""
    return unquote(url[len(origin(url)) :].split("?", 1)[0]) or "/"

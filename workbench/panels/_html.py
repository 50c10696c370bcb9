"""Safe HTML: templates that escape by default, Markdown without raw HTML, figures for people.

What a model says is hostile: Markdown has no raw HTML, no images and links only to http(s) and
mail, so that an answer can neither run a script nor make the browser ask a foreign server.
`web/fragment.js` is the second wall, the dashboard's Content-Security-Policy the third.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

FOLDER = Path(__file__).parent
LONGEST_MARKDOWN = 60_000  # characters; beyond it text is shown as it is
_LINKS = ("http://", "https://", "mailto:")


def clean(text: str) -> str:
    """Text that UTF-8 can carry: half of a surrogate pair (a cut emoji) becomes U+FFFD."""
    return text.encode("utf-8", "replace").decode("utf-8")


def render(template: str, **context: Any) -> str:
    """The template of `pages/` filled in, everything escaped unless it is Markup."""
    return clean(_environment().get_template(f"{template}.html").render(**context))


def markdown(text: str) -> Markup:
    """Markdown of an untrusted author as HTML without scripts, images or odd links."""
    if len(text) > LONGEST_MARKDOWN:
        return Markup('<div class="wb-raw">{}</div>').format(text)
    return Markup(_markdown().render(text))  # noqa: S704 (the renderer escapes raw HTML)


def figure(value: float | None, digits: int = 1) -> str:
    """A number as people read it: 1,234 or 12.3; an em dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or digits == 0 else f"{value:,.{digits}f}"


def size(value: float | None) -> str:
    """Bytes in binary units: 614 MiB."""
    if value is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float | None, digits: int = 1) -> str:
    """Seconds as people say them: 340 ms, 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.{digits}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def ago(moment: datetime | None) -> str:
    """How long ago, roughly; a moment without a zone is UTC."""
    if moment is None:
        return "–"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def polyline(values: Sequence[float], width: float = 600, height: float = 100) -> str:
    """The `d` of an SVG path through the values, at most 200 points, lowest at the bottom."""
    points = [value for value in values if math.isfinite(value)]
    step = max(1, math.ceil(len(points) / 200))
    points = points[::step] + (points[-1:] if (len(points) - 1) % step else [])
    if len(points) < 2:
        return ""
    low, high = min(points), max(points)
    scale = (height - 8) / ((high - low) or 1)
    across = width / (len(points) - 1)
    return "M" + " L".join(
        f"{index * across:.1f} {height - 4 - (value - low) * scale:.1f}"
        for index, value in enumerate(points)
    )


@cache
def _environment() -> Environment:
    pages = FileSystemLoader(FOLDER / "pages")
    environment = Environment(loader=pages, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update(
        size=size, duration=duration, ago=ago, figure=figure, markdown=markdown, path=polyline
    )
    environment.globals["icon"] = Markup(  # noqa: S704 (our own file)
        (FOLDER / "web" / "icon.svg").read_text(encoding="utf-8")
    )
    return environment


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("js-default", {"html": False, "linkify": False, "typographer": False})
    parser.disable(["image", "html_block", "html_inline"])
    parser.validateLink = _link_is_fine  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _open_link)
    return parser


def _link_is_fine(url: str) -> bool:
    return url.strip().lower().startswith(_LINKS)


def _open_link(
    self: Any, tokens: Sequence[Any], index: int, options: Mapping[str, Any], env: Any
) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(self.renderToken(tokens, index, options, env))

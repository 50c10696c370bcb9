"""What models and files say cannot become more than text; figures read as people expect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.panels._html import ago, clean, duration, figure, markdown, polyline, render, size
from workbench.panels.states import Problem

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "[a](vbscript:x)",
    "[a](file:///etc/passwd)",
    "![a](http://example.com/track.png)",
    "![a](data:image/svg+xml;base64,PHN2Zz4=)",
    '<a href="javascript:alert(1)">x</a>',
    "<svg onload=alert(1)>",
    "<iframe src=http://example.com></iframe>",
    "<style>@import url(http://example.com)</style>",
    "```html\n<script>alert(1)</script>\n```",
    '```" onmouseover="alert(1)\n```',
    '[a](http://example.com "x" onclick="alert(1)")',
    "<details open ontoggle=alert(1)>",
    "<javascript:alert(1)>",
    "a | b\n-|-\n<img src=x onerror=alert(1)> | x",
]
ALLOWED = {"p", "a", "code", "pre", "em", "strong", "ul", "ol", "li", "blockquote", "hr", "br", "s"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td", "div"}
ALLOWED |= {"h1", "h2", "h3", "h4", "h5", "h6"}


class Seen(HTMLParser):
    """Collects what an HTML text really contains."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def assert_harmless(html: str) -> None:
    seen = Seen(html)
    assert seen.tags <= ALLOWED
    for name, value in seen.attributes:
        assert name in {"href", "target", "rel", "class", "style", "title", "start"}
        if name == "href":
            assert value.startswith(("http://", "https://", "mailto:"))
        if name == "style":
            assert value.startswith("text-align:")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_stays_text(text: str) -> None:
    assert_harmless(markdown(text))


@given(
    st.text(alphabet=st.sampled_from("<>[](){}!\"'`&;:=/\\ \n|-#*_ajsvcriptonelhf"), max_size=80)
)
def test_any_markdown_is_harmless(text: str) -> None:
    assert_harmless(markdown(text))


def test_markdown_keeps_what_is_good() -> None:
    html = markdown(
        "**bold** `code`\n\n```python\nprint(1 < 2)\n```\n\n[site](https://example.com)"
    )
    assert "<strong>bold</strong>" in html
    assert "print(1 &lt; 2)" in html
    assert 'href="https://example.com"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_a_very_long_answer_is_shown_as_it_is() -> None:
    html = markdown("<b>" + "*" * 100_000)
    assert Seen(html).tags == {"div"}
    assert "&lt;b&gt;" in html


def test_half_an_emoji_does_not_break_the_message_to_the_browser() -> None:
    assert clean("ab\ud83d") == "ab?"
    shown = render("error", problem=Problem("Bad \ud83d thing."), retry="")
    shown.encode("utf-8")


def test_templates_escape_what_they_are_given() -> None:
    problem = Problem("<b>x</b>", "<script>", "</pre><script>alert(1)</script>")
    assert "script" not in Seen(render("error", problem=problem, retry="again")).tags
    assert "b" not in Seen(render("error", problem=problem, retry="again")).tags


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (614 * 2**20, "614 MiB"), (None, "–")],
)
def test_size(value: float | None, words: str) -> None:
    assert size(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.34, "340 ms"),
        (4.25, "4.2 s"),
        (200, "3 min 20 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (12.34, "12.3"), (1234.5, "1,234"), (float("inf"), "–")]
)
def test_figure(value: float | None, words: str) -> None:
    assert figure(value) == words


def test_ago() -> None:
    now = datetime.now(UTC)
    assert ago(now) == "just now"
    assert ago(now - timedelta(hours=1, minutes=3)) == "1 hour ago"
    assert ago((now - timedelta(days=3)).replace(tzinfo=None)) == "3 days ago"


def test_a_curve_is_short_and_ends_where_it_ends() -> None:
    path = polyline([float(value) for value in range(1000, 0, -1)])
    points = path.removeprefix("M").split(" L")
    assert len(points) <= 202
    assert points[0] == "0.0 4.0"
    assert points[-1] == "600.0 96.0"
    assert polyline([1.0]) == ""
    assert polyline([float("nan"), 1.0, 2.0]).startswith("M0.0 96.0")

"""A page of HTML: its main text as Markdown, and what it says of itself.

The text is trafilatura's, but for two things that documentation lives by. Code (`pre`) is taken
out before and put back after, so that not a blank of it is lost. And where the page marks one part
as its main part, only that is read, however short it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

_MOST_LINKS = 5000
_MAIN = ("//*[@role='main']", "//main", "//article")
# anchors beside headings, numbers beside lines, buttons: furniture of the usual generators
_FURNITURE = (
    "//a[contains(@class,'headerlink') or contains(@class,'hash-link') or "
    "contains(@class,'md-content__button')] | //pre//button | //pre//*[@class='linenos'] | "
    "//td[contains(@class,'linenos')] | //p[@class='admonition-title' and not(normalize-space())]"
)
_LANGUAGE = re.compile(r"(?:^|\s)(?:highlight|language|lang|brush:)[-\s]?([a-z][\w+#-]{0,19})")
_NO_LANGUAGE = {"default", "none", "text", "plaintext", "notranslate", "source"}
_CREATIVE = re.compile(
    r"creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)(?:/(\d\.\d))?", re.IGNORECASE
)
_REFRESH = re.compile(r"[\s\d.]*[;,]\s*url\s*=\s*['\"]?([^'\"]+)", re.IGNORECASE)


def page(data: bytes) -> dict[str, Any]:
    """`text` (Markdown), `title` and `licence` (SPDX where it is one of Creative Commons) of a
    page given as UTF-8; `{"error": …}` where it cannot be read. A page can be built to take long:
    this belongs into a process with limits."""
    tree = _tree(data)
    if tree is None:
        return {"error": "is no HTML"}
    licence = _licence(tree)
    for one in tree.xpath(_FURNITURE):
        one.drop_tree()
    titles = tree.xpath("//h1")[:1] or tree.xpath("//title")
    title = " ".join(" ".join(one.text_content() for one in titles).split())[:300]
    return {"licence": licence, "title": title, "text": _text(tree, sha256(data).hexdigest()[:16])}


def page_facts(data: bytes) -> tuple[str, str, str, list[str]]:
    """What a page asks of crawlers, its language, its base, and its links, as they are written;
    without those that are not to be followed."""
    tree = _tree(data)
    if tree is None:
        return "", "", "", []
    robots = [
        one.get("content") for one in tree.xpath("//meta[@name and @content]")
        if one.get("name").lower() in {"robots", "workbench"}
    ]  # fmt: skip
    links = [
        one.get("href") for one in tree.iter("a", "area")
        if one.get("href") and "nofollow" not in (one.get("rel") or "").lower()
    ]  # fmt: skip
    for one in tree.xpath("//meta[@http-equiv and @content]"):
        match = _REFRESH.match(one.get("content")[:2000])
        if one.get("http-equiv").lower() == "refresh" and match:
            links.append(match[1])
    base = next(iter(tree.xpath("//base/@href")), "")
    links = [one for one in dict.fromkeys(links) if len(one) <= 2000 and one[0] != "#"]
    language = (tree.get("lang") or "")[:20]
    return ",".join(robots).lower()[:500], language, base, links[:_MOST_LINKS]


def _tree(data: bytes) -> Any:
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        return html.document_fromstring(data.replace(b"\0", b""), parser=parser)
    except (etree.LxmlError, ValueError):
        return None


def _text(tree: Any, mark: str) -> str:
    """The main text. `mark` is a word that the page cannot contain."""
    blocks = _take_code(tree, mark)
    text = ""
    parts = [found[0] for path in _MAIN if len(found := tree.xpath(path)) == 1]
    for part in [*parts[:1], tree]:
        text = text or _extracted(part)
    pieces = re.split(rf"x{mark}x(\d+)x", text)
    pieces[1::2] = [blocks[int(number)] for number in pieces[1::2]]
    kept = [one if n % 2 else one.strip("\n").rstrip() for n, one in enumerate(pieces)]
    return "\n\n".join(one for one in kept if one.strip())


def _take_code(tree: Any, mark: str) -> list[str]:
    """Put a word in the place of each block of code; the blocks, fenced."""
    from lxml import html

    blocks: list[str] = []
    for one in tree.xpath("//pre[not(ancestor::pre)]"):
        for line in one.iter("br"):
            line.tail = "\n" + (line.tail or "")
        code = one.text_content().replace("\r\n", "\n").strip("\n").rstrip()
        near = [one, *one.iter("code"), *list(one.iterancestors())[:3]]
        fence = "`" * min(80, max([3, *(len(run) + 1 for run in re.findall("`{3,}", code))]))
        word = html.Element("p")
        word.text = f"x{mark}x{len(blocks)}x"
        tables = [t for t in one.iterancestors("table") if "highlighttable" in t.get("class", "")]
        place = tables[0] if tables else one
        word.tail = place.tail
        place.getparent().replace(place, word)
        blocks.append(f"{fence}{_language(near)}\n{code}\n{fence}" if code.strip() else "")
    return blocks


def _language(elements: Iterable[Any]) -> str:
    for one in elements:
        for name in _LANGUAGE.findall((one.get("class") or "").lower()):
            if name not in _NO_LANGUAGE:
                return str(name)
    return ""


def _extracted(part: Any) -> str:
    from configparser import ConfigParser
    from copy import deepcopy

    import trafilatura
    from lxml import html
    from trafilatura.settings import DEFAULT_CONFIG

    config: ConfigParser = deepcopy(DEFAULT_CONFIG)
    for name in ("MIN_EXTRACTED_SIZE", "MIN_OUTPUT_SIZE"):
        config["DEFAULT"][name] = "1"  # a short page is a page
    if part.tag != "html":
        whole, body = html.Element("html"), html.Element("body")
        whole.append(body)
        body.append(deepcopy(part))
        part = whole
    found = trafilatura.extract(
        part, output_format="markdown", include_comments=False, fast=True, config=config
    )
    return found or ""


def _licence(tree: Any) -> str:
    """What a link says that is marked so; else Creative Commons in the foot of the page."""
    said = tree.xpath("//*[(self::a or self::link) and @href and @rel]")
    said = [one for one in said if "license" in one.get("rel").lower().split()]
    foot = tree.xpath("//*[self::footer or @role='contentinfo' or @class='footer']//a[@href]")
    for one in [*said, *foot]:
        if match := _CREATIVE.search(one.get("href")):
            kind, version = match[1].strip("-").upper(), match[2] or ""
            name = {"ZERO": "CC0", "MARK": "CC-PDM"}.get(kind, f"CC-{kind}")
            return f"{name}-{version}" if version else name
    names = [" ".join(one.text_content().split()) or one.get("href") for one in said]
    return next(iter(names), "")[:200]

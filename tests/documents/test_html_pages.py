"""Pages as generators of documentation write them, and as somebody with bad intentions does."""

from __future__ import annotations

import pytest

from workbench.documents._html import page as read_html
from workbench.documents._html import page_facts

HEAD = "<h1>Title<a class='headerlink' href='#t'>¶</a></h1><p>Words that say what it is for.</p>"
GENERATORS = {
    "sphinx": (
        f"<div class='document'><div class='body' role='main'><section>{HEAD}"
        "<div class='highlight-pycon notranslate'><div class='highlight'><pre><span></span>"
        "<span class='gp'>&gt;&gt;&gt; </span>f(<span>1</span>,\n<span class='gp'>... </span>  2)"
        "\n\n<span class='go'>3</span>\n</pre></div></div></section></div></div>"
        "<div class='sphinxsidebar'><a href='x'>Side</a></div>",
        "```pycon\n>>> f(1,\n...   2)\n\n3\n```",
    ),
    "mkdocs": (
        f"<main><article>{HEAD}<table class='highlighttable'><tr><td class='linenos'><pre>1\n2"
        "</pre></td><td class='code'><div class='language-yaml highlight'><pre><span></span><code>"
        "a:<a id='l1'></a>\n  -   b\n</code></pre></div></td></tr></table></article></main>",
        "```yaml\na:\n  -   b\n```",
    ),
    "docusaurus": (
        f"<main><article>{HEAD}<div class='language-js'><pre><code>"
        "<span class='token-line'>if (a &lt; b) {<br></span><span class='token-line'>    c()<br>"
        "</span><span>}<br></span></code></pre><button>Copy</button></div></article></main>",
        "```js\nif (a < b) {\n    c()\n}\n```",
    ),
    "fences": (
        f"<main>{HEAD}<pre><code>```\nx\n```</code></pre></main>",
        "````\n```\nx\n```\n````",
    ),
}


@pytest.mark.parametrize("generator", GENERATORS)
def test_code_keeps_its_lines_and_blanks(generator: str) -> None:
    body, code = GENERATORS[generator]
    found = read_html(f"<html><body>{body}<p>after</p></body></html>".encode())
    assert found["text"].startswith("# Title\n\nWords that say what it is for.\n\n" + code)
    assert "Side" not in found["text"] and "¶" not in found["text"]


def test_a_text_cannot_ask_for_a_block_of_code_twice() -> None:
    text = "<main><p>x0123456789abcdefx0x and words</p><pre>code here</pre></main>"
    assert read_html(text.encode())["text"].count("code here") == 1


def test_pages_built_to_keep_a_pattern_busy() -> None:
    """Each of these took hours with the obvious expression."""
    blanks = " " * 2_000_000
    refresh = f"<meta http-equiv=refresh content='{blanks}'><a href=x rel=x>y</a>"
    assert page_facts(refresh.encode()) == ("", "", "", ["x"])
    assert page_facts(b"<meta http-equiv=Refresh content='0; URL=\"next/\"'>")[3] == ["next/"]

"""The crawler on real sites: what belongs to it, what sites ask for, what breaks, what is kept."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_site import Site, page, serve

from workbench.crawl._web import _LOC, web
from workbench.errors import GatherError
from workbench.gather import Ask, Document, Skipped, documents, gather, skipped, submit_gather
from workbench.jobs import JobCancelled, JobContext, resume, stop_supervisor, wait
from workbench.store import StoredJob, session

QUICK = {"allow_private": True, "delay": 0}


class Crawl:
    """What one crawl gave."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        ask = Ask(url, folder, {**QUICK, **options})
        self.found = list(web(ask))
        self.facts = ask.facts
        self.pages = [one for one in self.found if isinstance(one, Document)]
        self.skipped = {one.address: one.reason for one in self.found if isinstance(one, Skipped)}

    def paths(self, site: Site) -> list[str]:
        return [one.address.removeprefix(site.url) for one in self.pages]


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({}) as found:
        yield found


def test_what_a_document_tells(site: Site, tmp_path: Path) -> None:
    site.routes["/docs/"] = (
        "<html lang='en-GB'><head><title>Guide · Docs</title>"
        "<link rel='license' href='https://creativecommons.org/licenses/by-sa/4.0/deed.en'></head>"
        "<body><nav>Menu of all</nav><main><h1>Guide</h1><p>Use it with care, or not at all.</p>"
        "<pre class='language-python'>def f():\n\n    return 1</pre></main></body></html>"
    )
    crawl = Crawl(site.url + "/docs/", tmp_path)
    (one,) = crawl.pages
    assert one.text == (
        "# Guide\n\nUse it with care, or not at all.\n\n```python\ndef f():\n\n    return 1\n```"
    )
    assert (one.title, one.kind, one.licence) == ("Guide", "page", "CC-BY-SA-4.0")
    assert one.more == {"language": "en-GB"} and len(one.digest) == 64 and one.at.startswith("20")
    assert crawl.facts["licence"] == "CC-BY-SA-4.0"


def test_it_stays_beneath_the_start(site: Site, tmp_path: Path) -> None:
    elsewhere = site.url.replace("127.0.0.1", "localhost")
    site.routes |= {
        "/docs/": page("Docs", "a", "./a#part", "/docs/b/", "../news", f"{elsewhere}/x", "c.zip"),
        "/docs/a": page("A", "b/", "mailto:x@y.z", "javascript:void(0)", "http://["),
        "/docs/b/": page("B"),
        "/news": page("News"),
    }
    crawl = Crawl(site.url + "/docs/", tmp_path / "1")
    assert crawl.paths(site) == ["/docs/", "/docs/a", "/docs/b/"]
    assert site.asked["/docs/a"] == 1 and site.asked["/docs/c.zip"] == 0
    assert Crawl(site.url + "/docs/", tmp_path / "2", beneath=False).paths(site)[-1] == "/news"
    assert site.asked["/x"] == 0
    Crawl(site.url + "/docs/", tmp_path / "3", same_site=False)
    assert site.asked["/x"] == 1


def test_depth_patterns_and_number_of_pages(site: Site, tmp_path: Path) -> None:
    site.routes |= {
        "/": page("Start", "/api/a", "/old/b"),
        "/api/a": page("A", "/api/deep"),
        "/api/deep": page("Deep"),
        "/old/b": page("B"),
    }
    shallow = Crawl(site.url, tmp_path / "1", depth=1)
    assert shallow.paths(site) == ["/", "/api/a", "/old/b"]
    assert "1 addresses are more than 1 links away" in shallow.skipped[site.url + "/"]
    assert Crawl(site.url, tmp_path / "0", depth=0).paths(site) == ["/"]
    narrow = Crawl(site.url, tmp_path / "2", include=["/api/*"], exclude=["*/deep"])
    assert narrow.paths(site) == ["/api/a"]
    assert "patterns" in narrow.skipped[site.url + "/"]
    few = Crawl(site.url, tmp_path / "3", pages=2)
    assert few.paths(site) == ["/", "/api/a"]
    assert "limit of 2 pages" in few.skipped[site.url + "/"]


def test_a_calendar_without_end_ends(site: Site, tmp_path: Path) -> None:
    def day(handler: Any) -> str:
        n = int(handler.path.rpartition("=")[2] if "=" in handler.path else 0)
        return page(f"Day {n}", f"?day={n + 1}", f"?day={n + 2}")

    site.routes["*"] = day
    site.routes["/robots.txt"] = (404, {}, "")
    crawl = Crawl(site.url, tmp_path, pages=20, depth=100)
    assert len(crawl.pages) == 20 and sum(site.asked.values()) == 21


def test_robots_txt_is_obeyed(site: Site, tmp_path: Path) -> None:
    site.routes |= {
        "/robots.txt": (
            200,
            {"Content-Type": "text/plain"},
            "User-agent: *\nDisallow: /\n\n"
            "User-agent: workbench\nDisallow: /secret\nCrawl-delay: 0.2\n",
        ),
        "/": page("Start", "/secret/a", "/open"),
        "/open": page("Open"),
        "/secret/a": page("Secret"),
    }
    crawl = Crawl(site.url, tmp_path / "1")
    assert crawl.paths(site) == ["/", "/open"]
    assert "robots.txt" in crawl.skipped[site.url + "/secret/a"]
    assert site.asked["/secret/a"] == 0 and site.asked["/robots.txt"] == 1
    with pytest.raises(GatherError, match=r"robots\.txt asks not"):
        Crawl(site.url, tmp_path / "2", user_agent="other/1")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(503, "", "robots"), (429, "", "robots"), (200, "User-agent: *\nCrawl-delay: 9999", "9,999")],
)
def test_a_site_whose_robots_txt_forbids_or_breaks(
    site: Site, tmp_path: Path, status: int, body: str, words: str
) -> None:
    site.routes |= {"/": page("Start"), "/robots.txt": (status, {}, body)}
    with pytest.raises(GatherError, match=words):
        Crawl(site.url, tmp_path)
    assert site.asked["/"] == 0


def test_what_pages_ask_of_crawlers(site: Site, tmp_path: Path) -> None:
    def asks(words: str, *links: str) -> str:
        return page(words, *links).replace("<head>", f"<head><meta name=Robots content='{words}'>")

    site.routes |= {
        "/": page("Start", "/noindex", "/nofollow", "/header", "/noai").replace(
            "</ul>", "<a rel='nofollow noopener' href='/rel'>no</a></ul>"
        ),
        "/noindex": asks("NOINDEX", "/behind"),
        "/nofollow": asks("nofollow", "/hidden"),
        "/noai": asks("noai, noimageai"),
        "/header": (200, {"X-Robots-Tag": "none"}, page("Header", "/hidden")),
        "/behind": page("Behind"),
    }
    crawl = Crawl(site.url, tmp_path)
    assert crawl.paths(site) == ["/", "/nofollow", "/behind"]
    assert sorted(crawl.skipped) == [site.url + one for one in ("/header", "/noai", "/noindex")]
    assert not site.asked["/rel"] and not site.asked["/hidden"]


def test_redirects(site: Site, tmp_path: Path) -> None:
    site.routes |= {
        "/": (302, {"Location": "docs/"}, ""),
        "/docs/": page("Docs", "moved", "loop", "out", "odd", "far", "long0", "a", "forbidden"),
        "/docs/moved": (301, {"Location": "/docs/a"}, ""),
        "/docs/a": page("A"),
        "/docs/loop": (302, {"Location": "loop2"}, ""),
        "/docs/loop2": (302, {"Location": "loop"}, ""),
        "/docs/out": (302, {"Location": "/elsewhere"}, ""),
        "/docs/odd": (302, {"Location": "file:///etc/passwd"}, ""),
        "/docs/far": (302, {"Location": "http://169.254.169.254/latest/"}, ""),
        "/docs/forbidden": (302, {"Location": "/docs/private"}, ""),
        "/robots.txt": (200, {}, "User-agent: *\nDisallow: /docs/private"),
        **{f"/docs/long{n}": (302, {"Location": f"long{n + 1}"}, "") for n in range(9)},
    }
    crawl = Crawl(site.url, tmp_path / "1")
    assert crawl.paths(site) == ["/docs/", "/docs/a"]
    assert crawl.facts["site"] == site.url + "/docs/"
    reasons = {url.rpartition("/")[2]: why for url, why in crawl.skipped.items()}
    assert "circle" in reasons["loop"] and "more than 5" in reasons["long0"]
    assert "not part of this crawl" in reasons["out"] and "no address" in reasons["odd"]
    assert "not part" in reasons["far"] and "robots.txt" in reasons["forbidden"]
    assert site.asked["/elsewhere"] == site.asked["/docs/private"] == 0
    assert site.asked["/docs/a"] == 1  # once by the redirect, and not again
    wide = Crawl(site.url, tmp_path / "2", same_site=False)
    assert "never asked" in wide.skipped[site.url + "/docs/far"]


def test_private_addresses_are_refused_unless_allowed(site: Site, tmp_path: Path) -> None:
    site.routes["/"] = page("Start")
    with pytest.raises(GatherError, match="--allow-private"):
        Crawl(site.url, tmp_path, allow_private=False)
    assert not site.asked


def test_what_breaks_is_skipped_and_the_rest_goes_on(site: Site, tmp_path: Path) -> None:
    stopped = threading.Event()

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        for _ in range(1000):
            handler.wfile.write(b"<p>")
            handler.wfile.flush()
            if stopped.wait(0.05):
                return
        handler.close_connection = True

    def short(handler: Any) -> None:
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nx"
        )
        handler.close_connection = True

    names = ["drip", "500", "short", "bomb", "bombs", "cut", "pdf", "empty", "deep", "404", "last"]
    bomb = gzip.compress(bytes(64 << 20))
    packed = {"Content-Encoding": "gzip"}
    site.routes |= {
        "/": page("Start", *names),
        "/drip": drip,
        "/500": (500, {}, "oh"),
        "/short": short,
        "/bomb": (200, packed, bomb),
        "/bombs": (200, {"Content-Encoding": "gzip, gzip"}, gzip.compress(bomb)),
        "/cut": (200, packed, gzip.compress(page("Cut").encode())[:-20]),
        "/pdf": (200, {"Content-Type": "application/pdf"}, b"%PDF"),
        "/empty": "<html><body></body></html>",
        "/deep": "<div>" * 100_000 + "deep",
        "/last": (200, packed, gzip.compress(page("Last").encode())),
    }
    crawl = Crawl(site.url, tmp_path, timeout=1)
    stopped.set()
    assert [one.title for one in crawl.pages if one.title] == ["Start", "Last"]
    reasons = {url.rpartition("/")[2]: why for url, why in crawl.skipped.items()}
    wanted = {
        "drip": "within 1 seconds", "500": "500", "short": "could not be read", "404": "404",
        "bomb": "larger than 8 MB", "bombs": "not asked for", "cut": "end is missing",
        "pdf": "application/pdf", "empty": "no main text",
    }  # fmt: skip
    assert {name for name, words in wanted.items() if words not in reasons[name]} == set()
    assert site.asked["/500"] == 3


def test_a_site_that_asks_for_patience(site: Site, tmp_path: Path) -> None:
    turns = iter([(429, {"Retry-After": "0"}, ""), (503, {"Retry-After": "x"}, ""), page("Busy")])
    site.routes |= {"/": page("Start", "/busy"), "/busy": lambda _handler: next(turns)}
    assert Crawl(site.url, tmp_path / "1").paths(site) == ["/", "/busy"]
    site.routes["/busy"] = (503, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, "")
    with pytest.raises(GatherError, match="left alone"):
        Crawl(site.url, tmp_path / "2")


def test_a_site_that_goes_away_ends_the_crawl(site: Site, tmp_path: Path) -> None:
    site.routes |= {"/": page("Start", *map(str, range(50))), "*": (500, {}, "")}
    site.routes["/robots.txt"] = (404, {}, "")
    with pytest.raises(GatherError, match="does not answer any more"):
        Crawl(site.url, tmp_path, beneath=False)
    assert len(site.asked) == 7


def test_the_same_page_under_two_addresses_is_taken_once(site: Site, tmp_path: Path) -> None:
    same = page("Start", "/index.html", "/?print=1")
    site.routes |= {"/": same, "/index.html": same, "/?print=1": same}
    crawl = Crawl(site.url, tmp_path)
    assert crawl.paths(site) == ["/"]
    assert "the same, byte for byte" in crawl.skipped[site.url + "/index.html"]


def test_sitemaps(site: Site, tmp_path: Path) -> None:
    site.routes |= {
        "/docs/": page("Docs"),
        "/docs/alone": page("Alone"),
        "/robots.txt": (200, {}, f"Sitemap: {site.url}/maps.xml"),
        "/maps.xml": f"<sitemapindex><sitemap><loc> {site.url}/map.xml</loc></sitemap>"
        f"<sitemap><loc>{site.url}/maps.xml</loc></sitemap></sitemapindex>",
        "/map.xml": f"<urlset><url><loc>{site.url}/docs/alone</loc></url>"
        "<url><loc>https://elsewhere.test/</loc></url><url><loc>nonsense</loc></url></urlset>",
    }
    assert Crawl(site.url + "/docs/", tmp_path / "1").paths(site) == ["/docs/"]
    crawl = Crawl(site.url + "/docs/", tmp_path / "2", sitemap=True)
    assert crawl.paths(site) == ["/docs/", "/docs/alone"]


def test_asked_again_what_has_not_changed_costs_nothing(site: Site, tmp_path: Path) -> None:
    def dated(text: str, links: tuple[str, ...], headers: dict[str, str], name: str) -> Any:
        def answer(handler: Any) -> Any:
            if handler.headers.get(name) == next(iter(headers.values())):
                return (304, {}, "")
            return (200, headers, page(text, *links))

        return answer

    date = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    site.routes |= {
        "/": dated("Start", ("/a", "/old"), {"ETag": '"1"'}, "If-None-Match"),
        "/a": dated("A", (), date, "If-Modified-Since"),
        "/old": (301, {"Location": "/b"}, ""),
        "/b": dated("B", (), {"ETag": '"b"'}, "If-None-Match"),
    }
    first = Crawl(site.url, tmp_path)
    again = Crawl(site.url, tmp_path)
    assert again.facts["unchanged"] == 3 and first.facts["unchanged"] == 0
    assert [(one.address, one.text) for one in again.pages] == [
        (one.address, one.text) for one in first.pages
    ]
    site.routes["/"] = page("New start", "/a")
    third = Crawl(site.url, tmp_path)
    assert [one.title for one in third.pages] == ["New start", "A"]
    assert len(list((tmp_path / "pages").iterdir())) == 2


def test_damaged_files_of_the_cache_are_read_anew(site: Site, tmp_path: Path) -> None:
    site.routes |= {
        "/": (200, {"ETag": '"1"'}, page("Start", "/a", "/b", "/c")),
        **{f"/{one}": (200, {"ETag": f'"{one}"'}, page(one)) for one in "abc"},
    }
    first = Crawl(site.url, tmp_path)
    damages = [b"", b"\x00\xff\n{}", b'["', b"[]\n[]"]
    for path, damage in zip(sorted((tmp_path / "pages").iterdir()), damages, strict=True):
        path.write_bytes(damage)
    (tmp_path / "crawl.json").write_bytes(b"\xff{")
    site.seen.clear()
    again = Crawl(site.url, tmp_path)
    assert [one.text for one in again.pages] == [one.text for one in first.pages]
    assert not any("if-none-match" in headers for _path, headers in site.seen)


def test_a_cancelled_crawl_goes_on_where_it_was(site: Site) -> None:
    stop = threading.Event()

    def fourth(_handler: Any) -> str:
        stop.set()
        return page("/3", "/3/more")

    names = [f"/{n}" for n in range(6)]
    site.routes |= {"/": page("Start", "/gone", *names), "/gone": (302, {"Location": "/0"}, "")}
    site.routes |= {one: page(one, one + "/more") for one in names}
    site.routes |= {one + "/more": page(one + " more") for one in names}
    site.routes["/3"] = fourth
    with pytest.raises(JobCancelled):
        gather("docs", "web", site.url, context=JobContext("", Path(), stop=stop), **QUICK)
    before = set(site.asked) - {"/3", "/robots.txt"}
    assert before == {"/", "/gone", "/0", "/1", "/2"}
    site.asked.clear()
    resumed = gather("docs", "web", site.url, **QUICK)
    assert not before & set(site.asked)
    assert resumed.documents == 13
    whole = gather("whole", "web", site.url, **QUICK)
    assert whole.digest == resumed.digest


def test_cancelled_while_it_waits(site: Site, tmp_path: Path) -> None:
    """A long delay, and a server that never answers, keep nobody waiting."""
    stopped = threading.Event()
    site.routes |= {"/": lambda _handler: stopped.wait(60) and None, "/robots.txt": (404, {}, "")}
    for delay in (3600, 0):
        told: list[str] = []

        def tell(_fraction: float | None, words: str, told: list[str] = told) -> None:
            told.append(words)
            if len(told) > 6:
                raise JobCancelled

        options = {**QUICK, "delay": delay, "timeout": 3600}
        with pytest.raises(JobCancelled):
            list(web(Ask(site.url, tmp_path / str(delay), options, tell=tell)))
        assert set(told) == {"1 of about 1 pages"}
        assert site.asked["/"] == (delay == 0)
    stopped.set()


def test_a_killed_job_goes_on_where_it_was(site: Site) -> None:
    names = [f"/{n}" for n in range(8)]
    reached, release = threading.Event(), threading.Event()

    def sixth(_handler: Any) -> str | None:
        reached.set()
        return page("/5") if release.wait(60) else None

    site.routes |= {"/": page("Start", *names)} | {one: page(one) for one in names}
    site.routes["/5"] = sixth
    try:
        job = submit_gather("docs", "web", site.url, **QUICK)
        assert reached.wait(60)
        with session(read_only=True) as opened:
            pid = opened.query(StoredJob).filter_by(id=job.id).one().pid
        os.kill(pid, signal.SIGKILL)
        assert wait(job.id, 60).state == "interrupted"
        before = set(site.asked) - {"/5", "/robots.txt"}
        assert before == {"/", "/0", "/1", "/2", "/3", "/4"}
        site.asked.clear()
        release.set()
        resume(job.id)
        done = wait(job.id, 60)
        assert done.state == "done", done.error
        assert not before & set(site.asked)
        assert len(list(documents("docs"))) == 9 and not list(skipped("docs"))
    finally:
        release.set()
        stop_supervisor()


@pytest.mark.parametrize(
    "options",
    [
        {"depht": 1}, {"depth": -1}, {"depth": 1.5}, {"depth": True}, {"pages": 0},
        {"delay": "1"}, {"delay": float("nan")}, {"include": [1]}, {"sitemap": "yes"},
        {"user_agent": "a\r\nHost: b"}, {"user_agent": ""}, {"timeout": 0},
    ],
)  # fmt: skip
def test_options_that_make_no_sense(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(GatherError, match=next(iter(options))):
        list(web(Ask("http://127.0.0.1:1/", tmp_path, {**QUICK, **options})))


def test_encodings(site: Site, tmp_path: Path) -> None:
    text = page("Größe", text="Füße und Äpfel, naïve Œuvre, mit vielen Wörtern dazwischen.")
    site.routes |= {
        "/": page("Start", *"abcd"),
        "/a": (200, {"Content-Type": "text/html; charset=windows-1252"}, text.encode("cp1252")),
        "/b": (
            200,
            {"Content-Type": "text/html"},
            text.replace("<head>", "<head><meta charset='iso-8859-15'>").encode("iso-8859-15"),
        ),
        "/c": (200, {"Content-Type": "text/html; charset=iso-8859-1"}, text.encode() + b" "),
        "/d": (200, {"Content-Type": "text/plain; charset=unicode_escape"}, "Größe".encode()),
    }
    found = {one.address[-1]: one.text for one in Crawl(site.url, tmp_path).pages}
    assert all("Füße und Äpfel, naïve Œuvre" in found[one] for one in "abc")
    assert found["d"] == "Größe"


def test_a_sitemap_built_to_keep_a_pattern_busy() -> None:
    """It took hours with the obvious expression."""
    assert not _LOC.findall("<loc>" + " " * 2_000_000)

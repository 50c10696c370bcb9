"""Captions as files, and a site on loopback that answers as YouTube does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Session
from requests.adapters import HTTPAdapter

from workbench.errors import GatherError
from workbench.gather import Ask, Document, Skipped
from workbench.gather._transcript import paragraphs, text_cues, transcript
from workbench.gather._youtube import document, video_of

VIDEO = "dQw4w9WgXcQ"


def only(path: Path) -> Document:
    (one,) = transcript(Ask(str(path), path.parent))
    assert isinstance(one, Document), one
    return one


def words(text: str) -> str:
    return paragraphs(text_cues(text))


def test_vtt(tmp_path: Path) -> None:
    (tmp_path / "talk.vtt").write_text(
        "WEBVTT\nKind: captions\n\nNOTE not shown\n\nSTYLE\n::cue {}\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start\n<b>Hello</b> &amp; welcome\n"
        "to the <i>talk</i>.\n\n1:00:05.500 --> 1:00:07.250\nAfter a pause.\n"
    )
    one = only(tmp_path / "talk.vtt")
    assert one.text == "Hello & welcome to the talk.\n\nAfter a pause."
    assert (one.kind, one.title) == ("transcript", "talk")
    assert one.more == {"seconds": 3607.25, "captions": 2}


def test_srt_with_numbers_and_line_ends_of_windows(tmp_path: Path) -> None:
    text = (
        "1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}First line.\r\n\r\n"
        "2\r\n00:00:02,100 --> 00:00:03,000\r\n- Who?\r\n- Me.\r\n \r\n"
        "3\r\n00:00:03,100 --> 00:00:04,000\r\n42\r\n"
    )
    (tmp_path / "a.srt").write_bytes(text.encode("utf-8-sig"))
    assert only(tmp_path / "a.srt").text == "First line.\n\nWho?\n\nMe. 42"


def test_captions_that_roll_up_are_said_once() -> None:
    assert words(
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000 align:start position:0%\n \nso<00:00:00.500><c> this</c>\n\n"
        "00:00:02.000 --> 00:00:02.010\nso this\n \n\n"
        "00:00:02.010 --> 00:00:04.000\nso this\nis<00:00:03.000><c> rolling</c>\n\n"
        "00:00:04.000 --> 00:00:04.010\nis rolling\n \n\n"
        "00:00:04.010 --> 00:00:06.000\nis rolling\nup\n"
    ) == "so this is rolling up"  # fmt: skip


def test_what_is_said_twice_is_kept() -> None:
    cues = "00:01.000 --> 00:02.000\nNo.\n\n00:02.000 --> 00:03.000\nNo.\n"
    assert words(cues) == "No. No."


def test_speakers_sounds_and_long_paragraphs() -> None:
    assert words(
        "00:00.000 --> 00:01.000\n<v Ann>Hi.</v>\n\n00:01.000 --> 00:02.000\n<v Ann>Well.</v>\n\n"
        "00:02.000 --> 00:03.000\n<v.loud Bob Lee>Hello.\n\n00:03.000 --> 00:04.000\n[Music]\n\n"
        "00:04.000 --> 00:05.000\n>> Next one.\n\n00:05.000 --> 00:06.000\n♪ la la ♪\n"
    ) == "Ann: Hi. Well.\n\nBob Lee: Hello.\n\nNext one."  # fmt: skip
    many = "".join(f"00:{n:02}.000 --> 00:{n + 1:02}.000\n{'word ' * 30}end.\n\n" for n in range(9))
    assert words(many).count("\n\n") == 2


@pytest.mark.parametrize(
    "found",
    [
        {"events": [{"tStartMs": 0, "dDurationMs": 900, "segs": [{"utf8": "Hel"}, {"utf8": "lo"}]},
                    {"tStartMs": 5}, {"tStartMs": 900, "segs": [{"utf8": "\n"}]},
                    {"tStartMs": 1000, "dDurationMs": 1000, "segs": [{"utf8": "you"}]}]},
        [{"text": "Hello", "start": 0, "duration": 1}, {"text": "you", "start": 1, "duration": 1}],
        {"segments": [{"start": 0, "end": 1, "text": " Hello"},
                      {"start": 1, "end": 2, "text": "you"}]},
    ],
)  # fmt: skip
def test_json_of_three_makers(tmp_path: Path, found: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(found))
    one = only(tmp_path / "a.json")
    assert one.text == "Hello you" and one.more["seconds"] == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.vtt", "WEBVTT\n"), ("a.srt", "no captions"), ("a.json", "{}"), ("a.json", "[{}]"),
     ("a.json", "[1]"), ("a.json", "no"), ("a.json", '[{"text": 5, "start": 0}]'), ("a.json", "[]"),
     ("a.json", '{"events": [{"segs": [{"utf8": 1}], "tStartMs": 0}]}'), ("a.json", "[" * 99_999),
     ("a.json", '[{"text": "x", "start": "NaN?"}]'), ("a.vtt", "00:01.0 --> 00:02.0\n[Music]\n"),
     ("a.vtt", "\0\1\2\3")],
)  # fmt: skip
def test_what_is_no_transcript_is_skipped(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "b.vtt").write_text("00:01.000 --> 00:02.000\nGood.\n")
    bad, good = transcript(Ask(str(tmp_path), tmp_path))
    assert isinstance(bad, Skipped) and bad.reason.startswith(name)
    assert isinstance(good, Document) and good.text == "Good."


@given(st.lists(st.sampled_from(
    ["00:01.000 --> 00:02.000", "1:99:99,9 --> 00:00.000", "-->", "", "7", "<v", "<c>word", "two"]
)))  # fmt: skip
def test_any_lines_are_read(lines: list[str]) -> None:
    text = words("\n".join(lines))
    assert text == text.strip()


def test_a_folder_and_a_wrong_address(tmp_path: Path) -> None:
    with pytest.raises(GatherError, match=r"holds no \.vtt"):
        list(transcript(Ask(str(tmp_path), tmp_path)))
    with pytest.raises(GatherError, match="no address of a video"):
        list(transcript(Ask("https://example.org/talk", tmp_path)))


# ---- YouTube


@pytest.mark.parametrize(
    "address",
    [VIDEO, f"https://www.youtube.com/watch?v={VIDEO}&t=5s", f"https://youtu.be/{VIDEO}?si=x",
     f"youtube.com/watch?v={VIDEO}", f"https://m.youtube.com/shorts/{VIDEO}",
     f"https://www.youtube.com/embed/{VIDEO}", f"https://music.youtube.com/watch?v={VIDEO}"],
)  # fmt: skip
def test_addresses_of_videos(address: str) -> None:
    assert video_of(address) == VIDEO


@pytest.mark.parametrize(
    "address",
    [f"https://youtube.com.evil.org/watch?v={VIDEO}", "https://youtu.be/", "short", "//["],
)
def test_addresses_that_are_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(GatherError, match="no address of a video"):
        list(transcript(Ask(address, tmp_path)))


class Site(BaseHTTPRequestHandler):
    """Answers the three questions that the library asks; `answers` holds what is to be said."""

    answers: dict[str, Any]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        status, text = self.answers.get(path, (404, "nothing"))
        data = text.encode() if isinstance(text, str) else json.dumps(text).encode()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


class Rerouted(HTTPAdapter):
    """Sends what is meant for YouTube to the server on loopback."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def send(self, request: Any, *args: Any, **more: Any) -> Any:
        parts = urlsplit(request.url)
        request.url = f"http://127.0.0.1:{self._port}{parts.path}?{parts.query}"
        return super().send(request, *args, **more)


TRACK = {
    "baseUrl": "https://www.youtube.com/api/timedtext?v=x",
    "name": {"runs": [{"text": "English"}]},
    "languageCode": "en",
    "kind": "asr",
    "isTranslatable": False,
}
CAPTIONS = {"playerCaptionsTracklistRenderer": {"captionTracks": [TRACK]}}
GOOD: dict[str, Any] = {
    "/watch": (200, '<html>"INNERTUBE_API_KEY": "key"</html>'),
    "/youtubei/v1/player": (200, {"playabilityStatus": {"status": "OK"}, "captions": CAPTIONS}),
    "/api/timedtext": (200, '<transcript><text start="0" dur="1.5">Hello &amp;amp; all</text>'
                            '<text start="1.5" dur="2">of you.</text></transcript>'),
}  # fmt: skip


@pytest.fixture
def site() -> Iterator[tuple[dict[str, Any], Session]]:
    """What the site answers, to be changed, and a client that reaches it."""
    answers = dict(GOOD)
    handler = type("Handler", (Site,), {"answers": answers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, Session() as client:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        client.trust_env = False
        client.mount("https://", Rerouted(server.server_port))
        yield answers, client
        server.shutdown()
        thread.join()


def test_a_video(site: tuple[dict[str, Any], Session], tmp_path: Path) -> None:
    asked = Ask(VIDEO, tmp_path)
    one = document(asked, VIDEO, ["de", "en"], site[1])
    assert one.text == "Hello & all of you."
    assert one.address == f"https://www.youtube.com/watch?v={VIDEO}"
    assert one.more == {"seconds": 3.5, "captions": 2, "language": "en", "by_machine": True}
    assert asked.facts == {"site": "youtube.com", "video": VIDEO, "language": "en"}


def status(word: str, reason: str = "") -> tuple[int, Any]:
    return 200, {"playabilityStatus": {"status": word, "reason": reason}}


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/youtubei/v1/player", status("LOGIN_REQUIRED", "Sign in to confirm you’re not a bot"),
         "blocks requests from this network"),
        ("/watch", (200, '<div class="g-recaptcha">'), "blocks requests from this network"),
        ("/watch", (429, "too many"), "blocks requests from this network"),
        ("/watch", (500, "broken"), "refused the request"),
        ("/watch", (200, "<html>new</html>"), "gave no transcript|not known"),
        ("/youtubei/v1/player", status("ERROR", "This video is unavailable"), "There is no video"),
        ("/youtubei/v1/player", status("UNPLAYABLE", "Members only"), "Members only"),
        ("/youtubei/v1/player", status("LOGIN_REQUIRED",
         "This video may be inappropriate for some users."), "only to those who log in"),
        ("/youtubei/v1/player", status("OK"), "none is offered"),
        ("/youtubei/v1/player", (200, "no json"), "not known|does not answer"),
        ("/api/timedtext", (200, "no xml"), "in a form that is not known"),
        ("/api/timedtext", (200, "<transcript/>"), "captions without words"),
    ],
)  # fmt: skip
def test_what_the_site_refuses_is_said(
    site: tuple[dict[str, Any], Session], tmp_path: Path, path: str, answer: Any, said: str
) -> None:
    site[0][path] = answer
    with pytest.raises(GatherError, match=said) as caught:
        document(Ask(VIDEO, tmp_path), VIDEO, ["en"], site[1])
    assert "\n" not in str(caught.value) and "github.com" not in str(caught.value)


def test_another_language_is_named(site: tuple[dict[str, Any], Session], tmp_path: Path) -> None:
    with pytest.raises(GatherError, match=r"in de, fr\. Name other `languages`; there are: en\."):
        document(Ask(VIDEO, tmp_path), VIDEO, ["de", "fr"], site[1])


def test_without_a_network(tmp_path: Path) -> None:
    with Session() as client:
        client.trust_env = False
        client.mount("https://", Rerouted(1))  # nobody listens there
        with pytest.raises(GatherError, match="Is there a network"):
            document(Ask(VIDEO, tmp_path), VIDEO, ["en"], client)

"""Transcripts: files of captions (.vtt, .srt, .json) and videos of YouTube.

Captions are made for reading along: they repeat what stands on the screen, cut sentences, and
carry marks. Here they become paragraphs. A pause, another speaker, or a sentence's end in a long
paragraph begins a new one.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from workbench.documents import Ask, Document, Skipped, Unreadable, chosen, decode
from workbench.errors import GatherError
from workbench.gather._files import name_of, walk

MAX_BYTES = 32 << 20
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?\s+([^>]+)>")
_TAG = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,60}\}")
_SOUND = re.compile(r"[\[(♪♫][^\])♪♫]*[\])♪♫]?")
_PAUSE, _LONG = 3.0, 600  # seconds; characters
_SHORT = 0.1  # seconds: such a cue only holds a line that rolls up


class Cue(NamedTuple):
    """Lines on the screen; seconds from the beginning."""

    start: float
    end: float
    lines: list[str]


def transcript(ask: Ask) -> Iterator[Document | Skipped]:
    """The transcripts of a file, of all below a folder, or of a video of YouTube (URL or id).

    Options: `languages` (codes, the best first; of a video), `include`, `exclude` (of a folder).
    Raises GatherError where there is none.
    """
    options = chosen(ask, languages=("en",), include=(), exclude=())
    root = Path(ask.address).absolute()
    if not os.path.exists(root):  # noqa: PTH110 (no error for a name that is too long)
        from workbench.gather import _youtube as youtube

        video = youtube.video_of(ask.address)
        if not video:
            raise GatherError(
                f"{ask.address[:80]!r} is no file or folder, and no address of a video of YouTube."
            )
        yield youtube.document(ask, video, options.languages)
        return
    found = walk(root, options.include, options.exclude)
    wanted = (".vtt", ".srt", ".json")
    items = [o for o in found if isinstance(o, Skipped) or o.name.lower().endswith(wanted)]
    if not items:
        raise GatherError(f"{name_of(root)} holds no .vtt, .srt or .json.")
    for number, item in enumerate(items):
        if isinstance(item, Skipped):
            yield item
            continue
        ask.tell(number / len(items), item.name)
        if ask.known(item.address):
            continue
        try:
            if item.size > MAX_BYTES:
                raise Unreadable("is larger than 32 MB: no transcript is")
            with item.open() as file:
                yield _document(item.address, file.read(MAX_BYTES))
        except (Unreadable, OSError) as error:
            words = error if isinstance(error, Unreadable) else "cannot be read"
            yield Skipped(item.address, f"{item.name} {words}.")


def _document(address: str, data: bytes) -> Document:
    path = Path(address)
    found, more = decode(data)
    cues = json_cues(found) if path.suffix.lower() == ".json" else text_cues(found)
    if not cues:
        raise Unreadable("holds no captions")
    return document_of(
        cues, address, digest=hashlib.sha256(data).hexdigest(), title=path.stem, more=more
    )


def document_of(
    cues: list[Cue], address: str, *, digest: str, title: str, more: Mapping[str, Any]
) -> Document:
    """Cues as a document. Raises Unreadable where they have no words."""
    text = paragraphs(cues)
    if not text:
        raise Unreadable("holds captions without words")
    length = round(max(cue.end for cue in cues), 3)
    return Document(
        text, address, "transcript", title=title, digest=digest,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        more={"seconds": length, "captions": len(cues), **more},
    )  # fmt: skip


def text_cues(text: str) -> list[Cue]:
    """The cues of WebVTT (w3.org/TR/webvtt1) or SubRip; what is between them is passed over."""
    cues: list[Cue] = []
    words: list[str] | None = None  # of the cue that is being read
    for line in text.split("\n"):
        times = _TIMES.match(line)
        if times is not None:
            if words and words[-1].strip().isdecimal():  # SubRip's number of the next cue
                words.pop()
            start, end = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
            words = []
            cues.append(Cue(start, max(start, end), words))
        elif not line:
            words = None
        elif words is not None:
            words.append(line)
    return cues


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, rest = (part or "0" for part in parts)
    return int(hours[:6]) * 3600 + int(minutes) * 60 + int(seconds) + int(rest.ljust(3, "0")) / 1000


def json_cues(text: str) -> list[Cue]:
    """The cues of YouTube's json3, of lists of {text, start, duration}, of Whisper's segments.

    Raises Unreadable where it is none of these.
    """
    try:
        found = json.loads(text)
        if isinstance(found, dict) and "events" in found:
            return [
                _cue(one["tStartMs"] / 1000, one.get("dDurationMs", 0) / 1000,
                     "".join(part.get("utf8", "") for part in one["segs"]))
                for one in found["events"] if "segs" in one
            ]  # fmt: skip
        rows = found["segments"] if isinstance(found, dict) else found
        return [
            _cue(row["start"], row.get("duration", row.get("end", row["start"]) - row["start"]),
                 row["text"])
            for row in rows
        ]  # fmt: skip
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise Unreadable("is no transcript in a form that is known") from None


def _cue(start: Any, duration: Any, text: Any) -> Cue:
    if not isinstance(text, str):
        raise TypeError
    return Cue(float(start), float(start) + max(0.0, float(duration)), text.split("\n"))


def paragraphs(cues: list[Cue]) -> str:
    """The cues' words as running text, without what they repeat, tags and notes of sounds."""
    found: list[str] = []
    shown: list[str] = []  # the lines of the cue before
    end, speaker = 0.0, ""
    for cue in cues:
        voice = _VOICE.search(" ".join(cue.lines))
        lines = [line for line in map(_plain, cue.lines) if line]
        fresh, end_before = _fresh(lines, shown, cue), end
        shown, end = lines or shown, cue.end
        for line in fresh:
            turn = line.startswith((">>", "- "))
            words = line.lstrip("> ").removeprefix("- ") if turn else line
            if voice and voice[1].strip() != speaker:
                speaker, turn = voice[1].strip(), True
                words = f"{speaker}: {words}"
            last = found[-1] if found else ""
            over = len(last) > _LONG and last.endswith((".", "!", "?", "…", "。", '."', ".”"))
            if not last or turn or over or cue.start - end_before > _PAUSE:
                found.append(words)
            else:
                found[-1] = f"{last} {words}"
            end_before = cue.start
    return "\n\n".join(found)


def _plain(line: str) -> str:
    """Without tags, entities and notes like [Music]."""
    text = html.unescape(_TAG.sub("", line)).replace("\u200b", "").replace("\xa0", " ")
    text = " ".join(text.split())
    return "" if _SOUND.fullmatch(text) else text


def _fresh(lines: list[str], shown: list[str], cue: Cue) -> list[str]:
    """The lines that did not stand on the screen just before.

    A whole cue that comes again may have been said again, but not in a tenth of a second.
    """
    for count in range(min(len(lines), len(shown)), 0, -1):
        if shown[-count:] == lines[:count]:
            again = count == len(lines) and cue.end - cue.start > _SHORT
            return lines if again else lines[count:]
    return lines

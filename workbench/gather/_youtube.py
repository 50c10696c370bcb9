"""A video's transcript from YouTube, by youtube-transcript-api: made by people, else by machine.

YouTube offers no open interface for this; it refuses many addresses of data centres, and then
only another network helps. What the library raises becomes one sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from workbench.documents import Ask, Document, Unreadable
from workbench.errors import GatherError

if TYPE_CHECKING:
    from requests import Session

_ID = re.compile(r"[\w-]{11}", re.ASCII)
_SECONDS = 30
_INSTEAD = "Or get the captions in a browser and gather the file."


def video_of(address: str) -> str:
    """The id in an address of YouTube, or the id itself; "" where it is neither."""
    if _ID.fullmatch(address):
        return address
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
    except ValueError:
        return ""
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    path = parts.path.strip("/").split("/")
    if host == "youtu.be":
        found = path[0]
    elif host in {"youtube.com", "music.youtube.com", "youtube-nocookie.com"}:
        named = len(path) > 1 and path[0] in {"embed", "shorts", "live", "v"}
        found = path[1] if named else parse_qs(parts.query).get("v", [""])[0]
    else:
        found = ""
    return found if _ID.fullmatch(found) else ""


def document(
    ask: Ask, video: str, languages: Sequence[str], client: Session | None = None
) -> Document:
    """The transcript as a document. Raises GatherError where there is none to be had."""
    from requests import RequestException
    from youtube_transcript_api import YouTubeTranscriptApi, YouTubeTranscriptApiException

    from workbench.gather._transcript import Cue, document_of

    ask.tell(None, f"Asking YouTube for the transcript of {video}")
    try:
        fetched = YouTubeTranscriptApi(http_client=client or _session()).fetch(video, languages)
        cues = [Cue(one.start, one.start + one.duration, one.text.split("\n")) for one in fetched]
        words = "\n".join(one.text for one in fetched)
        ask.facts.update(site="youtube.com", video=video, language=fetched.language_code)
        return document_of(
            cues, f"https://www.youtube.com/watch?v={video}", title=f"YouTube video {video}",
            digest=hashlib.sha256(words.encode("utf-8", "replace")).hexdigest(),
            more={"language": fetched.language_code, "by_machine": fetched.is_generated},
        )  # fmt: skip
    except YouTubeTranscriptApiException as error:
        raise GatherError(explained(error, video, languages)) from None
    except RequestException as error:
        raise GatherError(
            f"YouTube does not answer ({type(error).__name__}). Is there a network? {_INSTEAD}"
        ) from None
    except Unreadable as error:
        raise GatherError(f"The transcript of the video {video} {error}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError):  # the site has changed
        raise GatherError(
            "YouTube answered in a form that is not known. A newer youtube-transcript-api may "
            f"know it. {_INSTEAD}"
        ) from None


def explained(error: Exception, video: str, languages: Sequence[str]) -> str:
    """What the library found, in a sentence for a person, with what to do."""
    import youtube_transcript_api as library

    known: list[tuple[type[Exception], str]] = [
        (library.RequestBlocked, "YouTube blocks requests from this network, as it does for many "
         f"data centres. Try later or from another network. {_INSTEAD}"),
        (library.TranscriptsDisabled, f"The video {video} has no transcript: none is offered."),
        (library.NoTranscriptFound, f"The video {video} has no transcript in "
         f"{', '.join(languages)}. Name other `languages`{_there(error)}."),
        (library.AgeRestricted, f"YouTube shows the video {video} only to those who log in."),
        (library.VideoUnavailable, f"There is no video {video}, or it was taken down."),
        (library.InvalidVideoId, f"There is no video {video}."),
        (library.VideoUnplayable, f"YouTube does not play the video {video}: "
         f"{str(getattr(error, 'reason', '') or 'it does not say why')[:200]}"),
        (library.YouTubeRequestFailed, f"YouTube refused the request. Try later. {_INSTEAD}"),
        (library.PoTokenRequired, "YouTube asks for a proof that a browser gives. "
         f"{_INSTEAD}"),
    ]  # fmt: skip
    for kind, words in known:
        if isinstance(error, kind):
            return words
    return f"YouTube gave no transcript ({type(error).__name__}). {_INSTEAD}"


def _there(error: Exception) -> str:
    found = getattr(error, "_transcript_data", None) or ()
    codes = ", ".join(str(one.language_code) for one in found)
    return f"; there are: {codes}"[:300] if codes else ""


def _session() -> Session:
    """Requests of it end after a while, which the library leaves open."""
    from requests import Session

    class Timed(Session):
        def request(self, *args: Any, **more: Any) -> Any:
            return super().request(*args, **{"timeout": _SECONDS, **more})

    return Timed()

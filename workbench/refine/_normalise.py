"""One way to write each text: Unicode, lines and spaces; wrongly decoded letters repaired.

Everything that costs time is done only where a quick look says that there is something to do.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

# Control characters but tab and newline; invisible ones, among them those that turn the direction
# of what follows (CVE-2021-42574). The joiners U+200C and U+200D stay: scripts and emoji need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x0d\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
_CONTROLS = bytes({*range(32), 127} - {9, 10})
# UTF-8 read as Windows-1252 or Latin-1: a lead byte's letter, then that of a following byte.
_MOJIBAKE = re.compile("[\xc2-\xf4][\x80-\xbf\u20ac\u201a-\u201e\u2018-\u201d\u2122\u0152-\u0178]")
_MANY_EMPTY = re.compile(r"\n{4,}")


def normalised(text: str) -> str:
    """The text in normal form C with "\\n" as line end, nothing invisible, at most two empty lines
    in a row, and no spaces at the ends of lines."""
    beyond = _beyond_ascii(text)
    if _MOJIBAKE.search(beyond):
        text = _decoded_again(text)
        beyond = _beyond_ascii(text)
    if beyond:
        text = text.replace("\u2028", "\n").replace("\u2029", "\n")
        text = text.replace("\xa0", " ").replace("\x85", "\n")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = text.encode("ascii", "ignore")
    if len(plain.translate(None, _CONTROLS)) < len(plain) or _INVISIBLE.search(beyond):
        text = _INVISIBLE.sub("", text.replace("\f", "\n").replace("\v", "\n"))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text or text[-1:] in (" ", "\t"):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n\n" in text:
        text = _MANY_EMPTY.sub("\n\n\n", text)
    return text.strip("\n")


def _beyond_ascii(text: str) -> str:
    """The characters that are not ASCII, in order: few, so that searches in them are fast."""
    if text.isascii():
        return ""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    return codes[codes > 127].tobytes().decode("utf-32-le", "surrogatepass")


def writable(text: str) -> str:
    """Half characters, which UTF-8 cannot write, become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _decoded_again(text: str) -> str:
    """Lines that look as if UTF-8 had been read as another encoding, as ftfy would have them."""
    from ftfy import fix_encoding  # slow to load and to run, rarely needed

    lines = text.split("\n")
    return "\n".join(fix_encoding(line) if _MOJIBAKE.search(line) else line for line in lines)

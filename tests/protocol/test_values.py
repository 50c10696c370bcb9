"""Durations, keep_alive, options and digests."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import InvalidRequest
from workbench.protocol import (
    DEPRECATED_OPTIONS,
    OPTIONS,
    check_options,
    digest_of,
    option_from_text,
    parse_digest,
    parse_duration,
    parse_keep_alive,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("-1.5s", -1.5), ("0", 0), ("+2s", 2),
     (".5h", 1800), ("1.m", 60), ("10us", 1e-5), ("10µs", 1e-5), ("3ns", 3e-9),
     ("2540400h", 2540400 * 3600)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "words"),
    [("300", "missing unit"), ("", "invalid"), ("-", "invalid"), ("5 m", "missing unit"),
     ("m", "invalid"), ("5x", "missing unit"), ("forever", "invalid"), ("1h-2m", "invalid"),
     ("9999999h", "invalid"), ("٥m", "invalid"), ("1e3s", "missing unit"), ("x" * 10_000, "…")],
)  # fmt: skip
def test_bad_durations(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(300, 300), (0, 0), (1.5, 1.5), (-1, math.inf), ("-1m", math.inf), ("10m", 600), ("0", 0),
     (1e300, math.inf), (-1e300, math.inf), (math.inf, math.inf)],
)  # fmt: skip
def test_keep_alive(value: object, seconds: float) -> None:
    assert parse_keep_alive(value) == seconds


@pytest.mark.parametrize("value", ["300", "soon", True, None, [], {}, math.nan])
def test_bad_keep_alive(value: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_keep_alive(value)


def test_the_environment_may_give_bare_seconds() -> None:
    assert parse_keep_alive("300", bare=True) == 300
    assert parse_keep_alive("-1", bare=True) == math.inf


def test_options_are_coerced_as_ollama_does() -> None:
    given = {"top_k": 40.9, "temperature": 1, "stop": ["a"], "seed": None, "zzz": 1, "numa": True}
    checked = check_options(given)
    assert checked == {"top_k": 40, "temperature": 1.0, "stop": ["a"]}
    assert isinstance(checked["top_k"], int)
    assert isinstance(checked["temperature"], float)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [("top_k", "40", "integer"), ("top_k", True, "integer"), ("temperature", "hot", "float32"),
     ("temperature", math.nan, "float32"), ("use_mmap", 1, "boolean"), ("num_ctx", {}, "integer"),
     ("stop", [1], "array of strings"), ("stop", 1, "array of strings"),
     ("num_ctx", math.inf, "integer"), ("num_ctx", 1e30, "integer")],
)  # fmt: skip
def test_a_wrong_type_is_named(name: str, value: Any, kind: str) -> None:
    with pytest.raises(InvalidRequest, match=f'^option "{name}" must be of type {kind}$'):
        check_options({name: value})


def test_a_choice_is_one_of_its_texts() -> None:
    assert check_options({"kv_cache_type": "q4_0"}) == {"kv_cache_type": "q4_0"}
    for value in ("Q4_0", "", 4, ["q4_0"]):
        with pytest.raises(InvalidRequest, match=r"must be f16, q8_0 or q4_0$"):
            check_options({"kv_cache_type": value})


def test_options_from_text() -> None:
    assert option_from_text("num_ctx", "4096") == 4096
    assert option_from_text("num_ctx", "4096.0") == 4096
    assert option_from_text("temperature", "1") == 1.0
    assert option_from_text("use_mmap", "True") is True
    assert option_from_text("stop", "x") == "x"
    assert option_from_text("kv_cache_type", "q8_0") == "q8_0"
    for name, text in [
        ("kv_cache_type", "q8"),
        ("num_ctx", "9" * 30),
        ("num_ctx", "inf"),
        ("top_p", ""),
        ("zzz", "1"),
    ]:
        with pytest.raises(InvalidRequest):
            option_from_text(name, text)


def test_the_table_explains_itself() -> None:
    assert not DEPRECATED_OPTIONS & OPTIONS.keys()
    for name, option in OPTIONS.items():
        assert option.name == name
        assert option.meaning.endswith(".")
        if option.default is not None:
            assert check_options({name: option.default}) == {name: option.default}
        if option.kind in {"int", "float"}:
            assert option.minimum is not None
            assert option.maximum is not None
            assert option.step


def test_digests(tmp_path: Path) -> None:
    text = digest_of(b"abc")
    assert text == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    (tmp_path / "file").write_bytes(b"abc")
    assert digest_of(tmp_path / "file") == text
    assert parse_digest(text) == parse_digest(text.replace(":", "-").upper().replace("SHA", "sha"))


@pytest.mark.parametrize(
    "text",
    ["", "sha256", "sha256:", "a" * 64, "sha256:" + "a" * 63, "sha256:" + "g" * 64,
     "md5:" + "a" * 64, "sha256:" + "a" * 64 + "\n",
     "../sha256:" + "a" * 64, "sha256:" + "a" * 65],
)  # fmt: skip
def test_bad_digests(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid digest format"):
        parse_digest(text)

"""The environment: what is honoured, in which order, and what is refused with words."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import settings
from workbench.errors import SettingsError


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", None),
        ("localhost", "http://localhost:11434"),
        (":9000", "http://127.0.0.1:9000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://box.local", "https://box.local:443"),
        ("http://box.local/api/", "http://box.local:80"),
        ("http://box:1/ollama/v1", "http://box:1/ollama"),
    ],
)
def test_engine_address(value: str, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", value)
    assert settings.configured_engine_url() == url


def test_first_address_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "third:3")
    monkeypatch.setenv("OLLAMA_API_URL", "http://second:2/api")
    assert settings.configured_engine_url() == "http://second:2"
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://first:1")
    assert settings.configured_engine_url() == "http://first:1"


@pytest.mark.parametrize("value", ["ftp://x", "http://x:port", "x:99999"])
def test_bad_address(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", value)
    with pytest.raises(SettingsError, match="OLLAMA_HOST"):
        settings.configured_engine_url()


def test_home_is_private_and_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "a" / "b"))
    assert settings.home().is_dir()
    assert settings.home().stat().st_mode & 0o077 == 0
    assert settings.models_folder() == tmp_path / "a" / "b" / "models"


def test_home_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(SettingsError, match="WORKBENCH_HOME"):
        settings.home()


def test_numbers_and_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_X", "12")
    assert settings.env_int("WORKBENCH_X", 1) == 12
    with pytest.raises(SettingsError, match="at least 20"):
        settings.env_int("WORKBENCH_X", 1, minimum=20)
    monkeypatch.setenv("WORKBENCH_X", "many")
    with pytest.raises(SettingsError, match="whole number"):
        settings.env_int("WORKBENCH_X", 1)
    with pytest.raises(SettingsError, match="1 or 0"):
        settings.env_flag("WORKBENCH_X")
    monkeypatch.setenv("DEBUG", "on")
    assert settings.log_level() == "DEBUG"

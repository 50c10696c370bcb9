"""The home, the settings, the packages: each fault here is really made."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_tools import examine, mend, verdict

from workbench import settings
from workbench.doctor import ACTIONS, Check


def test_a_fresh_home() -> None:
    found = examine()
    for name in ("home", "settings", "store", "model files", "jobs", "packages"):
        assert verdict(found, name) is True, found[name]
    (engine,) = found["engine"]
    assert engine.ok is False and engine.command == "workbench engine start"
    every = [item for items in found.values() for item in items]
    assert all(item.command is None and not item.action for item in every if item.ok)
    assert all(item.action in ACTIONS for item in every if item.action)


def test_a_home_that_others_can_read() -> None:
    settings.home().chmod(0o755)
    (item,) = examine()["home"]
    assert item.ok is False and item.command == f"chmod 700 '{settings.home()}'"
    assert item.safe and mend(item).done
    assert verdict(examine(), "home") is True


def test_a_home_that_cannot_be_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
    found = examine()
    assert verdict(found, "home") is False
    assert set(found) == {"home", "settings", "packages"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKBENCH_ENGINE", "gpu"),
        ("OLLAMA_HOST", "ftp://x"),
        ("LOG_LEVEL", "LOUD"),
        ("WORKBENCH_MAX_JOBS", "0"),
        ("WORKBENCH_ENGINE_IDLE", "soon"),
        ("OLLAMA_KEEP_ALIVE", "long"),
        ("OPTIMIZATION_TIMEOUT_MINUTES", "x"),
        ("WORKBENCH_MODELS", "~/.ollama/models"),
    ],
)
def test_settings_that_make_no_sense(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    items = examine()["settings"]
    assert [item.ok for item in items] == [False]


def test_good_settings_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("WORKBENCH_ENGINE_IDLE", "-1"),
        ("OLLAMA_KEEP_ALIVE", "300"),
        ("WORKBENCH_MAX_JOBS", "2"),
        ("DEBUG", "yes"),
    ):
        monkeypatch.setenv(name, value)
    assert verdict(examine(), "settings") is True


def test_a_misspelt_variable_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MODEL", "/x")
    _, item = examine()["settings"]
    assert item.ok is None and "WORKBENCH_MODELS" in str(item.fix)


def test_what_has_no_action_is_done_by_hand() -> None:
    item = Check("packages", False, "x is needed.", "Install it.", "pip install x")
    assert not mend(item).done and "pip install x" in mend(item).words

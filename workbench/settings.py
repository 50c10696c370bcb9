"""The environment and its defaults, in one place; `home()` is the workbench's folder.

Everything is read when asked for, never at import, so a test or a notebook can change it.
An empty variable counts as unset.

    WORKBENCH_HOME           the folder of everything we keep (default: platform's data folder)
    WORKBENCH_DATABASE_URL   SQLAlchemy URL (default: SQLite in the home)
    WORKBENCH_ENGINE         "auto" (default), "embedded", or "ollama"
    WORKBENCH_MODELS         the embedded engine's models (default: <home>/models)
    WORKBENCH_ENGINE_IDLE    the embedded engine ends after so long without requests ("2h")
    WORKBENCH_ENGINE_MEMORY  most memory for the embedded engine's models together ("6G")
    WORKBENCH_MAX_JOBS       jobs that run at once (1)
    WORKBENCH_EXECUTOR       where fine-tuning learns: "local" (default), "ray://host:port", "ray"
    WORKBENCH_WORKERS        processes of Ray that learn together (default: a graphics card each)
    WORKBENCH_TRASH_DAYS     how long what was pruned can be brought back (30; 0: until emptied)
    WORKBENCH_SANDBOX        "auto" (default), "bubblewrap", "landlock" or "limits"
    WORKBENCH_CANCEL_SECONDS how long a cancelled job may take to end by itself (5)
    OLLAMA_BASE_URL, OLLAMA_API_URL, OLLAMA_HOST   the engine's address; the first one set wins
    DEBUG, LOG_LEVEL         how much is logged
    TASKMASTER_BASE_PATH, FINE_TUNING_PATH, PERFORMANCE_DATA_PATH,
    MAX_OPTIMIZATION_ITERATIONS, OPTIMIZATION_TIMEOUT_MINUTES   read by the rooms they concern
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from workbench.errors import SettingsError

OLLAMA_DEFAULT_URL = "http://127.0.0.1:11434"
_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (we go there, not bind)


def env(name: str, default: str = "") -> str:
    """The variable's value without surrounding space; `default` when unset or empty."""
    return os.environ.get(name, "").strip() or default


def env_int(name: str, default: int, *, minimum: int | None = None) -> int:
    """An integer variable. Raises SettingsError when it is none or below `minimum`."""
    text = env(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {text!r}.") from None
    if minimum is not None and value < minimum:
        raise SettingsError(f"{name} must be at least {minimum}, not {value}.")
    return value


def env_flag(name: str, default: bool = False) -> bool:
    """A yes/no variable: 1, true, yes, on and their opposites."""
    text = env(name).lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{name} must be 1 or 0, not {text!r}.")


def home() -> Path:
    """The workbench's folder, made (private to the user) when it does not exist."""
    configured = env("WORKBENCH_HOME")
    if configured:
        path = Path(configured).expanduser().absolute()
    else:
        from platformdirs import user_data_path  # ~5 ms, only without WORKBENCH_HOME

        path = user_data_path("workbench", appauthor=False)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"The workbench's folder {path} cannot be made ({error.strerror}). "
            "Set WORKBENCH_HOME to a folder you can write to."
        ) from error
    return path


def models_folder() -> Path:
    """Where the embedded engine keeps its models. Never a live Ollama's own folder."""
    configured = env("WORKBENCH_MODELS")
    return Path(configured).expanduser().absolute() if configured else home() / "models"


def database_url() -> str:
    """SQLAlchemy URL of the store."""
    return env("WORKBENCH_DATABASE_URL") or f"sqlite:///{home() / 'workbench.db'}"


def engine_choice() -> str:
    """Which engine is wanted: "auto", "embedded" or "ollama"."""
    choice = env("WORKBENCH_ENGINE", "auto").lower()
    if choice not in {"auto", "embedded", "ollama"}:
        raise SettingsError(f"WORKBENCH_ENGINE must be auto, embedded or ollama, not {choice!r}.")
    return choice


def executor() -> str:
    """Where fine-tuning learns: "" (in the job's process), "ray" (a cluster of this machine that
    the job starts for itself), or a Ray cluster's client address, `ray://host:port`."""
    value = env("WORKBENCH_EXECUTOR", "local")
    if value.lower() in {"local", "ray"}:
        return "" if value.lower() == "local" else "ray"
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port or 10001  # the port that Ray takes
    except ValueError:
        host, port = "", 0
    if not host or parts.scheme != "ray" or parts.path.strip("/") or parts.query or parts.username:
        raise SettingsError(
            f"WORKBENCH_EXECUTOR must be local, ray, or the client address of a Ray cluster such "
            f"as ray://10.0.0.5:10001, not {value[:80]!r}."
        )
    return f"ray://[{host}]:{port}" if ":" in host else f"ray://{host}:{port}"


def configured_engine_url() -> str | None:
    """The engine's address from the environment, as a URL; None when none is set (CFG-1)."""
    for name in ("OLLAMA_BASE_URL", "OLLAMA_API_URL", "OLLAMA_HOST"):
        value = env(name)
        if value:
            return engine_url(value, source=name)
    return None


def engine_url(value: str, *, source: str = "The engine's address") -> str:
    """A host, `:port`, `host:port` or URL as a URL without a path, by Ollama's rules.

    Without a scheme the port defaults to 11434; `http` means 80 and `https` 443. A wildcard
    address means this machine. `/api` and `/v1` at the end are dropped.
    """
    has_scheme = "://" in value
    try:
        parts = urlsplit(value if has_scheme else f"http://{value}")
        port = parts.port
    except ValueError:
        raise SettingsError(f"{source} is not an address: {value!r}.") from None
    if parts.scheme not in {"http", "https"}:
        raise SettingsError(f"{source} must begin with http:// or https://, not {value!r}.")
    host = parts.hostname or "127.0.0.1"
    host = _THIS_MACHINE.get(host, host)
    host = f"[{host}]" if ":" in host else host
    port = port or ({"http": 80, "https": 443}[parts.scheme] if has_scheme else 11434)
    path = parts.path.rstrip("/")
    for suffix in ("/api", "/v1"):
        path = path.removesuffix(suffix)
    return f"{parts.scheme}://{host}:{port}{path}"


def log_level() -> str:
    """Name of the logging level: LOG_LEVEL, else DEBUG when DEBUG is on, else INFO."""
    level = env("LOG_LEVEL").upper()
    if level:
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise SettingsError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}.")
        return level
    return "DEBUG" if env_flag("DEBUG") else "INFO"

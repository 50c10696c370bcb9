"""One tree of errors. Each message says what happened and what to do next.

WorkbenchError
├── SettingsError         an environment variable or a setting makes no sense
├── MissingExtra          an optional package is not installed
├── ModelfileError        a Modelfile has a bad line (knows the line)
├── GGUFError             a GGUF file is damaged, hostile or not supported
├── FitError              a network cannot be priced: facts are missing or absurd
├── StoreError            the database cannot be used
├── JobError              a job cannot be submitted, found, resumed
├── TrainingError         a model cannot be trained, or came out wrong
├── SandboxError          code that nobody trusts cannot be run safely here
├── TaskError             a task or a suite cannot be read (knows the file and the line)
├── GatherError           documents cannot be had
├── DataError             examples or a dataset cannot be used (knows the file and the line)
├── BenchError            models cannot be measured or compared so
├── TuneError             settings cannot be searched, tried or applied so
│   └── TrialFailed       an engine could not work under the settings of one trial
└── EngineError           an engine answered with an error (knows the HTTP status)
    ├── EngineUnreachable nothing answers, or the connection broke before an answer
    ├── InvalidRequest    the engine refused the request (400 and its kin)
    ├── ModelNotFound     no such model in the engine
    ├── EngineBusy        the queue is full; try again later
    ├── NotEnoughMemory   the model can never fit on this machine
    └── StreamBroken      a stream ended before its last line
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of all errors that are ours: the message is fit to be shown to a person."""


class SettingsError(WorkbenchError):
    """An environment variable or a setting makes no sense."""


class MissingExtra(WorkbenchError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed. Install it with: pip install 'workbench[{extra}]'"
        )
        self.package = package
        self.extra = extra


class ModelfileError(WorkbenchError):
    """A Modelfile cannot be read. `line` counts from 1; None when the whole file is meant."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(f"(line {line}): {message}" if line is not None else message)
        self.line = line


class GGUFError(WorkbenchError):
    """A GGUF file is damaged, hostile, or of a kind that is not supported."""


class FitError(WorkbenchError):
    """What a model takes cannot be computed: facts are missing, absurd, or of an unknown kind."""


class StoreError(WorkbenchError):
    """The workbench's database cannot be opened, migrated or written."""


class JobError(WorkbenchError):
    """A job cannot be submitted, found, cancelled or resumed."""


class TrainingError(WorkbenchError):
    """A model cannot be trained: its settings, its texts or its disk; or it came out wrong."""


class SandboxError(WorkbenchError):
    """Code that nobody trusts cannot be run here with the protection that was asked for."""


class TaskError(WorkbenchError):
    """A task or a suite cannot be read. `file` and `line` say where, as far as that is known."""

    def __init__(self, message: str, file: str = "", line: int | None = None) -> None:
        super().__init__(_located(message, file, line))
        self.file, self.line = file, line


class GatherError(WorkbenchError):
    """Documents cannot be had: a bad address, a site that refuses, nothing that can be read."""


class DataError(WorkbenchError):
    """Examples or a dataset cannot be read, made, split or found. `file` and `line` say where, as
    far as that is known."""

    def __init__(self, message: str, file: str = "", line: int | None = None) -> None:
        super().__init__(_located(message, file, line))
        self.file, self.line = file, line


class BenchError(WorkbenchError):
    """Models cannot be measured or compared in this way."""


class TuneError(WorkbenchError):
    """A space of settings cannot be read or searched, or a study cannot be had in this way."""


class TrialFailed(TuneError):
    """An engine could not work under the settings of one trial; the next trial may well."""


class VectorError(WorkbenchError):
    """Texts cannot be searched by meaning, or made searchable, in this way."""


class ReleaseError(WorkbenchError):
    """A release cannot be made, read, found or taken into use."""


class StorageError(WorkbenchError):
    """Something cannot be put into the trash, brought back from it, or found in it."""


class EngineError(WorkbenchError):
    """An engine answered with an error. `status` is the HTTP status, None without one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class EngineUnreachable(EngineError):
    """Nothing answers at the engine's address, or the connection broke before an answer."""


class InvalidRequest(EngineError):
    """The engine refused the request: a bad name, a wrong type, something unsupported."""


class ModelNotFound(EngineError):
    """The engine has no model of this name."""


class EngineBusy(EngineError):
    """The engine's queue is full; the same request may succeed later."""


class NotEnoughMemory(EngineError):
    """The model needs more memory than this machine has."""


class StreamBroken(EngineError):
    """A stream ended without its last line: what came so far is incomplete."""


def _located(message: str, file: str, line: int | None) -> str:
    where = ", ".join([file] * bool(file) + [f"line {line}"] * (line is not None))
    return f"{where}: {message}" if where else message

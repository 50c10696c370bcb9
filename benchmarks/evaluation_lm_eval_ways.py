"""The ways in which `evaluation_lm_eval` has questions asked: lm-eval's program, and ours.

python benchmarks/evaluation_lm_eval_ways.py JSON      # lm-eval's, as a program of its own
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import bench
from workbench.jobs import JobContext, Report

TARGET = "a"  # the letter that makes an answer right
_WORDS = ("rain", "stone", "river", "cloud", "lamp", "bread", "paper", "green", "seven", "house")


@dataclass(frozen=True)
class Kind:
    """A task: how it is asked, how long its questions and answers are, and what it must reach."""

    name: str
    title: str
    mode: str
    words: int  # of a question
    shots: int
    written: int  # tokens of an answer, at most
    goal: float


KINDS = (
    Kind("completions", "completions", "complete", 18, 0, 128, 1.3),
    Kind("chats", "chats", "chat", 18, 0, 128, 1.3),
    Kind("examples", "shared examples", "complete", 6, 18, 8, 3.0),
)


@dataclass
class Told:
    """What one run gave."""

    seconds: float  # from the first request to the last answer
    whole: float  # with all that comes before and after
    outputs: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


# ---- the task, for both


def question(kind: Kind, number: int) -> str:
    words = random.Random(f"{kind.name} {number}").choices(_WORDS, k=kind.words)
    return f"Question {number}: {' '.join(words)}?\nAnswer:"


def write_task(folder: Path, kind: Kind, count: int) -> None:
    """The task as lm-eval's file and as ours."""
    rows = [{"q": question(kind, n), "t": TARGET} for n in range(count)]
    shots = [{"q": question(kind, -n), "t": f" {n} words"} for n in range(1, kind.shots + 1)]
    for split, listed in {"test": rows, "train": shots or rows[:1]}.items():
        text = "".join(json.dumps(row) + "\n" for row in listed)
        (folder / f"{kind.name}_{split}.jsonl").write_text(text)
    files = {s: str(folder / f"{kind.name}_{s}.jsonl") for s in ("test", "train")}
    theirs = {
        "task": kind.name, "dataset_path": "json", "dataset_kwargs": {"data_files": files},
        "test_split": "test", "fewshot_split": "train", "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": kind.shots, "output_type": "generate_until", "doc_to_text": "q",
        "doc_to_target": "t", "target_delimiter": "",
        "generation_kwargs": {"until": ["@@"], "max_gen_toks": kind.written, "do_sample": False},
        "filter_list": [{"name": "has", "filter": [
            {"function": "regex", "regex_pattern": f"({TARGET})"}, {"function": "take_first"}]}],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }  # fmt: skip
    (folder / f"{kind.name}.yaml").write_text(json.dumps(theirs))
    ours = {
        "name": kind.name, "title": kind.title, "mode": kind.mode, "prompt": "{{ q }}",
        "target": "t", "samples": f"{kind.name}_test.jsonl",
        "shots": [{"prompt": one["q"], "answer": one["t"]} for one in shots],
        "scorers": ["includes"], "count": count,
        "options": {"num_predict": kind.written, "stop": ["@@"]},
    }  # fmt: skip
    (folder / f"ours_{kind.name}.yaml").write_text(json.dumps(ours))


# ---- the ways


def rival(asked: dict[str, Any]) -> dict[str, Any]:
    """lm-eval's program, with a clock around its requests."""
    import lm_eval
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    from lm_eval.tasks import TaskManager

    seconds, plain = [], LocalCompletionsAPI.generate_until

    def timed(self: Any, requests: Any, disable_tqdm: bool = False) -> Any:
        begun = time.perf_counter()
        found = plain(self, requests, disable_tqdm)
        seconds.append(time.perf_counter() - begun)
        return found

    LocalCompletionsAPI.generate_until = timed
    chat = asked["mode"] == "chat"
    where = "chat/completions" if chat else "completions"
    arguments = {"model": asked["model"], "base_url": f"{asked['url']}/v1/{where}"}
    arguments |= {"num_concurrent": asked["concurrent"], "tokenizer_backend": "none"}
    found = lm_eval.simple_evaluate(
        model="local-chat-completions" if chat else "local-completions",
        model_args=arguments, tasks=[asked["task"]], apply_chat_template=chat, bootstrap_iters=0,
        task_manager=TaskManager(include_path=asked["folder"], include_defaults=False),
    )  # fmt: skip
    samples = sorted(found["samples"][asked["task"]], key=lambda one: one["doc_id"])
    outputs = [one["resps"][0][0] for one in samples]
    return {
        "seconds": sum(seconds),
        "outputs": outputs,
        "scores": [float(one["exact_match"]) for one in samples],
    }


def through_lm_eval(url: str, model: str, folder: Path, kind: Kind, concurrent: int) -> Told:
    asked = {"url": url, "model": model, "folder": str(folder), "task": kind.name}
    asked |= {"mode": kind.mode, "concurrent": concurrent}
    begun = time.perf_counter()
    quiet = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    out = subprocess.run(
        [sys.executable, __file__, json.dumps(asked)], check=True, text=True,
        capture_output=True, env={**os.environ, **quiet},
    ).stdout  # fmt: skip
    found = json.loads(out.splitlines()[-1])
    return Told(whole=time.perf_counter() - begun, **found)


class Clock(JobContext):
    """Notes when the first question is asked and when the last answer is kept."""

    first = last = 0.0

    def check_cancelled(self) -> None:
        self.first = self.first or time.perf_counter()

    def noted(self, report: Report) -> None:
        if "answers" in report.message:
            self.last = time.perf_counter()


def through_ours(url: str, model: str, folder: Path, kind: Kind) -> Told:
    clock = Clock("", folder, report=lambda report: clock.noted(report))
    begun = time.perf_counter()
    plan = bench.Plan(model, str(folder / f"ours_{kind.name}.yaml"))
    run = bench.measure(plan, engine=url, context=clock)
    whole = time.perf_counter() - begun
    answers = bench.answers(run)
    return Told(
        clock.last - clock.first, whole, [one.output for one in answers],
        [-1.0 if one.value is None else one.value for one in answers],
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(rival(json.loads(sys.argv[1]))))

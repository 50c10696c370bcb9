"""Standard suites: the real lm-eval asks a real engine, and agrees with our own tasks."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from bench_servers import engine_with, misbehaving
from tiny import write_tiny_llama

from workbench import bench
from workbench.bench import Plan, Run
from workbench.engines import Engine
from workbench.errors import BenchError, MissingExtra, ModelNotFound, TaskError
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.standard import _run as room
from workbench.standard import measure_lm_eval, run_lm_eval, submit_lm_eval

HEAD = (
    "dataset_path: json\ndataset_kwargs: {{data_files: {{test: {name}.jsonl}}}}\ntest_split: test\n"
)
CHOICE = """
task: mine_choice
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: target
target_delimiter: ""
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
WRITE = """
task: mine_write
output_type: generate_until
doc_to_text: prompt
doc_to_target: target
target_delimiter: ""
generation_kwargs: {until: ["zzz"], max_gen_toks: 8, do_sample: false}
filter_list:
  - {name: whole, filter: [{function: take_first}]}
  - {name: word, filter: [{function: regex, regex_pattern: "([a-z]+)"}, {function: take_first}]}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
TEXT = """
task: mine_text
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: text
metric_list:
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
"""
ALL = "group: mine\ntask: [mine_choice, mine_write, mine_text]\n"
CHOICES = [
    {"prompt": f"for i in range({n}):\n", "target": n % 3,
     "choices": ["    print(i)\n", "xxqz\n", " os\n"]}
    for n in range(7)
]  # fmt: skip
PROMPTS = [{"prompt": f"def f{n}(x):", "target": "e"} for n in range(6)]
TEXTS = [{"text": "def read(path):\n    return open(path).read()\n"}, {"text": "x = 'é'\n" * 20}]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("lm-eval")
    models = {
        name: write_tiny_llama(folder / f"{name}.gguf", seed=seed, endless=True)
        for seed, name in enumerate(("one", "two"))
    }
    with engine_with(folder / "home", models) as url:
        yield url


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three tasks for lm-eval and their group; nothing is kept outside of it."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hf"))
    folder = tmp_path / "tasks"
    folder.mkdir()
    add(folder, "choice", CHOICE, CHOICES)
    add(folder, "write", WRITE, PROMPTS)
    add(folder, "text", TEXT, TEXTS)
    (folder / "all.yaml").write_text(ALL)
    return folder


def add(folder: Path, name: str, task: str, rows: list[dict[str, Any]]) -> None:
    (folder / f"{name}.yaml").write_text(HEAD.format(name=name) + task)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured(url: str, tasks: Path, name: str, model: str = "one", **more: Any) -> Run:
    return measure_lm_eval(model, name, engine=url, include_path=str(tasks), **more)


def own(url: str, folder: Path, task: dict[str, Any], **more: Any) -> list[bench.Answer]:
    """The answers that a task of ours gets."""
    file = folder / "own.yaml"
    file.write_text(json.dumps(task), encoding="utf-8")
    return bench.answers(bench.measure(Plan("one", str(file), **more), engine=url))


def test_choices_are_ours_sample_by_sample(url: str, tasks: Path, tmp_path: Path) -> None:
    theirs = bench.answers(measured(url, tasks, "mine_choice"))
    samples = [{"id": f"s{n}", **row} for n, row in enumerate(CHOICES)]
    ours = own(url, tmp_path, {"name": "c", "title": "C", "mode": "choice", "samples": samples})
    assert len(theirs) == len(ours) == 7
    for mine, other in zip(ours, theirs, strict=True):
        assert other.figures["logprobs"] == pytest.approx(mine.figures["logprobs"], abs=0.01)
        assert other.value == mine.value
        assert other.output == mine.output and other.about["target"] == mine.about["target"]
    assert 0 < sum(answer.value or 0 for answer in theirs) < 7
    assert {"acc"} == set(theirs[0].scores) and "acc_norm" in theirs[0].scores["acc"]["parts"]


def test_texts_are_ours_sample_by_sample(url: str, tasks: Path, tmp_path: Path) -> None:
    written = bench.answers(measured(url, tasks, "mine_write"))
    samples = [{"id": f"s{n}", **row} for n, row in enumerate(PROMPTS)]
    task = {"name": "w", "title": "W", "mode": "complete", "samples": samples}
    task |= {"options": {"num_predict": 8}, "scorers": ["exact"]}
    assert [one.output for one in written] == [one.output for one in own(url, tmp_path, task)]
    assert all(one.figures["tokens"] == 8 for one in written)
    parts = written[0].scores["exact_match"]["parts"]
    assert set(parts) == {"exact_match,word"}
    texts = bench.answers(measured(url, tasks, "mine_text"))
    samples = [{"id": f"s{n}", "prompt": "", "target": row["text"]} for n, row in enumerate(TEXTS)]
    task = {"name": "t", "title": "T", "mode": "perplexity", "samples": samples}
    for mine, other in zip(own(url, tmp_path, task), texts, strict=True):
        assert other.value == pytest.approx(mine.value, rel=1e-3) and 0 < (mine.value or 0) < 1
        assert (
            other.scores["likelihood"]["parts"].keys() == mine.scores["likelihood"]["parts"].keys()
        )


def test_a_group_is_a_run_like_any_other(url: str, tasks: Path) -> None:
    first = measured(url, tasks, "mine")
    second = measured(url, tasks, "mine", "two")
    assert first.state == "done" and first.suite == "lm-eval: mine"
    assert first.facts["libraries"]["lm-eval"] == version("lm-eval") and first.facts["memory"]
    assert [task["weight"] for task in first.tasks] == [7.0, 6.0, 2.0]
    assert first.tasks[0]["lm_eval"]["acc,none"] == pytest.approx(
        sum(one.value or 0 for one in bench.answers(first, "mine_choice")) / 7
    )
    found = bench.result(first)
    assert [task.metric for task in found.tasks] == ["acc", "exact_match", "likelihood"]
    assert found.score is not None and found.tokens_per_second is None and found.memory
    board = bench.leaderboard("lm-eval: mine")
    assert {row.result.run.id for row in board.rows} == {first.id, second.id}
    compared = bench.compare([first.id, second.id])
    assert not compared.left_out and set(compared.pairs[0].tasks) == {
        "mine_choice", "mine_write", "mine_text"
    }  # fmt: skip
    assert {flip.task for flip in bench.flips(first.id, second.id)} >= {"mine_text"}
    assert "mine" in bench.report_markdown([first.id, second.id])


def test_examples_and_limits(url: str, tasks: Path) -> None:
    more = WRITE.replace("mine_write", "mine_shots").replace(
        "target_delimiter", "fewshot_split: test\ntarget_delimiter"
    )
    add(tasks, "shots", more + "fewshot_config: {sampler: first_n}\n", PROMPTS)
    run = measured(url, tasks, "mine_shots", shots=2, limit=3)
    answers = bench.answers(run)
    assert run.suite == "lm-eval: mine_shots, 2 shots" and len(answers) == 3
    assert all(one.about["prompt"].count("def f") == 3 for one in answers)
    assert {one.about["prompt"].rsplit("\n\n", 1)[0] for one in answers[2:]} == {
        "def f0(x):e\n\ndef f1(x):e"
    }
    bare = measured(url, tasks, "mine_shots", limit=3)
    assert bare.tasks[0]["fingerprint"] != run.tasks[0]["fingerprint"]


def test_a_chat_goes_through_the_template(url: str, tasks: Path) -> None:
    add(
        tasks,
        "talk",
        WRITE.replace("mine_write", "mine_talk") + 'description: "Be brief."\n',
        PROMPTS,
    )
    (tasks / "two.yaml").write_text("group: two\ntask: [mine_talk, mine_choice]\n")
    run = measured(url, tasks, "two", chat=True, limit=2)
    refused = {task["name"]: task["refused"] for task in run.tasks}
    assert refused["mine_talk"] == "" and "bare texts only" in refused["mine_choice"]
    answers = bench.answers(run)
    assert [one.task for one in answers] == ["mine_talk"] * 2
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "def f0(x):"}]
    with Engine(url) as engine:
        options = {"temperature": 0, "num_predict": 8, "stop": ["zzz"]}
        assert engine.chat("one", turns, options=options).text == answers[0].output
    assert answers[0].about["prompt"] == "system: Be brief.\n\nuser: def f0(x):"


def test_a_long_text_is_told_in_parts(url: str, tasks: Path) -> None:
    text = "".join(f"value_{n} = read({n}) + 'ä'\n" for n in range(60))
    add(tasks, "text", TEXT, [{"text": text}])
    (answer,) = bench.answers(measured(url, tasks, "mine_text", options={"num_ctx": 128}))
    assert answer.error is None and answer.figures["parts"] > 4
    assert answer.figures["bytes"] == [len(text.encode())]
    (whole,) = bench.answers(measured(url, tasks, "mine_text", options={"num_ctx": 512}))
    assert whole.figures["parts"] < answer.figures["parts"]
    bits = [one.scores["likelihood"]["parts"]["bits_per_byte"] for one in (answer, whole)]
    assert bits[0] == pytest.approx(bits[1], rel=0.1)


def test_a_prompt_that_is_cut_has_no_value(url: str, tasks: Path) -> None:
    rows = [PROMPTS[0], {"prompt": "def f(x): return 1\n" * 60, "target": "e"}]
    add(tasks, "write", WRITE, rows)
    short, long = bench.answers(measured(url, tasks, "mine_write", options={"num_ctx": 128}))
    assert short.error is None and short.value is not None
    assert long.value is None and "Raise num_ctx" in (long.error or "")
    add(tasks, "choice", CHOICE, [CHOICES[0], CHOICES[0] | {"prompt": rows[1]["prompt"]}])
    fits, over = bench.answers(measured(url, tasks, "mine_choice", options={"num_ctx": 128}))
    assert fits.value is not None and over.value is None and "context" in (over.error or "")


@pytest.mark.parametrize("how", ["none", "constant", "nan"])
def test_without_log_likelihoods_nothing_is_guessed(tasks: Path, how: str) -> None:
    with misbehaving(score=how) as server:
        with pytest.raises(BenchError, match="mine_choice cannot be asked"):
            measured(server.url, tasks, "mine_choice", "m")
        with pytest.raises(BenchError, match="mine_text cannot be asked"):
            measured(server.url, tasks, "mine_text", "m")
        run = measured(server.url, tasks, "mine", "m")
    assert [bool(task["refused"]) for task in run.tasks] == [True, False, True]
    assert {one.task for one in bench.answers(run)} == {"mine_write"}
    assert [one.state for one in bench.runs()] == ["done", "failed", "failed"]


class Told(JobContext):
    """A job's context that is cancelled after some answers."""

    def __init__(self, folder: Path, stop_after: int) -> None:
        self.reports: list[Report] = []
        super().__init__("job", folder, report=self.reports.append)
        self.stop_after = stop_after

    def check_cancelled(self) -> None:
        if sum("answers" in report.message for report in self.reports) > self.stop_after:
            raise JobCancelled


def lines(folder: Path) -> list[str]:
    """Keys of the replies that are in the job's folder."""
    return [
        json.loads(line)["key"]
        for file in folder.glob("lm-eval-*.jsonl")
        for line in file.read_bytes().splitlines()
        if line.endswith(b"}")
    ]


def test_cancelled_and_resumed(url: str, tasks: Path, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"engine": url, "include_path": str(tasks), "parallel": 1}
    with pytest.raises(JobCancelled):
        run_lm_eval(Told(tmp_path, 3), "one", ["mine_write"], **arguments)
    (stopped,) = bench.runs()
    assert stopped.state == "stopped" and 0 < len(lines(tmp_path)) < 6
    found = run_lm_eval(Told(tmp_path, 10**6), "one", ["mine_write", "mine_choice"], **arguments)
    assert found["runs"][0] == stopped.id and not found["failed"] and len(bench.runs()) == 2
    assert len(lines(tmp_path)) == len(set(lines(tmp_path))) == 6 + 7
    again = run_lm_eval(Told(tmp_path, 0), "one", ["mine_write", "mine_choice"], **arguments)
    assert again["runs"] == found["runs"] and len(bench.answers(stopped.id)) == 6


def test_killed_and_resumed(url: str, tasks: Path, tmp_path: Path) -> None:
    add(tasks, "write", WRITE.replace("max_gen_toks: 8", "max_gen_toks: 150"), PROMPTS * 20)
    program = (
        "import sys; from pathlib import Path; from workbench.jobs import JobContext\n"
        "from workbench.standard import run_lm_eval\n"
        "folder, url, tasks = sys.argv[1:]\n"
        "context = JobContext('killed', Path(folder))\n"
        "run_lm_eval(context, 'one', ['mine_write'], engine=url, include_path=tasks)\n"
    )
    folder = tmp_path / "job"
    folder.mkdir()
    command = [sys.executable, "-c", program, str(folder), url, str(tasks)]
    process = subprocess.Popen(command, env=os.environ.copy(), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(lines(folder)) < 10 and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    had = len(lines(folder))
    assert 10 <= had < 120, "killed too late to mean anything"
    (file,) = folder.glob("lm-eval-*.jsonl")
    with file.open("ab") as out:
        out.write(b'{"key": "cut off')
    (begun,) = bench.runs()
    subprocess.run(command, env=os.environ.copy(), stderr=subprocess.DEVNULL, check=True)
    (run,) = bench.runs()
    assert run.id == begun.id and run.state == "done"
    assert len(bench.answers(run)) == 120
    assert len(lines(folder)) == len(set(lines(folder))) == 120


HOSTILE = {
    "calls Python": "task: bad\nprocess_docs: !function utils.evil\n",
    "runs code": "task: bad\nunsafe_code: true\n",
    "loads a metric": "task: bad\nmetric_list: [{metric: evil/metric}]\n",
    "loads a metric as": "task: bad\nmetric_list: [{metric: exact_match, hf_evaluate: true}]\n",
    "asks about pictures": "task: bad\ndoc_to_image: picture\n",
    "calls Python functions": "task: bad\ninclude: part.yml\n",
    "contains itself": "group: bad\ntask: [other]\n---",
    "which is no task": "group: bad\ntask: [nowhere]\n",
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_task_that_would_do_harm(url: str, tasks: Path, tmp_path: Path, reason: str) -> None:
    (tasks / "utils.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\ndef evil(x): return x\n"
    )
    (tasks / "part.yml").write_text("process_docs: !function utils.evil\n")
    (tasks / "other.yaml").write_text("group: other\ntask: [bad]\n")
    (tasks / "bad.yaml").write_text(HOSTILE[reason].removesuffix("---"))
    with pytest.raises((TaskError, BenchError), match=reason):
        measured(url, tasks, "bad")
    assert not (tmp_path / "ran").exists() and bench.runs() == []


def test_code_runs_where_it_is_allowed(url: str, tasks: Path) -> None:
    (tasks / "utils.py").write_text("def two(rows): return rows.select([0, 1])\n")
    add(tasks, "write", WRITE + "process_docs: !function utils.two\n", PROMPTS)
    with pytest.raises((TaskError, BenchError), match="allow_code=True"):
        measured(url, tasks, "mine_write")
    assert len(bench.answers(measured(url, tasks, "mine_write", allow_code=True))) == 2


def test_a_template_cannot_reach_python(url: str, tasks: Path) -> None:
    reach = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    add(tasks, "write", WRITE.replace("doc_to_text: prompt", f'doc_to_text: "{reach}"'), PROMPTS)
    with pytest.raises((TaskError, BenchError), match="unsafe"):
        measured(url, tasks, "mine_write")


def test_bad_input(url: str, tasks: Path, tmp_path: Path) -> None:
    for name in (
        "mine_chioce",
        "../../etc/passwd",
        "mine_choice\x00",
        "a" * 10_000,
        str(tasks / "choice.yaml"),
    ):
        with pytest.raises((TaskError, BenchError), match="lm-eval has no task"):
            measured(url, tasks, name)
    with pytest.raises((TaskError, BenchError), match="Did you mean mine_choice"):
        measured(url, tasks, "mine_chioce")
    with pytest.raises(TaskError, match="no folder"):
        measured(url, tasks / "choice.yaml", "mine_choice")
    with pytest.raises(ModelNotFound):
        measured(url, tasks, "mine_choice", "absent")
    (tasks / "broken.yaml").write_text("task: broken\ndoc_to_text: [unclosed\n")
    with pytest.raises((TaskError, BenchError), match=r"broken\.yaml, line \d"):
        measured(url, tasks, "broken")
    laughs = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)
    )
    (tasks / "laughs.yaml").write_text("task: laughs\noutput_type: nonsense\n" + laughs)
    with pytest.raises((TaskError, BenchError), match="laughs of lm-eval cannot be loaded"):
        measured(url, tasks, "laughs")
    add(
        tasks,
        "beams",
        WRITE.replace("mine_write", "beams").replace("do_sample: false", "num_beams: 4"),
        PROMPTS,
    )
    with pytest.raises(BenchError, match="num_beams = 4"):
        measured(url, tasks, "beams")
    assert {run.state for run in bench.runs()} <= {"failed"}


def test_data_that_is_not_here(tasks: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    told: list[Report] = []
    context = JobContext("", tasks, report=told.append)
    with pytest.raises(
        BenchError, match=r"The data of hellaswag \(Rowan/hellaswag, from hugg.*HF_HOME"
    ):
        run_lm_eval(context, "one", ["hellaswag"], engine=url)
    assert "from huggingface.co where it is not here (Rowan/hellaswag)" in told[0].message
    (tasks / "choice.jsonl").unlink()
    with pytest.raises(BenchError, match=r"choice\.jsonl"):
        measured(url, tasks, "mine_choice")


def test_before_anything_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="at least one task"):
        submit_lm_eval("one", [])
    with pytest.raises(BenchError, match="did you mean 'limit'"):
        submit_lm_eval("one", ["x"], limt=2)
    with pytest.raises(BenchError, match="from 1 on"):
        submit_lm_eval("one", ["x"], limit=0)
    with pytest.raises(TaskError, match="no folder"):
        submit_lm_eval("one", ["x"], include_path="/nowhere/at/all")
    module, name = room._TARGET.split(":")
    assert getattr(sys.modules[module], name) is run_lm_eval
    inspect.signature(run_lm_eval).bind(None, model="one", tasks=["x"], include_path=None, shots=1)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtra, match=r"workbench\[eval\]"):
        submit_lm_eval("one", ["hellaswag"])

"""What is sent to an engine, and what becomes of answers that do not come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench_servers import Misbehaving, misbehaving
from sqlalchemy import select

from workbench.errors import TrialFailed, TuneError
from workbench.store import StoredTuningAnswer, session
from workbench.trial import Bench, Question, questions

TALK = """
name: talk
title: Talk
mode: chat
system: The task's own words.
samples:
{samples}
scorers: [{scorer}]
options: {{num_predict: 4}}
"""


def task(folder: Path, count: int, scorer: str = "includes", extra: int = 0) -> str:
    """A task of so many questions that are asked, and more that are not."""
    samples = "\n".join(
        f'  - {{id: s{n}, prompt: "{"long " * (n % 3 == 2) * 40}question {n}", target: "sun"}}'
        for n in range(count + extra)
    )
    text = TALK.format(samples=samples, scorer=scorer)
    (folder / "talk.yaml").write_text(text, encoding="utf-8")
    return str(folder / "talk.yaml")


def chats(server: Misbehaving, asked: tuple[Question, ...]) -> list[dict[str, Any]]:
    """The requests that ask a question of the study."""
    prompts = {one.sample.prompt for one in asked}
    return [
        body for path, body in server.asked
        if path == "/api/chat" and body["messages"][-1]["content"] in prompts
    ]  # fmt: skip


def test_every_point_is_asked_with_the_same_seeds(tmp_path: Path) -> None:
    asked = questions(task(tmp_path, 6), seed=0)
    with misbehaving() as server:
        with Bench("m", asked, engine=server.url, figures={"quality"}) as bench:
            bench.measure({"temperature": 0.5}, 6)
            bench.measure({"temperature": 1.5, "num_ctx": 128}, 6)
        sent = chats(server, asked)
    seeds = [
        {body["messages"][-1]["content"]: body["options"]["seed"] for body in sent
         if body["options"]["temperature"] == warm}
        for warm in (0.5, 1.5)
    ]  # fmt: skip
    assert seeds[0] == seeds[1] and len(set(seeds[0].values())) == 6
    assert {body["options"].get("num_ctx") for body in sent} == {None, 128}


def test_another_system_text_and_examples(tmp_path: Path) -> None:
    asked = questions(task(tmp_path, 4, extra=3), seed=0, count=4)
    with misbehaving() as server:
        with Bench("m", asked, engine=server.url, figures={"quality"}) as bench:
            found = [
                bench.measure(point, 4)
                for point in (
                    {}, {"system": ""}, {"system": "Be brief."}, {"shots": 2}, {"shots": 0},
                    {"shots": 9},
                )
            ]  # fmt: skip
        sent = chats(server, asked)
    assert [one.asked for one in found] == [4, 0, 4, 4, 0, 4]
    turns = [[(turn["role"], turn["content"]) for turn in body["messages"]] for body in sent]
    assert {turn[0] for turn in turns[:4]} == {("system", "The task's own words.")}
    assert {turn[0] for turn in turns[4:8]} == {("system", "Be brief.")}
    prompts = {one.sample.prompt for one in asked}
    for turn in turns[8:12]:
        (_, first), (_, answer), (_, second), _ = turn[1:5]
        assert answer == "sun" and first != second and not {first, second} & prompts
        assert len(turn) == 6
    assert found[-1].notes == ("Talk: there are 3 examples to show, not 9.",)


def test_questions_without_an_answer_count_as_nothing(tmp_path: Path) -> None:
    asked = questions(task(tmp_path, 6), seed=0)
    with misbehaving(context=48, long="refuse") as server:
        with Bench("m", asked, engine=server.url) as bench:
            found = bench.measure({}, 6)
            failed = [one for one in found.answers if one.error]
            assert len(failed) == 2 and {one.value for one in failed} == {0.0}
            assert "input length exceeds" in str(failed[0].error)
            (note,) = found.notes
            assert note.startswith("2 of 6 questions got no answer and count as 0: ")
            assert bench.measure({}, 6).asked == 0
        with Bench("m", asked, engine=server.url, figures={"quality"}) as bench:
            assert bench.measure({}, 6).asked == 2  # a refusal is not kept for other studies


def test_an_engine_that_breaks_off(tmp_path: Path) -> None:
    asked = questions(task(tmp_path, 6), seed=0)
    with misbehaving() as server:
        with Bench("m", asked, engine=server.url, figures={"quality"}) as bench:
            bench.measure({}, 2)
            server.ways["status"] = {"/api/chat": 500}
            with pytest.raises(TrialFailed, match=r"broke off .* twice: something broke"):
                bench.measure({}, 6)
            server.ways.clear()
            assert bench.measure({}, 6).asked == 4
        server.ways["answer"] = "empty"
        server.ways["status"] = {"/api/generate": 500}
        again = Bench("m", asked, engine=server.url, figures={"quality"})
        with again as bench, pytest.raises(TrialFailed, match="cannot be loaded"):
            bench.measure({}, 6)


def test_what_nobody_can_grade_is_left_out(tmp_path: Path) -> None:
    judged = questions(task(tmp_path, 3, scorer="judge"), seed=0)
    alike = questions(task(tmp_path, 3, scorer="similarity"), seed=0)
    with misbehaving() as server:
        for asked, words in ((judged, "no judge is named"), (alike, "needs an embedding model")):
            opened = Bench("m", asked, engine=server.url, figures={"quality"})
            with opened as bench, pytest.raises(TuneError, match=words):
                bench.measure({}, 3)
        assert not chats(server, judged)
        with Bench("m", judged, engine=server.url, figures={"quality"}, judge="m") as bench:
            found = bench.measure({}, 3)
            assert found.notes == ("3 of 3 answers could not be scored.",)  # it only babbles
            assert found.quality is None and found.asked == 3


KILLED = """
import sys
from workbench.store import StoredTuningAnswer, session
from workbench.trial import Bench, questions
with Bench("m", questions(sys.argv[1], seed=0), engine=sys.argv[2], figures={"quality"}) as bench:
    bench.measure({"temperature": 0.7}, 40)
"""


class Slow(Misbehaving):
    """Each answer takes a while."""

    pause = 0.2

    def written(self, chat: bool, body: dict[str, Any]) -> tuple[int, Any]:
        asked = chat and "question" in body["messages"][-1]["content"]
        time.sleep(self.pause if asked else 0)
        return super().written(chat, body)


def test_killed_in_the_middle(tmp_path: Path) -> None:
    path, server = task(tmp_path, 40), Slow()
    try:
        process = subprocess.Popen([sys.executable, "-c", KILLED, path, server.url])
        end = time.monotonic() + 60
        while rows() < 8 and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kept = rows()
        assert 8 <= kept < 40
        server.pause = 0
        with Bench("m", questions(path, seed=0), engine=server.url, figures={"quality"}) as bench:
            found = bench.measure({"temperature": 0.7}, 40)
        assert (found.asked, found.cached) == (40 - kept, kept)
    finally:
        server.close()


def rows() -> int:
    """Answers in the store."""
    with session(read_only=True) as opened:
        return len(opened.scalars(select(StoredTuningAnswer.id)).all())

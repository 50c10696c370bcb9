"""The canary: what it says of our own engine, and of servers that misbehave."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_servers import Misbehaving, engine_with, misbehaving
from tiny import write_tiny_llama

from workbench.engines import AsyncEngine
from workbench.errors import EngineUnreachable, ModelNotFound
from workbench.meter._canary import Canary, probe

MODES = ("chat", "complete", "insert", "choice", "perplexity")
PATIENT = 30.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, tiny_embedding_gguf: Path) -> Iterator[str]:
    """Our engine with real tiny models."""
    folder = tmp_path_factory.mktemp("canary")
    models = {
        "tiny": write_tiny_llama(folder / "tiny.gguf", endless=True),
        "bare": write_tiny_llama(folder / "bare.gguf", endless=True, chat_template=None),
        "embed": tiny_embedding_gguf,
    }
    with engine_with(folder / "home", models) as url:
        yield url


async def probed(url: str, model: str = "m", **more: Any) -> Canary:
    async with AsyncEngine(url, kind="embedded") as engine:
        return await probe(engine, model, MODES, patience=more.pop("patience", PATIENT), **more)


async def seen(server: Misbehaving, **more: Any) -> Canary:
    return await probed(server.url, **more)


def states(canary: Canary) -> dict[str, str]:
    return {check.name: check.state for check in canary.checks}


# Our own engine


async def test_our_engine_is_found_sound(url: str) -> None:
    canary = await probed(url, "tiny")
    found = states(canary)
    assert found.pop("ending") == "warn"  # an endless model
    assert found.pop("likelihood") in {"ok", "warn"}  # weights are random: it knows no English
    assert found.pop("truncation") == "warn"  # as Ollama does
    assert found.pop("insert") == "bad"
    assert set(found.values()) == {"ok"}, canary
    assert canary.context == 512
    assert "tokens" in canary.check("truncation").words
    for mode in ("chat", "complete", "choice", "perplexity"):
        assert canary.verdict(mode).how == "as asked"
    assert canary.verdict("insert").how == "refused"
    assert "does not support insert" in canary.verdict("insert").reason


async def test_options_are_those_of_the_suite(url: str) -> None:
    canary = await probed(url, "tiny", options={"num_ctx": 256})
    assert canary.context == 256
    larger = await probed(url, "tiny", options={"num_ctx": 4096})
    assert larger.context == 512  # what it was trained for
    assert larger.check("context").state == "warn"
    assert "4096 were asked for" in larger.check("context").words


async def test_a_model_without_a_template_is_asked_without_one(url: str) -> None:
    canary = await probed(url, "bare")
    assert canary.check("template").state == "bad"
    verdict = canary.verdict("chat")
    assert (verdict.how, verdict.label) == ("generative", "without a template")
    assert "No template" in verdict.reason
    assert canary.verdict("complete").how == "as asked"
    assert canary.verdict("complete").label == ""


async def test_an_encoder_is_refused(url: str) -> None:
    canary = await probed(url, "embed")
    for mode in MODES:
        assert canary.verdict(mode).how == "refused"
        assert canary.verdict(mode).reason == "This model writes no text."


async def test_an_unknown_model_and_no_engine_are_errors(url: str) -> None:
    with pytest.raises(ModelNotFound):
        await probed(url, "nobody")
    with pytest.raises(EngineUnreachable):
        await probed("http://127.0.0.1:9")


async def test_only_what_the_modes_need_is_probed(url: str) -> None:
    async with AsyncEngine(url) as engine:
        canary = await probe(engine, "tiny", {"chat"}, patience=PATIENT)
    assert not {"likelihood", "logprobs", "insert"} & set(states(canary))
    assert canary.verdict("perplexity").how == "refused"  # nobody looked
    assert canary.verdict("choice").how == "generative"


async def test_it_turns_into_json(url: str) -> None:
    canary = await probed(url, "bare")
    kept = json.loads(json.dumps(dataclasses.asdict(canary)))
    assert kept["model"] == "bare"
    assert {"name", "state", "words", "advice"} == set(kept["checks"][0])
    for check in canary.checks:
        assert check.words.strip()
        assert check.advice or check.state == "ok" or "Not tried" in check.words


# A server that behaves, against which the misbehaving ones are held


async def test_a_sound_server_has_no_bad_check() -> None:
    with misbehaving(score="sane", long="refuse") as server:
        canary = await seen(server)
    found = states(canary)
    assert found.pop("insert") == "bad"  # it does not read a suffix
    assert set(found.values()) == {"ok"}, canary
    assert canary.verdict("choice") == canary.verdict("perplexity")
    assert canary.verdict("choice").how == "as asked"
    assert canary.verdict("choice").reason == ""


# Templates and beginnings


async def test_a_missing_template_is_seen_by_counts() -> None:
    with misbehaving(template="none") as server:
        canary = await seen(server)
    assert canary.check("template").state == "bad"
    assert canary.verdict("chat").label == "without a template"


@pytest.mark.parametrize(
    ("begin", "says", "state"),
    [(1, True, "ok"), (2, True, "bad"), (0, True, "bad"), (1, False, "warn"), (0, False, "ok")],
)
async def test_the_token_that_begins_a_text(begin: int, says: bool, state: str) -> None:
    with misbehaving(begin=begin, says=says, score="sane") as server:
        canary = await seen(server)
    assert canary.check("beginning").state == state
    wrong = state == "bad"  # then every log-likelihood has that error in it
    assert canary.verdict("choice").how == ("generative" if wrong else "as asked")
    assert canary.verdict("perplexity").how == ("refused" if wrong else "as asked")
    assert canary.verdict("complete").how == "as asked"


async def test_a_chat_that_begins_twice() -> None:
    with misbehaving(twice=True) as server:
        canary = await seen(server)
        assert canary.check("beginning").state == "ok"
        assert canary.check("template").state == "warn"
        assert "begins twice" in canary.verdict("chat").reason
        assert "begins twice" not in canary.verdict("complete").reason
        server.ways["render"] = False
        canary = await seen(server)
        assert "twice is not told" in canary.check("template").words


async def test_without_counts_nothing_is_claimed() -> None:
    with misbehaving(counts=False) as server:
        canary = await seen(server)
    for name in ("beginning", "template", "context", "truncation"):
        assert canary.check(name).state == "unknown", name
    assert canary.verdict("chat").how == "as asked"


# Answers


async def test_empty_answers_are_told() -> None:
    with misbehaving(answer="empty") as server:
        canary = await seen(server)
    assert canary.check("answers").state == "warn"
    assert "without text" in canary.check("answers").words
    assert canary.check("stop").state == "unknown"
    assert canary.check("ending").state == "warn"


async def test_a_limit_that_is_not_kept_refuses_everything() -> None:
    with misbehaving(answer="endless") as server:
        canary = await seen(server)
    assert canary.check("answers").state == "bad"
    assert {canary.verdict(mode).how for mode in MODES} == {"refused"}


async def test_stop_strings_that_are_not_heard() -> None:
    with misbehaving(stop=False) as server:
        canary = await seen(server)
    assert canary.check("stop").state == "bad"
    assert "did not end" in canary.verdict("complete").reason


@pytest.mark.parametrize(("ways", "state"), [({"ends": False}, "warn"), ({"mark": "</s>"}, "bad")])
async def test_answers_that_do_not_end_well(ways: dict[str, Any], state: str) -> None:
    with misbehaving(**ways) as server:
        canary = await seen(server)
    assert canary.check("ending").state == state


@pytest.mark.parametrize(
    ("way", "name", "words"),
    [
        ("random", "repeatable", "different answers"),
        ("crowd", "repeatable", "beside other requests"),
        ("seedless", "seed", "cache"),
    ],
)
async def test_chance_where_there_should_be_none(way: str, name: str, words: str) -> None:
    with misbehaving(**{way: True}) as server:
        canary = await seen(server)
    assert canary.check(name).state == "warn"
    assert words in canary.check(name).words


# Numbers


@pytest.mark.parametrize("way", ["positive", "constant", "unsorted", "text"])
async def test_log_probabilities_that_cannot_be_true(way: str) -> None:
    with misbehaving(logprobs=way) as server:
        canary = await seen(server)
    assert canary.check("logprobs").state == "bad"


async def test_no_log_probabilities() -> None:
    with misbehaving(logprobs="none", score="sane") as server:
        canary = await seen(server)
    assert canary.check("logprobs").state == "unknown"
    assert canary.check("likelihood").state == "ok"  # with nothing to hold it against


@pytest.mark.parametrize(
    ("way", "state", "words"),
    [
        ("none", "unknown", "cannot tell log-likelihoods"),
        ("constant", "bad", "exactly chance"),
        ("positive", "bad", "above 0"),
        ("nan", "bad", "finite"),
        ("other", "bad", "when scored"),
        ("rubbish", "unknown", "did not answer"),
    ],
)
async def test_log_likelihoods_that_cannot_be_used(way: str, state: str, words: str) -> None:
    with misbehaving(score=way) as server:
        canary = await seen(server)
    assert canary.check("likelihood").state == state
    assert words in canary.check("likelihood").words
    choice = canary.verdict("choice")
    assert (choice.how, choice.label) == ("generative", "scored generatively")
    assert words in choice.reason
    assert canary.verdict("perplexity").how == "refused"


# The context


async def test_a_context_that_is_smaller_than_told() -> None:
    with misbehaving(context=2048, reads=300) as server:
        canary = await seen(server)
    assert canary.check("context").state == "bad"
    assert canary.context == 300
    assert "300" in canary.verdict("complete").reason


async def test_what_is_too_long_is_cut_in_silence_or_refused() -> None:
    with misbehaving() as server:
        canary = await seen(server)
        assert canary.check("truncation").state == "warn"
        assert "without a word" in canary.check("truncation").words
        server.ways["long"] = "refuse"
        canary = await seen(server)
        assert canary.check("truncation").state == "ok"
        server.ways.update(reads=100_000, long="cut")
        canary = await seen(server)
        assert "larger than told" in canary.check("truncation").words


# Broken altogether


async def test_a_server_that_fails_gets_checks_and_no_exception() -> None:
    with misbehaving(status={"/api/generate": 500}) as server:
        canary = await seen(server)
    assert states(canary)["answers"] == "unknown"
    assert "something broke" in canary.verdict("chat").reason
    assert {canary.verdict(mode).how for mode in MODES} == {"refused"}


@pytest.mark.parametrize("path", ["/api/show", "/api/generate", "/api/ps", "/api/score"])
async def test_rubbish_is_met_with_words(path: str) -> None:
    with misbehaving(rubbish=(path,), score="sane") as server:
        canary = await seen(server)
    assert "unknown" in states(canary).values()
    assert all(check.words for check in canary.checks)


async def test_a_server_that_breaks_in_one_place_is_used_in_the_others() -> None:
    with misbehaving(status={"/api/chat": 500}, score="sane") as server:
        canary = await seen(server)
    assert canary.check("template").state == "unknown"
    assert canary.check("likelihood").state == "ok"
    assert canary.verdict("perplexity").how == "as asked"


async def test_a_server_that_hangs_is_left_after_two_tries() -> None:
    with misbehaving(hang=("/api/chat", "/api/score"), score="sane") as server:
        canary = await seen(server, patience=0.5)
        asked = [path for path, _ in server.asked]
    assert canary.check("template").words == "The engine did not answer in 0.5 s."
    assert asked.count("/api/chat") == 2
    assert canary.check("likelihood").words.startswith("Not tried")
    with misbehaving(hang=("/api/show",)) as server:
        canary = await seen(server, patience=0.05)
    assert canary.verdict("chat").how == "refused"

"""`workbench generate`: a prompt in, a text out, as it comes; figures with `--stats`.

Ctrl-C closes the stream, which stops the engine. What a model thinks goes to stderr, so that
stdout holds the answer alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from workbench.cli._errors import NotFound
from workbench.cli._options import (
    engine_option,
    keep_alive_option,
    keep_alive_value,
    model_options,
    open_engine,
    parse_options,
)
from workbench.cli._output import emit, json_option, note, write
from workbench.types import Chunk, Metrics

if TYPE_CHECKING:
    from workbench.engines import Engine


@click.command()
@click.argument("model")
@click.argument("prompt", required=False)
@click.option("--system", metavar="TEXT", help="The system prompt, instead of the model's own.")
@click.option("--suffix", metavar="TEXT", help="What follows the gap that the model fills.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the template.")
@click.option("--format", "form", metavar="json|FILE", help="JSON, or a file with a JSON schema.")
@click.option("--image", "images", multiple=True, type=Path, help="A picture; can be repeated.")
@click.option("--think/--no-think", default=None, help="Whether a model that can think does so.")
@click.option("--stats", is_flag=True, help="Print tokens/s and the first token's time at the end.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is whole.")
@model_options
@keep_alive_option
@engine_option
@json_option
def generate(model: str, prompt: str | None, url: str | None, **given: Any) -> None:
    """Complete a prompt.

    The prompt is the argument, or the standard input when it is - or missing.
    """
    text = prompt_text(prompt)
    request = {
        "system": given["system"],
        "suffix": given["suffix"],
        "raw": given["raw"],
        "format": _format(given["form"]),
        "images": given["images"] or None,
        "think": given["think"],
        "options": parse_options(given["options"]) or None,
        "keep_alive": keep_alive_value(given["keep_alive"]),
    }
    with open_engine(url) as engine:
        stream = engine.stream_generate(model, text, **request)
        how = {"as_json": given["as_json"], "whole": given["no_stream"], "stats": given["stats"]}
        show(stream, engine, model, **how)


def prompt_text(prompt: str | None) -> str:
    """The argument or the standard input. Raises UsageError when there is nothing in it."""
    if prompt in (None, "-"):
        if prompt is None and sys.stdin.isatty():
            raise click.UsageError("There is no prompt. Write one, or pipe a text in.")
        prompt = sys.stdin.buffer.read().decode(errors="replace")
    if not prompt or not prompt.strip():
        raise click.UsageError("The prompt is empty.")
    return prompt


def show(
    stream: Iterable[Chunk],
    engine: Engine,
    model: str,
    *,
    as_json: bool = False,
    whole: bool = False,
    stats: bool = False,
) -> str:
    """Print a stream as it comes and return its text; an interruption closes it.

    What it cost goes to the ledger if an Ollama did it; our own engine tells it itself.
    """
    started, first = time.perf_counter(), None
    text = thinking = ""
    chunk = Chunk()
    with closing(cast("Generator[Chunk]", stream)):
        for chunk in stream:
            if first is None and (chunk.text or chunk.thinking):
                first = time.perf_counter() - started
            text += chunk.text
            thinking += chunk.thinking
            if as_json and not whole:
                emit(_record(chunk, first))
            elif not as_json and not whole:
                write(chunk.thinking, sys.stderr)
                write(chunk.text)
    if as_json and whole:
        emit(_record(replace(chunk, text=text, thinking=thinking), first))
    elif not as_json:
        write(f"{text}\n" if whole else "\n")
        if stats:
            note(stats_text(chunk.metrics or Metrics(), first))
    if engine.kind == "ollama":
        from workbench.cards import observe

        observe(engine, model, chunk.metrics)
    return text


def stats_text(metrics: Metrics, first_token: float | None) -> str:
    """The figures of one answer in one line; what is unknown is left out."""
    speed, reading = metrics.tokens_per_second, metrics.prompt_tokens_per_second
    parts = [f"{metrics.eval_count} tokens" + (f" at {speed:.1f} tokens/s" if speed else "")]
    if first_token is not None:
        parts.append(f"first token after {first_token:.2f} s")
    parts.append(
        f"prompt of {metrics.prompt_eval_count} tokens"
        + (f" at {reading:.0f} tokens/s" if reading else "")
    )
    if metrics.load_duration > 50_000_000:
        parts.append(f"loading {metrics.load_duration / 1e9:.1f} s")
    return ", ".join(parts)


def _record(chunk: Chunk, first_token: float | None) -> dict[str, Any]:
    """A chunk as JSON: its text, and at the end the reason and the figures."""
    record: dict[str, Any] = {"text": chunk.text, "done": chunk.done}
    if chunk.thinking:
        record["thinking"] = chunk.thinking
    if chunk.tool_calls:
        record["tool_calls"] = chunk.tool_calls
    if chunk.done:
        record["done_reason"] = chunk.done_reason
    if chunk.metrics:
        record |= asdict(chunk.metrics)
        record["tokens_per_second"] = chunk.metrics.tokens_per_second
        record["first_token_seconds"] = first_token
    return record


def _format(text: str | None) -> Any:
    if text is None or text == "json":
        return text
    path = Path(text)
    if not path.is_file():
        raise NotFound(f"--format is json or a file with a JSON schema; {text} is neither.")
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise click.UsageError(f"{text} holds no JSON schema: {error}.") from None

"""`workbench bench`: measure models on suites, and say which differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from workbench.cli import _output as out
from workbench.cli._bench_show import board, compare, report, rm, show, suites
from workbench.cli._options import engine_option, model_options, open_engine, parse_options


@click.group()
def bench() -> None:
    """Measure models on suites, compare them, and say how sure it is."""


for _command in (show, board, compare, report, suites, rm):
    bench.add_command(_command)


@bench.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL …")
@click.option("-s", "--suite", "names", multiple=True, required=True, help="Can be repeated.")
@click.option("--limit", type=click.IntRange(1), help="Samples of each task.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Another one asks new questions.")  # fmt: skip
@model_options
@click.option("--setting", "settings", multiple=True, metavar="KEY=VALUE,…",
              help="Measure under these options; repeated, under each of them.")  # fmt: skip
@click.option("--parallel", type=click.IntRange(0), default=0, help="Requests at once.")
@click.option("--speed", is_flag=True, help="Measure speed, memory and energy as well.")
@click.option("--judge", default="", metavar="MODEL", help="Grades what no rule can.")
@click.option("--name", default="", help="For people.")
@click.option("--detach", is_flag=True, help="Do not wait for the job.")
@engine_option
@out.json_option
def run(
    models: Sequence[str],
    names: Sequence[str],
    options: Sequence[str],
    settings: Sequence[str],
    detach: bool,
    url: str | None,
    as_json: bool,
    **plan: Any,
) -> None:
    """Measure models on suites, in a job that goes on when this terminal is closed.

    A suite is a name (`workbench bench suites` lists them), or the file of a suite or a task.
    """
    from workbench import bench as room
    from workbench.cli._jobs import follow, told

    common = parse_options(options)
    chosen = [{**common, **parse_options(text.split(","))} for text in settings] or [common]
    job = room.submit_matrix(models, names, chosen, engine=url, **plan)
    if detach:
        told(job, as_json)
        return
    job = follow(job, as_json)
    if as_json:
        return
    for failed in job.result["failed"]:
        out.note(f"{failed['model']} on {failed['suite']}: {failed['reason']}")
    from workbench.cli._bench_show import show_runs

    show_runs([room.get_run(id) for id in job.result["runs"]])


@bench.command("lm-eval")
@click.argument("model")
@click.argument("tasks", nargs=-1, required=True, metavar="TASK …")
@click.option("--limit", type=click.IntRange(1), help="Samples of each task.")
@click.option("--shots", type=click.IntRange(0), help="Examples before each question.")
@click.option("--include", "include_path", type=click.Path(exists=True, file_okay=False),
              help="A folder with tasks of your own.")  # fmt: skip
@click.option("--detach", is_flag=True, help="Do not wait for the job.")
@engine_option
@out.json_option
def lm_eval(
    model: str,
    tasks: Sequence[str],
    detach: bool,
    url: str | None,
    as_json: bool,
    **more: Any,
) -> None:
    """Measure a model on tasks of lm-eval (an extra: pip install 'workbench[eval]').

    A task whose data is not on this machine asks the Hugging Face Hub for it.
    """
    from workbench import bench as bench_room
    from workbench import standard as room
    from workbench.cli._bench_show import show_runs
    from workbench.cli._jobs import follow, told

    job = room.submit_lm_eval(model, list(tasks), engine=url, **more)
    if detach:
        told(job, as_json)
        return
    job = follow(job, as_json)
    if not as_json:
        show_runs([bench_room.get_run(id) for id in job.result["runs"]])


@bench.command("serve-probe")
@click.argument("model")
@model_options
@engine_option
@out.json_option
def serve_probe(model: str, options: Sequence[str], url: str | None, as_json: bool) -> None:
    """Probe how a server serves a model: template, stop, context, log-likelihoods, repeatability.

    Ends with 1 where something is wrong with it.
    """
    import asyncio

    from workbench.engines import AsyncEngine
    from workbench.meter import probe

    modes = ("chat", "complete", "insert", "choice", "perplexity")
    with open_engine(url) as engine:
        address, kind = engine.url, engine.kind
    asked = parse_options(options)
    found = asyncio.run(_probed(AsyncEngine(address, kind=kind), probe, model, modes, asked))
    usable = {mode: found.verdict(mode) for mode in modes}
    if as_json:
        out.emit({"model": model, "checks": found.checks, "usable": usable})
    else:
        marks = {"ok": "ok", "warn": "note", "bad": "BAD", "unknown": "?"}
        rows = [(marks[c.state], c.name, f"{c.words} {c.advice}".strip()) for c in found.checks]
        out.table(("", "CHECK", "WHAT WAS FOUND"), rows)
        click.echo()
        out.table(
            ("TASKS", "CAN BE SCORED", "WHY"),
            [(mode, one.how, one.reason) for mode, one in usable.items()],
        )
    if any(check.state == "bad" for check in found.checks):
        raise click.exceptions.Exit(1)


async def _probed(engine: Any, probe: Any, model: str, modes: Any, options: Any) -> Any:
    async with engine:
        return await probe(engine, model, set(modes), options=options)


@bench.command()
@click.argument("run_id", metavar="RUN")
@click.option("--judge", default="", metavar="MODEL", help="Grades what no rule can.")
@engine_option
@out.json_option
def rescore(run_id: str, judge: str, url: str | None, as_json: bool) -> None:
    """Score a run's answers anew, without asking the model again."""
    from workbench import bench as room
    from workbench.cli._bench_show import show_run

    show_run(room.rescore(run_id, judge=judge, engine=url), as_json)


@bench.command()
@click.argument("a", metavar="RUN")
@click.argument("b", metavar="RUN")
@click.option("--judge", required=True, metavar="MODEL", help="The model that decides.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Pairs.")
@out.json_option
def duel(a: str, b: str, judge: str, limit: int, as_json: bool) -> None:
    """Let a model judge which run's answers are better, each pair in both orders."""
    from workbench import arena as room
    from workbench.cli._jobs import follow

    job = follow(room.submit_duel(a, b, judge, limit=limit), as_json)
    if not as_json:
        rows = [
            (one["name"], f"{one['rating']:.0f}", f"{one['low']:.0f} to {one['high']:.0f}",
             one["games"]) for one in job.result["ratings"]
        ]  # fmt: skip
        out.table(("MODEL", "RATING", "95 %", "PAIRS"), rows)

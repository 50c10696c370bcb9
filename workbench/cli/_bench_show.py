"""`workbench bench show | board | compare | report | suites | rm`: what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out

if TYPE_CHECKING:
    from workbench.bench import Run, RunResult

_SPEEDS = ("first_token", "prompt_speed", "generation_speed", "total")
_RUN = ("ID", "STATE", "MODEL", "SUITE", "SCORE", "SAMPLES", "WRITES", "WHEN")


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--model", help="Only of this model.")
@click.option("--suite", help="Only of this suite.")
@click.option("--answers", "with_answers", is_flag=True, help="The answers of the run as well.")
@click.option("--wrong", is_flag=True, help="Only answers below full marks.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@out.json_option
def show(
    run_id: str | None,
    model: str | None,
    suite: str | None,
    with_answers: bool,
    wrong: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, or show one with its tasks and answers."""
    from workbench import bench as room

    if run_id is None:
        found = room.runs(model=model, suite=suite, limit=limit)
        if as_json:
            out.emit([_facts(room.result(run)) for run in found])
        else:
            show_runs(found)
        return
    run = room.get_run(run_id)
    if not (with_answers or wrong):
        show_run(run, as_json)
        return
    answers = [a for a in room.answers(run) if not wrong or (a.value or 0.0) < 1.0][:limit]
    if as_json:
        out.emit(answers)
        return
    for one in answers:
        value = "not scored" if one.value is None else f"{one.value:.2f}"
        click.echo(out.neutralise(f"— {one.task} {one.sample}: {value}"))
        click.echo(out.neutralise(str(one.about["prompt"])))
        click.echo(out.neutralise(f"> {one.output or one.error or '(log-likelihood)'}\n"))


@click.command()
@click.argument("suite")
@click.option("--seed", type=click.IntRange(0), help="Of the questions; else the newest run's.")
@click.option("--filter", "words", default="", help="A part of the model's name or the setting.")
@out.json_option
def board(suite: str, seed: int | None, words: str, as_json: bool) -> None:
    """Show a suite's leaderboard, with the ranks that chance leaves open."""
    from workbench import bench as room

    found = room.leaderboard(suite, seed=seed, filter=words)
    if as_json:
        places = [
            {"rank": r.rank, "first": r.first, "last": r.last, **_facts(r.result)}
            for r in found.rows
        ]
        out.emit({"suite": found.suite, "seed": found.seed, "rows": places})
        return
    if not found.rows:
        out.note(f"Nothing was measured on {suite} yet: workbench bench run MODEL --suite {suite}")
    rows = [
        (f"{r.first}–{r.last}" if r.first != r.last else str(r.rank), r.label, _score(r.result),
         _figure(r.result.tokens_per_second, "tokens/s"), out.size_text(r.result.memory))
        for r in found.rows
    ]  # fmt: skip
    out.table(("RANK", "MODEL", "SCORE (95 %)", "WRITES", "MEMORY"), rows)


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN RUN …")
@click.option("--flips", is_flag=True, help="Name the samples on which the first two differ.")
@out.json_option
def compare(run_ids: Sequence[str], flips: bool, as_json: bool) -> None:
    """Compare runs of one suite, sample by sample."""
    from workbench import bench as room

    ids = [room.get_run(id).id for id in run_ids]
    found = room.compare(ids)
    differing = room.flips(*ids[:2]) if flips else []
    if as_json:
        facts = {"runs": [_facts(one) for one in found.results], "pairs": found.pairs}
        out.emit({**facts, "left_out": found.left_out, **({"flips": differing} if flips else {})})
        return
    show_runs([one.run for one in found.results])
    click.echo()
    for pair in found.pairs:
        click.echo(out.neutralise(pair.words))
    for text in found.left_out:
        out.note(f"Left out: {text}")
    rows = [(f.task, f.sample, f"{f.a.value:.2f}", f"{f.b.value:.2f}") for f in differing]
    if rows:
        click.echo()
        out.table(("TASK", "SAMPLE", "FIRST", "SECOND"), rows)


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN …")
@click.option("--format", "kind", type=click.Choice(["html", "markdown", "csv"]), default="html",
              show_default=True)  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file.")
@click.option("--title", default="", help="Of the page.")
@click.option("--notes", default="", help="A paragraph of yours at its beginning.")
@out.json_option
def report(
    run_ids: Sequence[str], kind: str, output: Path | None, title: str, notes: str, as_json: bool
) -> None:
    """Write a report of runs to send to somebody, with all that they were measured under."""
    from workbench import bench as room

    ids = [room.get_run(id).id for id in run_ids]
    if kind == "html":
        text = room.report_html(ids, title=title, notes=notes)
    else:
        text = room.report_csv(ids) if kind == "csv" else room.report_markdown(ids)
    if output is not None:
        output.write_text(text, encoding="utf-8", newline="")
    if as_json:
        out.emit({"format": kind, "output": output, "text": None if output else text})
    elif output is not None:
        click.echo(out.neutralise(f"{output} is written."))
    else:
        out.write(text)


@click.command()
@click.argument("name", required=False)
@out.json_option
def suites(name: str | None, as_json: bool) -> None:
    """List the suites, or the tasks of one."""
    from workbench import tasks as room

    if name is None:
        every = room.suites().values()
        if as_json:
            out.emit([{"name": s.name, "title": s.title, "tasks": [t.name for t in s.tasks]}
                      for s in every])  # fmt: skip
        else:
            rows = [(s.name, s.title, ", ".join(t.name for t in s.tasks)) for s in every]
            out.table(("SUITE", "WHAT IT ASKS", "TASKS"), rows)
        for text in room.problems():
            out.note(str(text))
        return
    suite = room.find_any(name)
    tasks = [
        {"name": t.name, "title": t.title, "mode": t.mode, "weight": w, "count": t.count,
         "scorers": [use.name for use in t.scorers], "source": t.source}
        for t, w in zip(suite.tasks, suite.weights, strict=True)
    ]  # fmt: skip
    if as_json:
        out.emit({"name": suite.name, "title": suite.title, "tasks": tasks})
        return
    click.echo(out.neutralise(f"{suite.title}. {suite.description}".strip()))
    keys = ("name", "mode", "count", "weight", "title")
    out.table([key.upper() for key in keys], [[t[key] for key in keys] for t in tasks])


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN …")
@click.option("--yes", is_flag=True, help="Do not ask.")
@out.json_option
def rm(run_ids: Sequence[str], yes: bool, as_json: bool) -> None:
    """Remove runs with all their answers. This cannot be undone."""
    from workbench import bench as room

    found = [room.get_run(id) for id in run_ids]
    if not yes:
        names = ", ".join(f"{run.id} ({run.label} on {run.suite})" for run in found)
        click.confirm(out.neutralise(f"Remove {names} with all answers?"), abort=True)
    count = room.delete_runs([run.id for run in found])
    if as_json:
        out.emit({"removed": [run.id for run in found]})
    else:
        click.echo(f"{count} removed.")


def show_runs(runs: Iterable[Run]) -> None:
    """A line for each run."""
    from workbench import bench as room

    rows = []
    for run in runs:
        one = room.result(run)
        rows.append(
            (run.id, run.state, run.label, run.suite, _score(one), one.score.n if one.score else 0,
             _figure(one.tokens_per_second, "tokens/s"), out.age_text(run.created_at))
        )  # fmt: skip
    out.table(_RUN, rows)


def show_run(run: Run, as_json: bool) -> None:
    """One run with its tasks."""
    from workbench import bench as room

    one = room.result(run)
    if as_json:
        out.emit(_facts(one))
        return
    click.echo(out.neutralise(f"{run.label} on {run.suite}: {_score(one)}"))
    noise = run.facts.get("noise") or {}
    out.facts(
        (
            ("run", run.id), ("state", run.state), ("error", run.error), ("seed", run.seed),
            ("digest", run.digest), ("engine", run.facts.get("engine")),
            ("writes", _figure(one.tokens_per_second, "tokens/s")),
            ("reads", _figure(one.prompt_speed, "tokens/s")),
            ("first token", out.duration_text(one.first_token)),
            ("memory", out.size_text(one.memory) if one.memory else ""),
            ("other work", noise.get("words")),
        )
    )  # fmt: skip
    rows = [
        (t.title, _interval(t.score), t.answered, t.unscored or "", t.refused or
         ("scored generatively" if t.how == "generative" else ""))
        for t in one.tasks
    ]  # fmt: skip
    out.table(("TASK", "SCORE (95 %)", "ANSWERS", "UNSCORED", ""), rows)
    speed = run.speed or {}
    points = [
        (p["parallel"], p["read"], *(_middle(p[name]) for name in _SPEEDS))
        for p in (*speed.get("points", ()), *speed.get("curve", ()))
    ]
    if points:
        click.echo()
        out.table(("AT ONCE", "PROMPT", "FIRST TOKEN, s", "READS", "WRITES", "TOGETHER"), points)
    for check in (run.canary or {}).get("checks", ()):
        if check["state"] in {"warn", "bad"}:
            out.note(f"{check['name']}: {check['words']}")


def _facts(one: RunResult) -> dict[str, Any]:
    """A run with its figures, for programs."""
    run = out.plain(one.run)
    figures = out.plain(one)
    return {**run, **{key: figures[key] for key in figures if key not in {"run", "tasks"}},
            "tasks": figures["tasks"], "quality_per_gb": one.quality_per_gb,
            "joules_per_token": one.joules_per_token}  # fmt: skip


def _score(one: RunResult) -> str:
    return _interval(one.score)


def _interval(score: Any) -> str:
    if score is None or score.value is None:
        return "?"
    return f"{score.value:.1%} ({score.low:.1%} to {score.high:.1%})"


def _middle(figure: dict[str, float] | None) -> str:
    return "?" if not figure else f"{figure['median']:.4g}"


def _figure(value: float | None, unit: str) -> str:
    return "?" if value is None else f"{value:.4g} {unit}"

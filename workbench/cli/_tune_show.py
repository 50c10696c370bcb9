"""`workbench tune list | status | best | report | spaces`: what was tried and found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out

if TYPE_CHECKING:
    from workbench.tune import Study, Trial

study_argument = click.argument("study", metavar="STUDY")
trial_option = click.option("--trial", type=click.IntRange(0), help="Its number; else the best.")
_FORMS = ["words", "html", "markdown", "csv"]


@click.command("list")
@click.option("--model", default="", help="Only of this model.")
@click.option("--suite", default="", help="Only on this suite.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@out.json_option
def list_studies(model: str, suite: str, limit: int, as_json: bool) -> None:
    """List studies, the newest first."""
    from workbench import tune as room

    found = room.studies(model=model, suite=suite, limit=limit)
    if as_json:
        out.emit([facts(one) for one in found])
        return
    rows = [
        (one.id, one.state, one.name, one.model, one.suite, one.space.name, one.strategy,
         ", ".join(one.objectives), out.age_text(one.created_at)) for one in found
    ]  # fmt: skip
    out.table(("ID", "STATE", "NAME", "MODEL", "SUITE", "SPACE", "STRATEGY", "FOR", "MADE"), rows)


@click.command()
@study_argument
@click.option("--all", "every", is_flag=True, help="Every trial, not just the last ones.")
@out.json_option
def status(study: str, every: bool, as_json: bool) -> None:
    """Show how far a study is, and its trials."""
    from workbench import tune as room

    found = room.find(study)
    tried = room.trials(found)
    if as_json:
        out.emit({**facts(found), "trials": [trial_facts(one) for one in tried]})
        return
    show_study(found)
    click.echo()
    shown = tried if every else tried[-20:]
    show_trials(found, shown)
    if len(shown) < len(tried):
        out.note(f"{len(tried) - len(shown)} earlier ones are not shown: --all")


@click.command()
@study_argument
@click.option("--front", "line", is_flag=True, help="All points that no other beats.")
@out.json_option
def best(study: str, line: bool, as_json: bool) -> None:
    """Show the best point so far, or the front. Ends with 1 where nothing was measured."""
    from workbench import tune as room

    found = room.find(study)
    one = room.best(found)
    shown = room.front(found) if line else [one] if one else []
    if as_json:
        told = [trial_facts(trial) for trial in shown]
        out.emit(told if line else told[0] if told else None)
    elif shown:
        show_trials(found, shown)
    else:
        out.note("Nothing was measured yet.")
    if not shown:
        raise click.exceptions.Exit(1)


@click.command()
@study_argument
@click.option("--format", "kind", type=click.Choice(_FORMS), default="words", show_default=True)
@click.option("--method", type=click.Choice(["auto", "ped-anova", "fanova"]), default="auto",
              show_default=True, help="Of what matters.")  # fmt: skip
@click.option("--pictures/--no-pictures", default=True, show_default=True,
              help="In HTML: with plotly inside, some 5 MB.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file.")
@out.json_option
def report(
    study: str, kind: str, method: Any, pictures: bool, output: Path | None, as_json: bool
) -> None:
    """Say what a study found: what matters, what each choice costs and gains, the front."""
    from workbench import tune as room

    if kind == "words":
        if output is not None:
            raise click.UsageError("A file takes --format html, markdown or csv.")
        found = room.report(study, method=method)
        out.emit(found.to_json()) if as_json else _show_report(found)
        return
    if kind == "html":
        more: dict[str, Any] = {} if pictures else {"plots": ()}
        text = room.report_html(study, method=method, **more)
    elif kind == "csv":
        text = room.report_csv(study)
    else:
        text = room.report_markdown(study, method=method)
    deliver(text, kind, output, as_json)


@click.command()
@click.argument("name", required=False)
@out.json_option
def spaces(name: str | None, as_json: bool) -> None:
    """List the spaces of settings, or the settings of one (its name, or a YAML file)."""
    from workbench import space as room

    if name is not None:
        one = room.find_space(name)
        if as_json:
            out.emit(one.to_json())
            return
        click.echo(out.neutralise(f"{one.title}. {one.about}".strip()))
        named = [
            (p.name, p.part, _values(p), "engine's" if p.default is None else str(p.default),
             p.meaning) for p in one.parameters
        ]  # fmt: skip
        out.table(("SETTING", "PART", "VALUES", "DEFAULT", "MEANING"), named)
        return
    found = room.spaces()
    if as_json:
        out.emit([one.to_json() | {"size": one.size()} for one in found])
        return
    rows = [(one.name, one.title, f"{size:,}" if (size := one.size()) else "any number",
             ", ".join(one.names)) for one in found]  # fmt: skip
    out.table(("SPACE", "FOR", "POINTS", "SETTINGS"), rows)


def _values(one: Any) -> str:
    if one.kind == "choice":
        return ", ".join(map(str, one.choices))
    step = f" by {one.step:g}" if one.step else ""
    return f"{one.low:g} to {one.high:g}{step}{', log' if one.log else ''}"


def _show_report(found: Any) -> None:
    for line in found.words:
        click.echo(out.neutralise(line))
    click.echo()
    show_trials(found.study, [one.trial for one in found.tradeoffs])
    for told in found.importance:
        click.echo()
        click.echo(out.neutralise(f"What matters for {told.objective}. {told.why}".strip()))
        rows = [(one.parameter, f"{one.share:.0%} ({one.low:.0%} to {one.high:.0%})",
                 "" if one.told else "no more than chance") for one in told.rows]  # fmt: skip
        if rows:
            out.table(("SETTING", "SHARE (95 %)", ""), rows)
    click.echo()
    click.echo(out.neutralise(found.efficiency.words))


def deliver(text: str, form: str, output: Path | None, as_json: bool) -> None:
    """A text into the file that was asked for, else to the output."""
    if output is not None:
        output.write_text(text, encoding="utf-8", newline="")
    if as_json:
        out.emit({"format": form, "output": output, "text": None if output else text})
    elif output is not None:
        click.echo(out.neutralise(f"{output} is written."))
    else:
        out.write(text)


def facts(study: Study) -> dict[str, Any]:
    """A study for programs."""
    plain: dict[str, Any] = out.plain(study)
    return {**plain, "job": study.job, "space": study.space.to_json()}


def trial_facts(trial: Trial) -> dict[str, Any]:
    """A trial for programs, without its answers."""
    plain: dict[str, Any] = out.plain(trial)
    if plain["measured"]:
        del plain["measured"]["answers"]
    return plain


def show_study(study: Study) -> None:
    """One study for people."""
    settings = study.settings
    click.echo(out.neutralise(study.name))
    out.facts(
        (
            ("id", study.id), ("state", study.state), ("error", study.result.get("error")),
            ("job", study.job), ("model", study.model), ("suite", study.suite),
            ("space", study.space.name), ("strategy", study.strategy),
            ("for", ", ".join(study.objectives)),
            ("questions", f"{settings.get('samples')} of a trial, {settings.get('held_out')} "
                          "to confirm"),
            ("at most", f"{settings.get('iterations')} trials, {settings.get('minutes'):g} min"),
            ("made of it", ", ".join(study.result.get("applied") or ())),
            ("made", out.age_text(study.created_at)), ("ended", out.age_text(study.ended_at)),
        )
    )  # fmt: skip
    if study.result.get("words"):
        click.echo(out.neutralise(str(study.result["words"])))


def show_trials(study: Study, tried: list[Trial]) -> None:
    """A line for each trial."""
    rows = []
    for one in tried:
        told = one.measured
        point = ", ".join(f"{name} {value}" for name, value in one.point.items())
        figures = (_interval(told.quality), _interval(told.latency),
                   f"{told.throughput:.4g}" if told.throughput else "?",
                   out.size_text(told.memory)) if told else ("", "", "", "")  # fmt: skip
        rows.append((one.number, one.state, *figures, point, one.why))
    out.table(
        ("TRIAL", "STATE", "QUALITY (95 %)", "AN ANSWER, s", "TOKENS/s", "MEMORY", "SETTINGS", ""),
        rows,
    )


def _interval(told: Any) -> str:
    if told is None or told.value is None:
        return "?"
    return f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})"

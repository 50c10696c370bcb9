"""`workbench tune`: search better settings of a model, confirm them, put them to work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out
from workbench.cli._catalogue_options import Amount
from workbench.cli._options import engine_option, settings_of
from workbench.cli._tune_show import (
    best,
    deliver,
    facts,
    list_studies,
    report,
    show_study,
    spaces,
    status,
    study_argument,
    trial_option,
)

if TYPE_CHECKING:
    from workbench.jobs import Job
    from workbench.tune import Study


@click.group()
def tune() -> None:
    """Search better settings of a model, and confirm them on questions it never saw."""


_detach = click.option("--detach", is_flag=True, help="Do not wait for the job.")
_workers = click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
                        help="Jobs that try points at once.")  # fmt: skip
_PLAN = (
    click.option("-s", "--suite", help="Whose questions are asked: workbench bench suites."),
    click.option("--space", help="Which settings: workbench tune spaces, or a YAML file."),
    click.option("--strategy", help="bayesian_optimization, random_search, grid_search, …"),
    click.option("--objective", "objectives", multiple=True,
                 help="A name or a formula; several make a front."),
    click.option("--weight", "weights", multiple=True, metavar="NAME=NUMBER",
                 help="A sum of several in place of a front."),
    click.option("--name", help="For people."),
    click.option("--seed", type=click.IntRange(0), help="Another one asks other questions."),
    click.option("--samples", type=click.IntRange(1), help="Questions of a full trial."),
    click.option("--held-out", type=click.IntRange(1), help="Questions of the confirmation."),
    click.option("--iterations", type=click.IntRange(1), help="Trials at most."),
    click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time at most."),
    click.option("--memory", type=Amount(), help="Points that need more are not tried: 8GB."),
    click.option("--judge", metavar="MODEL", help="Grades what no rule can."),
    click.option("--dataset", help="What each point is trained on, in the space training."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                 help="A setting of all these trainings: workbench train presets."),
    click.option("--cold", is_flag=True, help="Do not begin with what earlier studies found."),
)  # fmt: skip


def _planned(function: Any) -> Any:
    for option in reversed(_PLAN):
        function = option(function)
    return function


@tune.command()
@click.argument("model")
@_planned
@click.option("--start", "starting", is_flag=True, help="Start it at once.")
@_workers
@_detach
@engine_option
@out.json_option
def create(
    model: str, suite: str | None, starting: bool, workers: int, detach: bool, url: str | None,
    as_json: bool, **plan: Any,
) -> None:  # fmt: skip
    """Plan a study of a model: a space, a suite, what is better, how long."""
    from workbench import tune as room

    if not suite:
        raise click.UsageError("Say whose questions are asked: --suite NAME.")
    made = room.create(model, suite, engine=url, **_given(plan))
    if starting:
        _followed(room.start(made, workers), made, detach, as_json)
        return
    _said(made, as_json, f"Start it: workbench tune start {made.id}")


@tune.command()
@study_argument
@_workers
@_detach
@out.json_option
def start(study: str, workers: int, detach: bool, as_json: bool) -> None:
    """Begin to search, in a job that goes on when this terminal is closed."""
    from workbench import tune as room

    found = room.find(study)
    _followed(room.start(found, workers), found, detach, as_json)


@tune.command()
@study_argument
@out.json_option
def pause(study: str, as_json: bool) -> None:
    """Stop a study now, to go on later; nothing that was measured is lost."""
    from workbench import tune as room

    found = room.pause(study)
    _said(found, as_json, f"Go on: workbench tune resume {found.id}")


@tune.command()
@study_argument
@_detach
@out.json_option
def stop(study: str, detach: bool, as_json: bool) -> None:
    """Try no more points: confirm what is best so far and end."""
    from workbench import tune as room
    from workbench.jobs import get

    found = room.stop(study)
    _followed(get(found.job), found, detach, as_json)


@tune.command()
@study_argument
@_detach
@out.json_option
def resume(study: str, detach: bool, as_json: bool) -> None:
    """Go on after a pause, a kill or a failure."""
    from workbench import tune as room

    found = room.find(study)
    _followed(room.resume(found), found, detach, as_json)


@tune.command()
@study_argument
@click.option("--iterations", type=click.IntRange(1), help="So many more trials.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="So many more minutes.")
@out.json_option
def extend(study: str, iterations: int | None, minutes: float | None, as_json: bool) -> None:
    """Allow more trials or more time; a study that was done can be started again then."""
    from workbench import tune as room

    found = room.extend(study, iterations=iterations, minutes=minutes)
    _said(found, as_json, f"Start it: workbench tune start {found.id}")


@tune.command()
@study_argument
@click.option("--model", help="Another model.")
@_planned
@engine_option
@out.json_option
def copy(study: str, url: str | None, as_json: bool, **changes: Any) -> None:
    """Plan the same study anew, with what is changed here."""
    from workbench import tune as room

    given = _given(changes) | ({"engine": url} if url else {})
    made = room.copy(study, **given)
    _said(made, as_json, f"Start it: workbench tune start {made.id}")


@tune.command()
@study_argument
@trial_option
@click.option("--name", default="", help="Of the model that is made; else MODEL:tuned.")
@click.option("--replace", is_flag=True, help="Replace a model that has this name.")
@out.json_option
def apply(study: str, trial: int | None, name: str, replace: bool, as_json: bool) -> None:
    """Make a model with the settings of the best trial, or of another one."""
    from workbench import tune as room

    made = room.apply(study, trial, name, replace=replace)
    if as_json:
        out.emit({"model": made})
    else:
        click.echo(out.neutralise(f"{made} is in the engine: workbench chat {made}"))


@tune.command()
@study_argument
@trial_option
@click.option("--form", type=click.Choice(["json", "python", "options", "modelfile"]),
              default="json", show_default=True)  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file.")
@out.json_option
def export(study: str, trial: int | None, form: str, output: Path | None, as_json: bool) -> None:
    """Write the settings of the best trial, or of another one, for use elsewhere."""
    from workbench import tune as room

    deliver(room.export(study, trial, form), form, output, as_json)


@tune.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY …")
@click.option("--yes", is_flag=True, help="Do not ask.")
@out.json_option
def rm(studies: Sequence[str], yes: bool, as_json: bool) -> None:
    """Remove studies with their trials; models that were made of them stay."""
    from workbench import tune as room

    found = [room.find(study) for study in studies]
    if not yes:
        names = ", ".join(f"{one.id} ({one.name})" for one in found)
        click.confirm(out.neutralise(f"Remove {names} with all trials?"), abort=True)
    for one in found:
        room.remove(one)
    if as_json:
        out.emit({"removed": [one.id for one in found]})
    else:
        click.echo(f"{len(found)} removed.")


for _command in (list_studies, status, best, report, spaces):
    tune.add_command(_command)


def _given(plan: dict[str, Any]) -> dict[str, Any]:
    """What was said, as the room takes it."""
    objectives, weights = plan.pop("objectives"), plan.pop("weights")
    training = settings_of(plan.pop("settings"))
    if objectives and weights:
        raise click.UsageError("--objective makes a front, --weight one sum: give one of them.")
    cold = plan.pop("cold")
    given = {name: value for name, value in plan.items() if value is not None}
    if "memory" in given:
        given["memory"] = int(given["memory"])
    if objectives or weights:
        given["objectives"] = list(objectives) or dict(map(_weight, weights))
    given |= {"training": training} if training else {}
    return given | ({"warm_start": False} if cold else {})


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise click.UsageError(f"--weight is written NAME=NUMBER, not {text!r}.") from None


def _said(study: Study, as_json: bool, words: str) -> None:
    if as_json:
        out.emit(facts(study))
        return
    for note in study.result.get("notes") or ():
        out.note(str(note))
    click.echo(out.neutralise(f"{study.label} is {study.state}. {words}"))


def _followed(job: Job, study: Study, detach: bool, as_json: bool) -> None:
    from workbench import tune as room
    from workbench.cli._jobs import follow, told

    if detach:
        told(job, as_json)
        return
    follow(job, as_json)
    if not as_json:
        show_study(room.find(study.id))

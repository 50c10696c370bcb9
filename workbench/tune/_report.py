"""Studies as reports, pictures and texts, and their points for use elsewhere: what `findings`
makes of records, for studies by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench import findings
from workbench.errors import TuneError
from workbench.findings import Method, Report
from workbench.tune import _keep as keep
from workbench.tune._records import Study, Trial
from workbench.tune._trials import best, default_of, front, trial_of, trials


def report(study: Study | str, *, method: Method | None = "auto") -> Report:
    """What a study found so far; without a method importance is left out, which takes seconds.

    Raises TuneError for a study, or a method, there is not.
    """
    study = _found(study)
    return findings.gathered(study, trials(study), best(study), front(study), method)


def plot(study: Study | str, kind: str, *, parameters: Sequence[str] = ()) -> Any:
    """A picture of a study: convergence, front, tradeoff, importance, slices, contour, parallel.

    A contour takes the names of two parameters, else the first two. Raises TuneError for a
    picture, a parameter or a study there is not.
    """
    method: Method | None = "auto" if kind == "importance" else None
    return findings.drawn(report(study, method=method), kind, parameters=parameters)


def report_html(
    study: Study | str, *, plots: Sequence[str] = findings.PICTURES, title: str = "",
    method: Method = "auto",
) -> str:  # fmt: skip
    """A page that stands alone, light and dark. Raises TuneError for a picture there is not."""
    return findings.html_text(report(study, method=method), plots=plots, title=title)


def report_markdown(study: Study | str, *, method: Method = "auto") -> str:
    """The words, the trade-offs, what matters."""
    return findings.markdown_text(report(study, method=method))


def report_csv(study: Study | str) -> str:
    """A row for each trial: what it set, what it reached."""
    study = _found(study)
    return findings.csv_text(study, trials(study))


def export(study: Study | str, trial: Trial | int | None = None, form: str = "json") -> str:
    """A trial's point (the best one's) as json, python, options or modelfile.

    Raises TuneError for a study, a trial or a form there is not, before anything was measured, and
    for a text that a Modelfile cannot hold.
    """
    study = _found(study)
    number = trial.number if isinstance(trial, Trial) else trial
    chosen = best(study) if number is None else trial_of(study, number)
    if chosen is None:
        raise TuneError(f"{study.label} has measured nothing yet, so there is nothing to export.")
    return findings.exported(study, chosen, default_of(study), form)


def _found(study: Study | str) -> Study:
    return keep.find(study.id if isinstance(study, Study) else study)

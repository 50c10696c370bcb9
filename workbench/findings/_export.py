"""A point to use elsewhere, as JSON, options, a Modelfile or a small program; and a report to send
to somebody, as a page of its own, as Markdown, as a table of all trials.

Names and texts come from models, files and users: each form guards itself against them. The page
asks nothing of another server; with pictures it holds plotly (some 4 MB), without it has no script.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from pprint import pformat
from typing import Any, Literal

from workbench import __version__
from workbench.errors import ModelfileError, TuneError
from workbench.findings._records import Study, Trial
from workbench.findings._report import Report
from workbench.findings._words import changes, figure, in_words, spelt
from workbench.protocol import OPTIONS, Modelfile
from workbench.statistics import Interval
from workbench.texts import for_csv, for_markdown, nearest

Form = Literal["json", "python", "options", "modelfile"]
PICTURES = ("convergence", "front", "tradeoff", "importance", "slices", "parallel")  # of the page

_PROGRAM = '''"""Ask a model under the settings that a search found. Needs: pip install ollama

The engine's address is read from OLLAMA_HOST.
"""

import sys

from ollama import Client

# {about}
MODEL = {model}
OPTIONS = {options}
SYSTEM = {system}


def ask(prompt: str) -> str:
    answer = Client().generate(model=MODEL, prompt=prompt, system=SYSTEM, options=OPTIONS)
    return answer.response


if __name__ == "__main__":
    print(ask(" ".join(sys.argv[1:]) or sys.stdin.read()))
'''


def options_of(point: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine takes of a point: options by name."""
    return {name: value for name, value in point.items() if name in OPTIONS and value is not None}


def modelfile_of(study: Study, point: Mapping[str, Any]) -> Modelfile:
    """The model with the point's options and system text."""
    return Modelfile(
        from_=(study.model,), system=str(point.get("system") or ""), parameters=options_of(point)
    )


def exported(study: Study, trial: Trial, default: Trial | None, form: str) -> str:
    """The trial's point as json, python, options or modelfile. Raises TuneError for another form,
    and for a text that a Modelfile cannot hold."""
    makers: dict[str, Callable[[], str]] = {
        "json": lambda: json.dumps(_facts(study, trial, default), indent=2) + "\n",
        "options": lambda: json.dumps(options_of(trial.point), indent=2) + "\n",
        "python": lambda: _program(study, trial),
        "modelfile": lambda: _modelfile(study, trial),
    }
    if form not in makers:
        raise TuneError(f"A point cannot be written as {form!r:.40}.{nearest(form, makers)}")
    return makers[form]()


def _facts(study: Study, trial: Trial, default: Trial | None) -> dict[str, Any]:
    measured = trial.measured.to_json() if trial.measured else {}
    base = default.measured if default else None
    return {
        "model": study.model, "digest": study.digest, "suite": study.suite,
        "study": study.id, "name": study.name, "trial": trial.number,
        "point": dict(trial.point), "options": options_of(trial.point),
        "objectives": dict(zip(study.objectives, trial.values or (), strict=False)),
        "measured": {k: v for k, v in measured.items() if k not in ("answers", "point")},
        "against_default": [asdict(one) for one in changes(base, trial.measured)],
        "confirmed": study.result.get("confirmed"),
    }  # fmt: skip


def _about(study: Study, trial: Trial) -> str:
    """On one line, whatever the names hold."""
    told = f"Trial {trial.number} of the study {study.name!r} on the suite {study.suite!r}"
    quality = trial.measured.quality if trial.measured else None
    return f"{told}: quality {_shown(quality)}" if quality else told


def _beyond(point: Mapping[str, Any]) -> list[str]:
    """What neither options nor a Modelfile can say."""
    found = []
    if point.get("quantisation"):
        kind = spelt(point["quantisation"])
        found.append(f"Measured with weights in {kind}: create the model with --quantize {kind}.")
    if point.get("shots") is not None:
        found.append(f"Measured with {spelt(point['shots'])} solved examples before each question.")
    return found


def _program(study: Study, trial: Trial) -> str:
    about = "\n# ".join([_about(study, trial), *_beyond(trial.point)])
    return _PROGRAM.format(
        about=about, model=repr(study.model),
        options=pformat(options_of(trial.point), width=92, sort_dicts=False),
        system=repr(str(trial.point.get("system") or "")),
    )  # fmt: skip


def _modelfile(study: Study, trial: Trial) -> str:
    notes = [f"# {line}" for line in (_about(study, trial), *_beyond(trial.point))]
    try:
        return "\n".join([*notes, modelfile_of(study, trial.point).render()])
    except ModelfileError as error:
        raise TuneError(f"The point cannot be written as a Modelfile: {error}.") from None


def html_text(found: Report, *, plots: Sequence[str] = PICTURES, title: str = "") -> str:
    """A page that stands alone, light and dark. Raises TuneError for a picture there is not."""
    from jinja2 import Environment
    from markupsafe import Markup

    from workbench.findings._plots import drawn

    figures = []
    for place, kind in enumerate(plots):
        html = drawn(found, kind).to_html(full_html=False, include_plotlyjs=place == 0)
        figures.append(Markup(html))  # noqa: S704 (plotly's page; our texts in it are escaped)
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"interval": _shown, "spelt": spelt, "figure": _figure, "in_words": in_words}
    text = (files("workbench.findings") / "data" / "report.html").read_text(encoding="utf-8")
    return page.from_string(text).render(
        title=title or f"Tuning {found.study.model}: {found.study.name}",
        report=found, study=found.study, figures=figures, at=datetime.now(UTC),
        version=__version__, confirmed=found.study.result.get("confirmed"),
    )  # fmt: skip


def markdown_text(found: Report) -> str:
    """The words, the trade-offs, what matters."""
    study = found.study
    lines = [f"# {for_markdown(f'Tuning {study.model}: {study.name}')}", ""]
    lines += [f"- {for_markdown(line)}" for line in found.words]
    lines += ["", "| Point | Quality | Latency, s | Throughput, tokens/s | Memory, GB |"]
    lines.append("|---" * 5 + "|")
    for one in found.tradeoffs:
        measured, memory = one.trial.measured, figure(one.trial.measured, "memory")
        quality, latency = (getattr(measured, name, None) for name in ("quality", "latency"))
        cells = [f"{one.trial.number}: {one.label}", _shown(quality), _shown(latency),
                 _figure(figure(measured, "throughput")),
                 _figure(memory / 1e9 if memory else None, 3)]  # fmt: skip
        lines.append("| " + " | ".join(map(for_markdown, cells)) + " |")
    lines += ["", *(f"- {for_markdown(one.words)}" for one in found.tradeoffs if one.changes)]
    for part in found.importance:
        lines += ["", f"## {for_markdown(f'What matters for {part.objective}')}", ""]
        lines += [for_markdown(part.why), ""] * bool(part.why)
        lines += [
            "| Parameter | Share | 95 % interval | More than chance |",
            "|---" * 4 + "|",
        ] * bool(part.rows)
        lines += [
            f"| {for_markdown(one.parameter)} | {one.share:.0%} | {one.low:.0%} to {one.high:.0%} "
            f"| {'yes' if one.told else 'no'} |"
            for one in part.rows
        ]
    return "\n".join([*lines, "", for_markdown(found.efficiency.words)]) + "\n"


def csv_text(study: Study, tried: Sequence[Trial]) -> str:
    """A row for each trial: what it set, what it reached."""
    names = [one.name for one in study.space.parameters]
    names += [n for n in dict.fromkeys(n for t in tried for n in t.point) if n not in names]
    head = ["trial", "state", *names, *(f"objective: {name}" for name in study.objectives)]
    head += ["quality", "quality_low", "quality_high", "questions", "latency", "latency_low"]
    head += ["latency_high", "throughput", "memory_bytes", "load_seconds", "asked", "cached"]
    head += ["seconds", "why"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(for_csv, head))
    for trial in tried:
        values = trial.values or [None] * len(study.objectives)
        row: list[Any] = [trial.number, trial.state, *(trial.point.get(n) for n in names), *values]
        measured = trial.measured
        for metric in ("quality", "latency"):
            told = getattr(measured, metric, None)
            row += [told.value, told.low, told.high] if told else [None] * 3
            row += [len(measured.answers) if measured else None] * (metric == "quality")
        row += [figure(measured, "throughput"), figure(measured, "memory")]
        row += [getattr(measured, name, None) for name in ("load_seconds", "asked", "cached")]
        row += [round(trial.seconds, 3), trial.why]
        writer.writerow([for_csv(v) if isinstance(v, str) else v for v in row])
    return out.getvalue()


def _shown(told: Interval | None) -> str:
    """`0.62 (0.55 to 0.68)`; a dash where nothing was measured."""
    if told is None or told.value is None:
        return "–"
    return f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})"


def _figure(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"

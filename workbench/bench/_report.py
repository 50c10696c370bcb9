"""A comparison to send to somebody: as a page of its own, as Markdown, as CSV.

The page stands alone (no script, nothing from another server, light and dark, fit for paper) and
holds all that is needed to measure the same again: each run's plan, options in effect, digests,
engine, machine, libraries, what else ran, and the canary's warnings.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from workbench import __version__
from workbench.bench._compare import BenchComparison, compare, flips, labels_of
from workbench.bench._records import RunResult
from workbench.bench._results import result
from workbench.statistics import Interval
from workbench.texts import for_csv, for_markdown

_COLUMNS = (
    "run id model digest setting suite seed task how score low high samples unscored "
    "tokens_per_second first_token_seconds seconds_per_answer memory_bytes"
)
_EXAMPLES = 3  # flipped samples that the page shows of each pair


def report_html(ids: Sequence[str], *, title: str = "", notes: str = "") -> str:
    """The page. Raises BenchError where the runs cannot be compared."""
    from jinja2 import Environment

    results, found = _found(ids)
    labels = labels_of([one.run.id for one in results], results)
    examples = {
        (pair.a, pair.b): flips(pair.a, pair.b)[:_EXAMPLES]
        for pair in (found.pairs if found else ())
    }
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"percent": percent, "figure": figure}
    text = (files("workbench.bench") / "data" / "report.html").read_text(encoding="utf-8")
    return page.from_string(text).render(
        title=title or f"{results[0].run.suite}: {len(results)} runs",
        notes=notes,
        results=results,
        found=found,
        labels=labels,
        examples=examples,
        tasks=_tasks(results),
        at=datetime.now(UTC),
        version=__version__,
    )


def report_markdown(ids: Sequence[str]) -> str:
    """The verdicts, the scores with their intervals, and the pairs."""
    results, found = _found(ids)
    labels = labels_of([one.run.id for one in results], results)
    tasks = _tasks(results)
    lines = [f"# {for_markdown(results[0].run.suite)}", ""]
    lines += [f"- {for_markdown(pair.words)}" for pair in (found.pairs if found else ())]
    lines += ["", "| Run | Score | " + " | ".join(for_markdown(t) for t in tasks.values()) + " |"]
    lines += ["|---" * (len(tasks) + 2) + "|"]
    for one in results:
        by_task = {task.task: task for task in one.tasks}
        cells = [percent(one.score)]
        cells += [percent(by_task[name].score) if name in by_task else "" for name in tasks]
        lines.append(f"| {for_markdown(labels[one.run.id])} | " + " | ".join(cells) + " |")
    lines += ["", *_pair_lines(found, labels)]
    if found and found.left_out:
        lines += ["", "Left out:", "", *(f"- {for_markdown(text)}" for text in found.left_out)]
    return "\n".join(lines) + "\n"


def _pair_lines(found: BenchComparison | None, labels: dict[str, str]) -> list[str]:
    if found is None:
        return []
    lines = ["| Pair | Difference | 95 % interval | p (adjusted) | Verdict | Samples needed |"]
    lines.append("|---" * 6 + "|")
    for pair in found.pairs:
        d = pair.overall
        if d is None or d.value is None:
            continue
        names = f"{for_markdown(labels[pair.a])} − {for_markdown(labels[pair.b])}"
        lines.append(
            f"| {names} | {d.value:+.3f} | {d.low:+.3f} to {d.high:+.3f} | {d.p_adjusted:.3f} "
            f"| {d.verdict} | {d.samples_needed if (d.samples_needed or 0) > d.n else ''} |"
        )
    return lines


def report_csv(ids: Sequence[str]) -> str:
    """A row for each run and task, and one for the whole suite."""
    results, _ = _found(ids)
    labels = labels_of([one.run.id for one in results], results)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS.split())
    for one in results:
        run, score, tasks = one.run, one.score, one.tasks
        head = [labels[run.id], run.id, run.model, run.digest, run.setting, run.suite, run.seed]
        speed = [one.tokens_per_second, one.first_token, one.seconds_per_answer, one.memory]
        whole = ("", "", score, sum(task.unscored for task in tasks))
        rows = [whole, *((one.task, one.how, one.score, one.unscored) for one in tasks)]
        for name, how, told, unscored in rows:
            figures = [told.value, told.low, told.high, told.n] if told else [None] * 4
            row: list[Any] = [*head, name, how, *figures, unscored, *speed]
            writer.writerow([for_csv(v) if isinstance(v, str) else v for v in row])
    return out.getvalue()


def _found(ids: Sequence[str]) -> tuple[Sequence[RunResult], BenchComparison | None]:
    """One run is a report too; several are compared."""
    unique = list(dict.fromkeys(ids))
    if len(unique) == 1:
        return [result(unique[0])], None
    found = compare(unique)
    ranked = sorted(found.results, key=lambda one: -(one.score.value or 0.0) if one.score else 1.0)
    return ranked, found


def _tasks(results: Sequence[RunResult]) -> dict[str, str]:
    return {task.task: task.title for one in results for task in one.tasks}


def percent(score: Interval | None) -> str:
    """`62.0 % (55.1 to 68.4)`; a dash where nothing was scored."""
    if score is None or score.value is None:
        return "–"
    return f"{score.value * 100:.1f} % ({score.low * 100:.1f} to {score.high * 100:.1f})"


def figure(value: float | None, digits: int = 1) -> str:
    """A number for people; a dash where it is not known."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}f}"

"""A comparison as CSV, Markdown and a page of its own.

Names and texts come from files and the network, so each form guards itself: a spreadsheet must
not take a text for a formula, Markdown and HTML must not take it for markup.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from workbench.texts import for_csv, for_markdown

if TYPE_CHECKING:
    from workbench.advice._compare import Comparison
    from workbench.advice._table import Cell


def csv_text(found: Comparison) -> str:
    """Values as numbers where they are numbers, nothing where nothing is known."""

    def value(cell: Cell) -> str | float:
        if cell.value is None:
            return ""
        return cell.value if isinstance(cell.value, int | float) else for_csv(cell.text)

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["", "unit", *map(for_csv, found.names)])
    for row in found.table:
        writer.writerow([for_csv(row.key), row.unit, *map(value, row.cells)])
    return out.getvalue()


def markdown_text(found: Comparison) -> str:
    """A pipe table and what follows from it."""
    lines = [
        "| | " + " | ".join(map(for_markdown, found.names)) + " |",
        "|---" * (len(found.names) + 1) + "|",
    ]
    for row, texts in zip(found.table, found.rows()[1:], strict=True):
        cells = [
            f"**{for_markdown(text)}**" if place in row.best else for_markdown(text)
            for place, text in enumerate(texts[1:])
        ]
        lines.append(f"| {for_markdown(texts[0])} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {for_markdown(line)}" for line in found.recommendations)]
    return "\n".join(lines) + "\n"


def html_text(found: Comparison, plots: Sequence[str] = ()) -> str:
    """A page that stands alone: styles inside, plotly inside where there are plots."""
    from jinja2 import Environment
    from markupsafe import Markup

    figures = []
    if plots:
        from workbench.advice._plots import plot

        for place, name in enumerate(plots):
            html = plot(found, name).to_html(full_html=False, include_plotlyjs=place == 0)
            figures.append(Markup(html))  # noqa: S704 (plotly's page; our texts in it are escaped)
    text = (files("workbench.advice") / "data" / "compare.html").read_text(encoding="utf-8")
    rows = [
        {
            "label": texts[0],
            "cells": [
                {
                    "text": cell.text,
                    "best": place in row.best,
                    "none": cell.value is None,
                    "note": cell.note,
                    "source": cell.source,
                }
                for place, cell in enumerate(row.cells)
            ],
        }
        for row, texts in zip(found.table, found.rows()[1:], strict=True)
    ]
    alone = f"Results that only one of them has are left out: {found.left_out}."
    page = Environment(autoescape=True).from_string(text)
    return page.render(
        title=f"Comparison of {len(found.names)} models",
        machine=found.profile.title,
        context=f"{found.load.context:,}",
        names=found.names,
        rows=rows,
        recommendations=found.recommendations,
        left_out=alone if found.left_out else "",
        figures=figures,
    )

"""Any number of models side by side: facts, fit, speed, results.

Results stand in one row only if metric and setting are the same (`_performance.setting_of`); a
result that only one of the models has compares with nothing and is counted, not shown, unless it
is the user's own. What nobody tells is None, in tables "not known". The best of a row is marked
where the row has an order and the models differ.

Limits: estimates of memory and speed carry their intervals; of two speeds whose values differ by
less than a tenth none is called the best. Published results carry none, so that small differences
between them should not be believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.advice._export import csv_text, html_text, markdown_text
from workbench.advice._table import Row, fact_rows, fit_rows, performance_row, result_rows
from workbench.cards import Card, shipped
from workbench.catalogue import RUNS, Own, PerformanceScore, Standings, fit_card
from workbench.errors import InvalidRequest
from workbench.fit import Fit, Load, Profile

if TYPE_CHECKING:
    from workbench.catalogue import Catalogue

_MOST = 50  # models; a wider table helps nobody


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models side by side on one machine."""

    names: tuple[str, ...]
    cards: tuple[Card, ...]
    profile: Profile
    load: Load
    fits: tuple[Fit, ...]
    scores: tuple[PerformanceScore | None, ...]
    table: tuple[Row, ...]
    recommendations: tuple[str, ...]
    left_out: int = 0  # results that only one of the models has

    def rows(self) -> list[list[str]]:
        """A line of names, then one line per row: its label and the texts."""
        return [["", *self.names], *([_label(r), *(c.text for c in r.cells)] for r in self.table)]

    def csv(self) -> str:
        """For spreadsheets; no text in it is taken for a formula."""
        return csv_text(self)

    def markdown(self) -> str:
        """A table, the best of each row in bold."""
        return markdown_text(self)

    def html(self, plots: Sequence[str] = ()) -> str:
        """A page of its own that needs no network; `plots` are drawn into it."""
        return html_text(self, plots)

    def as_dict(self) -> dict[str, Any]:
        """As the REST interface has it: bytes, tokens per second, scores of 0 to 1 or percent."""
        return {
            "models": list(self.names),
            "comparison_table": {
                row.key: {
                    name: cell.value for name, cell in zip(self.names, row.cells, strict=True)
                }
                for row in self.table
            },
            "units": {row.key: row.unit for row in self.table if row.unit},
            "recommendations": list(self.recommendations),
        }


def _label(row: Row) -> str:
    return f"{row.label} ({row.unit})" if row.unit and row.unit != "bytes" else row.label


def compare(
    catalogue: Catalogue,
    names: Iterable[str],
    profile: Profile,
    load: Load | None = None,
    own: Own | tuple[()] = (),
) -> Comparison:
    """The models of these names side by side; two names of one model count once.

    Raises ModelNotFound with near names, InvalidRequest for none or more than 50.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    if not 1 <= len(wanted) <= _MOST:
        raise InvalidRequest(f"Name 1 to {_MOST} models to compare.")
    found = {card.name: card for card in (catalogue.get(name) for name in wanted)}
    cards = tuple(found.values())
    fits = tuple(fit_card(card, profile, load) for card in cards)
    standings = Standings((*catalogue, *shipped()), own)
    scores = tuple(standings.score(card) for card in cards)
    results, left_out = result_rows(cards, own or {})
    table = (*fact_rows(cards), *fit_rows(fits), performance_row(scores), *results)
    return Comparison(
        names=tuple(found),
        cards=cards,
        profile=profile,
        load=load or Load(),
        fits=fits,
        scores=scores,
        table=table,
        recommendations=tuple(_words(cards, fits, table, profile)),
        left_out=left_out,
    )


def _words(
    cards: Sequence[Card], fits: Sequence[Fit], table: Sequence[Row], profile: Profile
) -> list[str]:
    """What follows from the table, most important first."""
    said = []
    misfits = [c.name for c, fit in zip(cards, fits, strict=True) if fit.verdict == "no"]
    if misfits:
        verb = "does" if len(misfits) == 1 else "do"
        said.append(f"{', '.join(misfits)} {verb} not fit {profile.title}.")
    unknown = [
        c.name for c, fit in zip(cards, fits, strict=True) if fit.verdict not in (*RUNS, "no")
    ]
    if unknown:
        said.append(f"Whether {', '.join(unknown)} fits cannot be told from what is known.")
    results = [row for row in table if row.kind in ("result", "own") and row.key != "performance"]
    for place, card in enumerate(cards):
        won = sum(place in row.best for row in results)
        shared = sum(row.cells[place].value is not None for row in results)
        if won and len(cards) > 1:
            said.append(f"{card.name} is best in {won} of {shared} results that it shares.")
    for key, words in (
        ("generation_speed", "writes fastest"),
        ("memory_usage", "takes the least memory"),
        ("context", "has the longest context"),
    ):
        row = next(row for row in table if row.key == key)
        if len(row.best) == 1:
            said.append(f"{cards[row.best[0]].name} {words}: {row.cells[row.best[0]].text}.")
    if not results and len(cards) > 1:
        said.append(
            "They share no result of one metric and setting, so that none can be called better; "
            "measure them here on the same tasks."
        )
    return said

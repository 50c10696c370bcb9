"""Pictures: units, sources, intervals, nothing invented for what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from choice_cards import GB, card, machine, score

from workbench.advice import Comparison, compare, memory_bars, parallel, plot, radar, scatter
from workbench.cards import Card, shipped
from workbench.catalogue import Catalogue, fit_card
from workbench.errors import InvalidRequest
from workbench.fit import Estimate, Speed

KINDS = ("radar", "parallel", "scatter", "quality", "memory_bars")
METRICS = ("MMLU", "GPQA", "IFEval")


def measured(name: str, value: float, *metrics: str, **facts: Any) -> Card:
    return card(name, *(score(metric, value) for metric in metrics), **facts)


def of(*cards: Card) -> Comparison:
    return compare(Catalogue(cards), [one.name for one in cards], machine(16))


def shown(figure: Any) -> dict[str, Any]:
    """The figure as a browser gets it."""
    value: dict[str, Any] = json.loads(figure.to_json())
    return value


def test_a_radar_has_only_what_all_of_them_share() -> None:
    figure = shown(
        radar(of(measured("a:8b", 50, *METRICS, "MATH"), measured("b:8b", 60, *METRICS)))
    )
    assert [trace["name"] for trace in figure["data"]] == ["a:8b", "b:8b"]
    assert figure["data"][0]["r"] == [50, 50, 50, 50]
    assert not any("MATH" in axis for axis in figure["data"][0]["theta"])
    assert figure["layout"]["polar"]["radialaxis"]["range"] == [0, 100]


def test_a_radar_of_too_little_says_so() -> None:
    figure = shown(radar(of(measured("a:8b", 50, *METRICS), measured("b:8b", 60, "MMLU", "GPQA"))))
    assert not figure["data"]
    assert "share 2 results" in figure["layout"]["title"]["subtitle"]["text"]


def test_lines_run_from_worst_to_best_and_break_where_nothing_is_known() -> None:
    figure = shown(
        parallel(
            of(
                measured("a:8b", 50, *METRICS),
                measured("b:2b", 60, *METRICS, layers=8),
                card("bare:x", architecture=None, download=None, variants=()),
            )
        )
    )
    lines = {
        trace["name"]: dict(zip(trace["x"], trace["y"], strict=True)) for trace in figure["data"]
    }
    assert lines["a:8b"]["memory"] == 0
    assert lines["b:2b"]["memory"] == 1
    assert lines["bare:x"]["memory"] is None
    assert "bare:x" in figure["layout"]["title"]["subtitle"]["text"]
    assert all(
        -0.001 <= y <= 1.001 for line in lines.values() for y in line.values() if y is not None
    )


def test_points_carry_their_intervals_and_leave_out_what_is_not_known() -> None:
    found = of(card("a:8b"), card("b:8b", architecture=None))
    rate = Speed(Estimate(100, 80, 130, "x"), Estimate(10, 8, 13, "measured"))
    known = replace(found.fits[0], speed=rate)
    from workbench.advice._table import fit_rows

    found = replace(found, table=tuple(fit_rows([known, found.fits[1]])))
    figure = shown(scatter(found))
    assert [trace["name"] for trace in figure["data"]] == ["a:8b"]
    point = figure["data"][0]
    assert point["y"] == [10]
    assert point["error_y"]["array"] == [3]
    assert point["error_y"]["arrayminus"] == [2]
    assert point["error_x"]["array"][0] > 0
    assert "measured" in point["customdata"][0][1]
    assert "b:8b" in figure["layout"]["title"]["subtitle"]["text"]
    assert figure["layout"]["yaxis"]["title"]["text"].endswith("(tokens/s)")
    assert "GB" in figure["layout"]["xaxis"]["title"]["text"]


def test_bars_add_up_to_the_memory() -> None:
    fits = {name: fit_card(card(name, layers=n), machine(16)) for name, n in (("a", 32), ("b", 8))}
    fits["c"] = fit_card(card("c", architecture=None), machine(16))
    figure = shown(memory_bars(fits, capacity=16 * GB))
    assert figure["layout"]["barmode"] == "stack"
    assert figure["layout"]["shapes"][0]["x0"] == 16
    for place, name in enumerate(("a", "b")):
        total = sum(trace["x"][place] for trace in figure["data"])
        parts = fits[name].memory
        assert parts
        assert total == pytest.approx(sum(part.bytes for part in parts.parts) / 1e9)
    assert "c" in figure["layout"]["title"]["subtitle"]["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_reads_in_light_and_dark_and_has_a_title(kind: str) -> None:
    catalogue = Catalogue(shipped())
    names = ["llama3.1:8b", "qwen2.5:7b", "gemma2:9b", "phi4:14b", "mistral:7b", "qwen2:7b",
             "llama2:7b", "yi:6b", "solar:10.7b"]  # fmt: skip
    figure = shown(plot(compare(catalogue, names, machine(16)), kind))
    layout = figure["layout"]
    assert layout["title"]["text"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert layout["font"]["color"] not in ("black", "white", "#000", "#fff")
    if kind in ("radar", "parallel"):
        looks = [(one["line"]["color"], one["line"]["dash"]) for one in figure["data"]]
        assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_text_and_not_markup(kind: str) -> None:
    evil = '<a href="https://example.org">x</a><b>'
    found = of(
        measured(evil, 50, *METRICS, publisher=evil), measured(f"{evil}2", 60, *METRICS, layers=8)
    )
    text = plot(found, kind).to_json()
    assert "<a" not in text.replace("\\u003c", "<")
    assert "<b>" not in text.replace("\\u003c", "<")


def test_an_unknown_picture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="memory_bars"):
        plot(of(card("a:8b")), "pie")
    with pytest.raises(InvalidRequest, match="no row"):
        scatter(of(card("a:8b")), y="beauty")


def test_plotly_is_not_loaded_until_something_is_drawn() -> None:
    code = (
        "import sys, workbench.catalogue; print('plotly' in sys.modules, 'jinja2' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]

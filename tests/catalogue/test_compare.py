"""Side by side: the same metric and setting only, and exports that no hostile name gets through."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from choice_cards import card, machine, score
from markdown_it import MarkdownIt

from workbench.advice import Comparison, Row, compare
from workbench.cards import Card, shipped
from workbench.catalogue import Catalogue
from workbench.cli._output import plain
from workbench.errors import InvalidRequest, ModelNotFound

SHIPPED = Catalogue(shipped())
HOSTILE = [
    '=HYPERLINK("evil")',
    "+1+1",
    "-2",
    "@SUM(A1)",
    "  =1",
    "\t=1",
    "\r\n=1",
    "<script>alert(1)</script>",
    "a|b",
    "[x](javascript:alert(1))",
    "**b**",
    "`c`",
    '" onmouseover="x',
    "</style><img src=x onerror=y>",
]


def of(*cards: Card, **more: object) -> Comparison:
    return compare(Catalogue(cards), [one.name for one in cards], machine(16), **more)  # type: ignore[arg-type]


def row(found: Comparison, key: str) -> Row:
    return next(one for one in found.table if one.key == key)


def test_results_share_a_row_only_under_one_metric_and_setting() -> None:
    found = of(
        card("a:8b", score("MMLU", 60, "5-shot"), score("GPQA", 30, "0-shot")),
        card("b:8b", score("MMLU", 90, "0-shot"), score("GPQA", 40, "0-shot")),
        card("c:8b", score("MMLU-Pro", 70, "5-shot")),
    )
    results = [one for one in found.table if one.kind == "result" and one.key != "performance"]
    assert [one.label for one in results] == ["GPQA · 0-shot"]
    assert [cell.value for cell in results[0].cells] == [30, 40, None]
    assert results[0].cells[2].text == "not known"
    assert results[0].best == (1,)
    assert found.left_out == 3


def test_no_shared_result_is_said_and_none_is_called_better() -> None:
    found = of(card("a:8b", score("MMLU", 60)), card("b:8b", score("GPQA", 90)))
    assert any("share no result" in line for line in found.recommendations)
    assert not any("best in" in line for line in found.recommendations)


def test_own_results_have_rows_of_their_own() -> None:
    cards = card("a:8b", score("MMLU", 60)), card("b:8b", score("MMLU", 70))
    found = of(*cards, own={"a:8b": [score("MMLU", 65, own=True)]})
    own = [one for one in found.table if one.kind == "own"]
    assert [cell.value for cell in own[0].cells] == [65, None]
    assert own[0].key.startswith("own: ")
    published = [
        one for one in found.table if one.label.startswith("MMLU") and one.kind == "result"
    ]
    assert [cell.value for cell in published[0].cells] == [60, 70]


def test_a_relative_s_result_is_marked() -> None:
    found = of(
        card("a:8b", score("MMLU", 60, measured_on="a-base")), card("b:8b", score("MMLU", 50))
    )
    cell = next(one for one in found.table if one.label.startswith("MMLU")).cells[0]
    assert cell.text == "60*"
    assert "a-base" in (cell.note or "")


def test_what_nobody_tells_is_shown_as_missing_never_as_zero() -> None:
    bare = Card("bare:x")
    found = of(card("a:8b"), bare)
    for one in found.table:
        if one.key != "installed":
            assert one.cells[1].value is None, one.key
            assert one.cells[1].text == "not known"
    assert any("bare:x fits cannot be told" in line for line in found.recommendations)
    lines = list(csv.reader(io.StringIO(found.csv())))
    assert all(line[3] == "" for line in lines[1:])


def test_the_best_is_marked_only_where_there_is_an_order_and_a_difference() -> None:
    found = of(card("a:8b"), card("b:2b", layers=8), card("c:8b"))
    assert row(found, "memory_usage").best == (1,)
    assert row(found, "download").best == (1,)
    assert row(found, "context").best == ()
    assert row(found, "released").best == ()
    assert row(found, "parameters").best == ()


def test_memory_counts_main_memory_and_graphics_cards_together() -> None:
    found = compare(SHIPPED, ["llama3.1:8b", "llama3.2:1b"], machine(16, 24))
    for total, gpu in zip(
        row(found, "memory_usage").cells, row(found, "gpu_memory_usage").cells, strict=True
    ):
        assert isinstance(total.value, float)
        assert isinstance(gpu.value, float)
        assert total.value > gpu.value > 0
    assert row(found, "memory_usage").best == (1,)


def test_two_names_of_a_model_count_once() -> None:
    found = compare(SHIPPED, ["llama3.1:8b", "LLAMA3.1:8B", "llama3.1"], machine(16))
    assert found.names == ("llama3.1:8b",)
    assert len(found.rows()[0]) == 2


def test_unknown_names_and_absurd_lists_are_refused() -> None:
    with pytest.raises(ModelNotFound, match=r"llama3\.1:8b"):
        compare(SHIPPED, ["llama3.1:8c"], machine(16))
    for names in ([], ["llama3.1:8b"] * 51):
        with pytest.raises(InvalidRequest, match="1 to 50"):
            compare(SHIPPED, names, machine(16))


def test_a_model_that_does_not_fit_is_named() -> None:
    found = compare(SHIPPED, ["llama3.1:70b", "llama3.2:1b"], machine(16))
    assert found.recommendations[0] == "llama3.1:70b does not fit a machine of 16 GB."


def test_the_answer_is_json_in_the_interface_s_words() -> None:
    found = compare(SHIPPED, ["llama3.1:8b", "qwen2.5:7b"], machine(16))
    said = json.loads(json.dumps(found.as_dict()))
    assert said["models"] == ["llama3.1:8b", "qwen2.5:7b"]
    assert set(said) >= {"models", "comparison_table", "recommendations"}
    for key in ("performance", "memory_usage", "parameters", "context"):
        assert set(said["comparison_table"][key]) == {"llama3.1:8b", "qwen2.5:7b"}
    assert 4e9 < said["comparison_table"]["memory_usage"]["llama3.1:8b"] < 9e9
    assert json.dumps(plain(found))


def hostile() -> Comparison:
    shared = "=cmd|'<b>'!A0 1-shot"
    cards = [
        card(
            f"{name.strip()}{place}",
            score("MMLU", place, name),
            score("GPQA", place, shared, source=name),
            publisher=name,
            license=name,
        )
        for place, name in enumerate(HOSTILE)
    ]
    return compare(Catalogue(cards), [one.name for one in cards], machine(16))


def test_no_spreadsheet_takes_a_text_for_a_formula() -> None:
    for line in csv.reader(io.StringIO(hostile().csv())):
        for text in line:
            if not re.fullmatch(r"-?[\d.e+]+", text):
                assert not text.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")), text


def test_numbers_stay_numbers_in_csv() -> None:
    found = compare(SHIPPED, ["llama3.1:8b"], machine(16))
    lines = {line[0]: line for line in csv.reader(io.StringIO(found.csv()))}
    assert lines["parameters"][2] == "8030261248"
    assert lines["context"][1:] == ["tokens", "131072"]


def test_markdown_is_one_table_that_shows_texts_as_they_are() -> None:
    found = hostile()
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(found.markdown())
    kinds = {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or ()
    }
    assert not kinds & {"html_block", "html_inline", "link_open", "code_inline", "image"}
    head = [token.content for token in tokens if token.type == "inline"][: len(found.names) + 1]
    assert len(head) == len(found.names) + 1
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows == len(found.table) + 1


class Page(HTMLParser):
    """What stands in a page: its tags, what they load, what they run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.loads.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)


def test_the_page_stands_alone_and_shows_texts_as_they_are() -> None:
    found = hostile()
    page = Page(found.html())
    assert not page.tags & {"script", "img", "link", "iframe", "a"}
    assert not page.loads
    assert not page.handlers
    assert "&lt;script&gt;" in found.html()
    assert "color-scheme" in found.html()


def test_plots_are_drawn_into_the_page_with_plotly_once() -> None:
    found = hostile()
    text = found.html(("parallel", "memory_bars"))
    page = Page(text)
    assert not page.loads
    assert not page.handlers
    assert not page.tags & {"img", "link", "iframe"}
    assert text.count("Plotly.newPlot(") >= 2
    assert len(text) < 2 * len(found.html(("parallel",)))
    with pytest.raises(InvalidRequest, match="radar"):
        found.html(("pie",))

"""Reports stand alone, hold the configuration, and take nobody's text for markup."""

from __future__ import annotations

import csv
import io
import re

import pytest
from kept_runs import kept_run

from workbench import bench

HOSTILE = "<script>alert(1)</script>=cmd|x"


@pytest.fixture
def ids() -> list[str]:
    good = kept_run(HOSTILE, {"code": [1.0] * 45 + [0.0] * 5}, outputs=HOSTILE)
    bad = kept_run("bad", {"code": [0.0] * 30 + [1.0] * 20}, options={"num_ctx": 2048})
    return [good.id, bad.id]


def test_html(ids: list[str]) -> None:
    page = bench.report_html(ids, title="Two <models>", notes="For Ann & Bob")
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "Two &lt;models&gt;" in page and "Ann &amp; Bob" in page
    assert not re.search(r'(src|href)="', page)  # nothing is loaded from anywhere
    assert "90.0 % (" in page and "is better than" in page
    for fact in ("Q8_0", "bad-digest", "num_ctx", "Other programs took 3%", "seed 0", "code500"):
        assert fact in page, fact
    assert "Some &lt;b&gt;cpu" in page
    assert "Question 0?" in page  # a flipped sample


def test_one_run_is_a_report_too(ids: list[str]) -> None:
    page = bench.report_html(ids[:1])
    assert "90.0 %" in page and "What can be said" not in page
    assert "90.0 %" in bench.report_markdown(ids[:1])


def test_csv(ids: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(bench.report_csv(ids))))
    assert [row["task"] for row in rows] == ["", "code", "", "code"]
    assert float(rows[0]["score"]) == pytest.approx(0.9)
    assert rows[0]["samples"] == "50" and rows[2]["setting"] == "num_ctx 2048"
    assert float(rows[0]["low"]) < 0.9 < float(rows[0]["high"])


def test_csv_has_no_formula() -> None:
    run = kept_run("=1+1", {"t": [1.0, 0.0]})
    (row, _) = csv.DictReader(io.StringIO(bench.report_csv([run.id])))
    assert row["model"] == "'=1+1"


def test_markdown(ids: list[str]) -> None:
    text = bench.report_markdown(ids)
    assert "<script>" not in text and "\\<script" in text
    assert "| bad \\(num" in text or "| bad (num" in text
    assert "Verdict" in text and "better" in text

"""What is said of releases: differences, the changelog."""

from __future__ import annotations

import re

import pytest
from releases.release_tools import digest, measured, member

from workbench.errors import ReleaseError
from workbench.releases import changelog, diff, history, make, switch, switches


def test_a_diff_says_what_changed() -> None:
    old = member(quantisation="Q8_0", context=2048, measured=(measured(10, 0.40),))
    new = member(
        model="one:tuned", size=900_000, quantisation="Q4_K_M", context=8192, source="tuned",
        measured=(measured(12, 0.60), measured(50, 0.6, machine="A card")),
    )  # fmt: skip
    make("v1", [old, member("fallback", "two"), member("embedding", "embed")])
    make("v2", [new, member("fallback", "two"), member("domain:health", "three")])
    found = diff("v1", "v2")
    rows = {row.role: row for row in found.rows}
    assert {role: row.kind for role, row in rows.items()} == {
        "primary": "changed", "fallback": "same", "embedding": "removed", "domain:health": "added",
    }  # fmt: skip
    assert [row.role for row in found.changed] == ["primary", "embedding", "domain:health"]
    words = rows["primary"].words
    for part in (
        "one:latest → one:tuned", "600 kB → 900 kB", "quantisation Q8_0 → Q4_K_M",
        "context 2048 → 8192 tokens", "10 → 12 tokens/s (+20%) on A processor",
        "code 40 % (35 to 45) → 60 % (55 to 65)", digest("one:latest")[:12],
    ):  # fmt: skip
        assert part in words
    assert "chance" not in words and "A card" not in words, "measured on one of both only"
    assert "three" in rows["domain:health"].words and "removed embed" in rows["embedding"].words
    assert {one.what for one in rows["primary"].changes} >= {"model", "digest", "score"}
    assert diff("v2", "v2").changed == ()
    with pytest.raises(ReleaseError, match="no release"):
        diff("v1", "v3")


def test_a_diff_does_not_take_chance_for_progress() -> None:
    make("v1", [member(measured=(measured(10, 0.40),))])
    make("v2", [member(digest=digest("moved"), measured=(measured(10, 0.44),))])
    (row,) = diff("v1", "v2").rows
    assert "another version of one:latest" in row.words and "which chance explains" in row.words
    assert "tokens/s" not in row.words


def test_a_diff_takes_any_measurement() -> None:
    odd = {"machine": 3, "tokens_per_second": "fast", "score": True, "low": None}
    make("v1", [member(measured=(odd, {}))])
    make("v2", [member(digest=digest("x"), measured=(odd,))])
    assert [one.what for one in diff("v1", "v2").rows[0].changes] == ["digest"]
    assert "nothing could be measured" in changelog(history())


def test_the_changelog_is_whole_and_harmless() -> None:
    assert "no release yet" in changelog([], [])
    make("v1", [member()], purpose="Begin", notes="line\n# not a <b>title</b>")
    evil = "[x](javascript:alert(1)) | <script>`~"
    make("v2", [member(model="two", measured=(measured(9, 0.5, machine=evil),))], reason=evil)
    switch("v1", f"{evil}\n# back")
    text = changelog(history(), switches())
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# Releases of our models", lines[2], *[x for x in lines if x.startswith("## v1")],
        "## Which one was in use",
    ]  # fmt: skip
    assert lines[2].startswith("## v2 (20") and "in use" not in lines[2]
    assert not re.search(r"(?<!\\)[<\[`~]", text), "markup of others is escaped"
    assert "Against v1:" in text and "one:latest → two" in text and "9 tokens/s" in text
    assert text.index("## v2") < text.index("## v1") and "v2 → v1" in text
    table = [line for line in lines if line.startswith("| primary")]
    assert all(line.replace("\\|", "").count("|") == 7 for line in table) and len(table) == 2

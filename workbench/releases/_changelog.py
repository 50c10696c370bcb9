"""The history of releases as Markdown, for a repository or a page."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.releases._diff import diff
from workbench.releases._records import Member, Release, Switch
from workbench.releases._words import figures_words, size_words
from workbench.texts import for_markdown as plain

_NONE_YET = "There is no release yet.\n"


def changelog(releases: Sequence[Release], switches: Sequence[Switch] = ()) -> str:
    """A section for each release in the order given, and a list of the switches between them."""
    if not releases:
        return f"# Releases of our models\n\n{_NONE_YET}"
    known = {one.version: one for one in releases}
    used = switches[0].version if switches else ""
    parts = ["# Releases of our models"]
    for one in releases:
        parts.append(_section(one, known.get(one.parent), one.version == used))
    if switches:
        parts.append("\n".join(["## Which one was in use", "", *map(_switch, switches)]))
    return "\n\n".join(parts) + "\n"


def _section(release: Release, parent: Release | None, used: bool) -> str:
    day = release.created_at.date().isoformat()
    lines = [f"## {plain(release.version)} ({day}{', in use' if used else ''})", ""]
    for title, text in (("", release.purpose), ("Why: ", release.reason)):
        if text.strip():
            lines += [f"{title}{plain(text)}", ""]
    lines += [
        "| Role | Model | Digest | Size | Quantisation | Context |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_line(one) for one in release.members]
    measured = [
        f"- {plain(one.role)} on {plain(str(row.get('machine', '')))}: {plain(figures_words(row))}"
        for one in release.members
        for row in one.measured
    ]
    if measured:
        lines += ["", "Measured:", "", *measured]
    if parent is not None:
        told = [f"- {plain(row.words)}" for row in diff(parent, release).changed]
        lines += ["", f"Against {plain(parent.version)}:", "", *(told or ["- nothing changed"])]
    if release.notes.strip():
        lines += ["", *(plain(line) for line in release.notes.strip().splitlines())]
    return "\n".join(lines)


def _line(one: Member) -> str:
    context = "" if one.context is None else f"{one.context:,}"
    cells = (one.role, one.model, one.digest[:12], size_words(one.size), one.quantisation, context)
    return "| " + " | ".join(map(plain, cells)) + " |"


def _switch(one: Switch) -> str:
    came = f"{one.before} → " if one.before else ""
    vectors = f" Vectors: {', '.join(sorted(one.vectors))}." if one.vectors else ""
    at = one.at.isoformat(sep=" ", timespec="minutes")
    return f"- {at}: {plain(came + one.version)}. {plain(one.why)}{plain(vectors)}"

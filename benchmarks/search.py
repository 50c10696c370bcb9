"""How long a search takes in 10,000 cards, and whether it finds what was meant.

The cards are the shipped ones, cloned with other names, publishers and sizes until there are
10,000. The bag of queries: names typed letter by letter, names with one or two letters wrong,
words with filters, plain sentences, sorts, the empty text. Each query runs through ours and
through the rivals in turns: rapidfuzz alone (WRatio over a line of text per card), SQLite's
full-text index of trigrams, SQL LIKE over the same lines, and (on a few queries, since it takes
half a second each) the standard library's difflib. "Found" is the share of misspelt names whose
card is among the first 10. Budget: 20 ms. `--write` writes docs/benchmarks/search.md.
"""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rapidfuzz import fuzz, process, utils

from workbench.cards import Card, shipped
from workbench.catalogue import Catalogue, Filters
from workbench.fit import Load, Profile

COUNT, BUDGET, ROUNDS = 10_000, 20.0, 3
OUT = Path(__file__).parent.parent / "docs" / "benchmarks" / "search.md"
PROFILE = Profile("laptop", "16 GB of memory", 16 * 10**9)
WORDS = """
swift nova mini ultra pro lite max sigma orion atlas luna terra vega lyra pixel ember frost chat
instruct v2 v3 dpo base preview turbo long fast merged distilled uncut garden river
""".split()  # noqa: SIM905 (as a list it takes 32 lines)
SENTENCES = (
    "a code model that fits in 8 GB",
    "small vision model apache",
    "best reasoning under 10b",
    "newest multilingual with 128k context",
    "embedding installed",
    "tools mit q8_0",
    "fits",
)
Query = tuple[Filters, str | None]  # what is asked, and the card that is meant
Rival = Callable[[str], list[str]]


def cards(seed: int = 0) -> list[Card]:
    """10,000 cards of different names; as many networks as ship."""
    source = random.Random(seed)
    found = {card.name: card for card in shipped()}
    while len(found) < COUNT:
        card = source.choice(shipped())
        family, _, tag = card.name.partition(":")
        name = f"{family}-{source.choice(WORDS)}{source.randrange(100)}-{source.choice(WORDS)}"
        share = source.uniform(0.8, 1.25)
        found[f"{name}:{tag}"] = replace(
            card,
            name=f"{name}:{tag}",
            family=name,
            publisher=source.choice(WORDS).title(),
            aliases=(),
            hf_repo=f"{source.choice(WORDS)}/{name}",
            parameters=int(card.parameters * share) if card.parameters else None,
        )
    return list(found.values())


def misspelt(name: str, source: random.Random) -> str:
    """The name with a letter left out, added, changed or swapped."""
    at = source.randrange(1, len(name) - 1)
    letter = source.choice("abcdefghijklmnopqrstuvwxyz")
    kind = source.randrange(4)
    if kind == 0:
        return name[:at] + name[at + 1 :]
    if kind == 1:
        return name[:at] + letter + name[at:]
    if kind == 2:
        return name[:at] + letter + name[at + 1 :]
    return name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :]


def queries(all_cards: list[Card], seed: int = 1) -> list[Query]:
    source = random.Random(seed)
    bag: list[Query] = [(Filters(), None)]
    for card in source.sample(all_cards, 12):
        bag += [(Filters(text=card.name[: end + 1]), None) for end in range(len(card.name))]
    for card in source.sample(all_cards, 120):
        bag.append((Filters(text=misspelt(card.name, source)), card.name))
    for card in source.sample(all_cards, 40):
        twice = misspelt(misspelt(card.name, source), source)
        bag.append((Filters(text=twice), card.name))
    bag += [(Filters(text=text), None) for text in SENTENCES * 5]
    bag += [(Filters(text="qwen", sort=sort), None) for sort in ("name", "memory", "released")]
    bag += [(Filters(sort=sort), None) for sort in ("parameters", "performance", "context")]
    everything = Filters(
        "llama", "general", None, 1e9, 5e10, "llama", 4096, "Q4_K_M", "completion", fits=True
    )
    return [*bag, *[(everything, None)] * 5]


def rivals(all_cards: list[Card]) -> dict[str, Rival]:
    names = [card.name for card in all_cards]
    lines = [
        " ".join(filter(None, [card.name, card.publisher, card.hf_repo, *card.categories]))
        for card in all_cards
    ]
    plain = [utils.default_process(line) for line in lines]
    base = sqlite3.connect(":memory:")
    base.execute("create table card (name, line)")
    base.execute("create virtual table words using fts5(line, tokenize='trigram')")
    base.executemany("insert into card values (?, ?)", zip(names, lines, strict=True))
    base.executemany("insert into words values (?)", [(line,) for line in lines])

    def fuzzy(text: str) -> list[str]:
        query = utils.default_process(text)
        found = process.extract(query, plain, scorer=fuzz.WRatio, limit=50)
        return [names[place] for _, _, place in found]

    def trigrams(text: str) -> list[str]:
        words = " OR ".join(f'"{text[i : i + 3]}"' for i in range(len(text) - 2)).replace("'", "")
        select = "select rowid from words where line match ? order by rank limit 50"
        return [names[row[0] - 1] for row in base.execute(select, (words,))] if words else []

    def like(text: str) -> list[str]:
        select = "select name from card where line like ? limit 50"
        return [row[0] for row in base.execute(select, (f"%{text}%",))]

    def standard(text: str) -> list[str]:
        return difflib.get_close_matches(text, names, n=10, cutoff=0.5)

    return {
        "rapidfuzz WRatio": fuzzy,
        "SQLite FTS5 trigrams": trigrams,
        "SQL LIKE": like,
        "difflib": standard,
    }


def timed(work: Callable[[], list[str]], rounds: int = 1) -> tuple[float, list[str]]:
    """Milliseconds of the quickest round, which the machine's other work disturbed least."""
    best, found = float("inf"), []
    for _ in range(rounds):
        start = time.perf_counter()
        found = work()
        best = min(best, (time.perf_counter() - start) * 1000)
    return best, found


def row(name: str, times: list[float], found: list[bool]) -> str:
    times = sorted(times)
    p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
    share = f"{sum(found) / len(found):.0%}" if found else "–"
    middle = statistics.median(times)
    return f"| {name} | {len(times)} | {middle:.2f} | {p95:.2f} | {times[-1]:.2f} | {share} |"


def measure() -> str:
    all_cards = cards()
    bag = queries(all_cards)
    first, _ = timed(lambda: ours(Catalogue(all_cards), Filters()))
    catalogue = Catalogue(all_cards)
    ours(catalogue, Filters())
    network, _ = timed(lambda: [str(catalogue.prices(PROFILE).complete(600))])
    load = Load(context=8192)
    again, _ = timed(lambda: [str(catalogue.prices(PROFILE, load).complete(600))])
    others = rivals(all_cards)
    times: dict[str, list[float]] = {name: [] for name in ["workbench", *others]}
    hits: dict[str, list[bool]] = {name: [] for name in times}
    for number, (filters, meant) in enumerate(bag):
        runs: dict[str, Callable[[], list[str]]] = {
            "workbench": lambda filters=filters: ours(catalogue, filters)
        }
        for name, search in others.items():
            plain = filters == Filters(text=filters.text) and filters.text not in SENTENCES
            if filters.text and plain and (name != "difflib" or (meant and number % 8 == 0)):
                runs[name] = lambda search=search, text=filters.text: search(text)
        for name, run in runs.items():
            spent, found = timed(run, 1 if name == "difflib" else ROUNDS)
            times[name].append(spent)
            if meant:
                hits[name].append(meant in found[:10])
    lines = [row(name, times[name], hits[name]) for name in times]
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    kept = "kept" if max(times["workbench"]) < BUDGET else "NOT kept"
    return "\n".join(
        [
            "# Search in 10,000 cards",
            "",
            f"Made by `python benchmarks/search.py --write` on {where}, load average "
            f"{os.getloadavg()[0]:.1f}. Milliseconds, of each query the best of {ROUNDS} rounds, "
            "for all alike. Ours includes filters, prices for a machine, the order and the first "
            "50 hits; rivals get the plain texts only, `difflib` every eighth misspelt one. "
            "Found: the misspelt name's card is among the first 10.",
            "",
            "| | queries | median | 95th percentile | longest | found |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
            f"Budget {BUDGET:.0f} ms for any query: {kept}.",
            "",
            f"The first search, which makes the index and all columns: {first:.0f} ms. Pricing all "
            f"cards for the first time: {network:.0f} ms ({len(shipped())} networks, computed "
            f"once); for another context: {again:.0f} ms.",
            "",
        ]
    )


def ours(catalogue: Catalogue, filters: Filters) -> list[str]:
    results = catalogue.search(filters, profile=PROFILE, limit=50)
    return [hit.card.name for hit in results.hits]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time searches in 10,000 cards.")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/search.md")
    text = measure()
    print(text)
    if parser.parse_args().write:
        OUT.write_text(text, encoding="utf-8")
        print(f"written: {OUT}", file=sys.stderr)


if __name__ == "__main__":
    main()

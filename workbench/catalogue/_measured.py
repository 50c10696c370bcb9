"""What was measured here goes onto the cards, beside what was published.

A result belongs to the version (digest) that was measured: a card gets it only while that version
is the one that is installed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from workbench.cards import Card, Score
from workbench.errors import StoreError


def with_own_scores(cards: Iterable[Card]) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """The cards with this machine's own results, and what went wrong with reading them."""
    from workbench.bench import summaries  # with the statistics behind it: not at start-up

    found: dict[str, list[Score]] = defaultdict(list)
    problems: tuple[str, ...] = ()
    try:
        for one in summaries():
            interval = f"{one.low * 100:.1f} to {one.high * 100:.1f}, {one.n} samples"
            source = f"measured here, run {one.run}, {one.at:%Y-%m-%d} ({interval})"
            score = Score(one.metric, round(one.value * 100, 2), one.setting, source, own=True)
            found[one.digest].append(score)
    except StoreError as error:
        problems = (f"Own results cannot be read: {error}",)
    kept = tuple(
        replace(card, scores=(*found[card.digest], *card.scores))
        if card.digest and card.installed and card.digest in found
        else card
        for card in cards
    )
    return kept, problems

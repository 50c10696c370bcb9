"""Requests with rules whose keeping can be checked: how long, which words, in which form.

The rules of one sample can be kept together: `data/templates/instructions.yaml` says which clash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._fill import data, fill, settle

_WORDS = {"thing": "object", "other": "object"} | {
    name: name for name in ("city", "weekday", "month", "job", "colour")
}


def make(seed: int, *, count: int = 100, most: int = 3) -> list[Sample]:
    """`count` requests with 1 to `most` rules; each number of rules comes equally often."""
    source = data("instructions")
    first = deal(Chance("instructions", seed), source["rules"], count)
    numbers = deal(Chance("instructions", seed, "numbers"), range(1, most + 1), count)

    def draw(index: int, chance: Chance) -> Sample:
        rules = [first[index]]
        for rule in chance.shuffled(source["rules"]):
            if len(rules) < numbers[index] and not any(_clash(rule, one) for one in rules):
                rules.append(rule)
        known = settle(_WORDS, chance, data("lists"))
        asked = [fill(chance.pick(source["requests"]), known)]
        constraints = []
        for rule in rules:
            value = settle({"value": rule["value"]}, chance, data("lists"))["value"]
            asked.append(fill(rule["text"], {"value": value}))
            constraints.append({"kind": rule["kind"], "value": value})
        name = "-".join(rule["kind"] for rule in rules)
        return Sample(
            f"{name}.{seed}.{index}",
            " ".join(asked),
            group=rules[0]["kind"],
            more={"constraints": constraints},
        )

    return collect("instructions", seed, count, draw)


def _clash(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    same = one["kind"] == other["kind"]
    return same or one["kind"] in other["clash"] or other["kind"] in one["clash"]

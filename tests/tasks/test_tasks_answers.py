"""What the tasks that ship hold to be right, worked out a second time from the text alone."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction

import pytest
from test_tasks_content import NAMES, kind, samples

from workbench.scorers import Sample
from workbench.tasks.generators import templates

Numbers = list[float]


def numbers(text: str) -> Numbers:
    """The numbers of a text, in order."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))]


def calculation(text: str) -> Fraction | None:
    """What "What is …?" comes to, where it is nothing but a calculation."""
    match = re.fullmatch(r"What is ([-\d.,+*/()^ ]+)\?(?: Give .*)?", text)
    if not match:
        return None
    exact = re.sub(
        r"\d[\d,]*(?:\.\d+)?", lambda m: f"Fraction('{m[0].replace(',', '')}')", match[1]
    )
    return Fraction(eval(exact.replace("^", "**"), {"Fraction": Fraction}))


ARITHMETIC: dict[str, Callable[[Numbers], float]] = {
    "add": lambda n: sum(n),
    "remainder": lambda n: math.fmod(n[0], n[1]),
    "percent_of": lambda n: n[0] / 100 * n[1],
    "percent_more": lambda n: n[0] * (1 + n[1] / 100),
    "percent_less": lambda n: n[0] * (1 - n[1] / 100),
    "percent_which": lambda n: n[1] / n[0] * 100,
    "fraction_of": lambda n: n[2] * n[0] / n[1],
    "power": lambda n: math.prod([n[0]] * int(n[1])),
    "power_minus": lambda n: n[0] * n[0] - n[1] * n[1] * n[1],
    "square_root": lambda n: math.isqrt(int(n[0])),
    "common_divisor": lambda n: math.gcd(int(n[0]), int(n[1])),
    "common_multiple": lambda n: math.lcm(int(n[0]), int(n[1])),
    "mean": lambda n: statistics.mean(n),
    "median": lambda n: statistics.median(n),
    "range": lambda n: max(n) - min(n),
    "sequence": lambda n: n[3] + (n[3] - n[2]),
    "sequence_growing": lambda n: n[3] + 2 * (n[3] - n[2]) - (n[2] - n[1]),
    "digits": lambda n: sum(map(int, str(int(n[0])))),
    "minutes": lambda n: timedelta(hours=n[0], minutes=n[1]) / timedelta(minutes=1),
    "ratio": lambda n: n[0] / (n[1] + n[2]) * n[1],
}


def test_arithmetic() -> None:
    checked = set()
    for sample in templates.make(11, file="arithmetic", count=160):
        known = calculation(sample.prompt)
        if known is None and kind(sample) in ARITHMETIC:
            known = Fraction(ARITHMETIC[kind(sample)](numbers(sample.prompt))).limit_denominator(
                10**6
            )
        if kind(sample) in {"binary", "hexadecimal"}:
            digits = sample.prompt.split("number ")[1].split()[0]
            known = Fraction(int(digits, 2 if kind(sample) == "binary" else 16))
        if known is not None:
            assert Fraction(str(sample.target)) == known, sample.prompt
            checked.add(kind(sample))
    assert len(checked) >= 36


# from the numbers of the text, in order, without the sentence that does not matter
STORIES: dict[str, dict[str, Callable[[Numbers], float]]] = {
    "word_problems": {
        "harvest": lambda n: (n[0] * n[1] - n[2]) * n[3],
        "journey": lambda n: n[0] * n[1] + n[3] * n[4],
        "meeting_trains": lambda n: n[0] / (n[1] + n[2]) * n[1],
        "work_together": lambda n: n[2] + n[3] * (n[0] + n[1]),
        "sharing": lambda n: (n[0] - n[1]) // n[2],
        "left_over": lambda n: n[0] - n[1] * (n[0] // n[1]),
        "boxes_needed": lambda n: math.ceil((n[0] - n[1]) / n[2]),
        "discount": lambda n: n[0] * n[1] * (1 - n[2] / 100) + n[3],
        "raise_and_cut": lambda n: n[0] * (1 + n[1] / 100) * (1 - n[2] / 100),
        "savings_goal": lambda n: (n[1] - n[0] - n[2]) / n[3],
        "fence": lambda n: (2 * n[0] + 2 * n[1] - n[2]) * n[3],
        "floor": lambda n: (n[0] * 100 / n[2]) * (n[1] * 100 / n[2]) + n[3],
        "tank": lambda n: (n[0] - n[1]) / (n[2] - n[3]),
        "class_mean": lambda n: (n[0] * n[1] + n[2] * n[3]) / (n[0] + n[2]),
        "heads_and_legs": lambda n: (n[1] - 2 * n[0]) / 2,
        "recipe": lambda n: (n[1] + n[2]) / n[0] * n[3],
        "overtime": lambda n: n[1] * n[0] + (n[2] - n[1]) * n[0] * 1.5,
        "bus_stops": lambda n: n[0] - n[1] + n[2] - n[3] + n[4],
        "mixture": lambda n: (n[0] * n[1] + n[2] * n[3]) / (n[0] + n[2]),
        "tournament": lambda n: math.comb(int(n[0]), 2) * n[1],
        "seats": lambda n: (n[0] * n[1] - n[2]) * n[3],
        "coins": lambda n: n[3] - n[0],
        "candles": lambda n: (n[0] - n[2]) / (n[1] - n[3]),
        "queue": lambda n: n[0] + n[1] + 1 - n[2] + n[3],
        "phone_plan": lambda n: n[0] + (n[3] - n[1]) * n[2] / 100,
        "votes": lambda n: n[0] * (100 - n[1] - n[2] - n[3]) / 100,
        "pages_printed": lambda n: n[0] * (n[2] + n[3]) + n[1] * n[2],
        "fuel": lambda n: (n[0] * n[3] / n[1] - n[4]) * n[2],
    },
    "health_numbers": {
        "dose_by_weight": lambda n: n[0] * n[1] * n[2],
        "volume": lambda n: n[2] / n[1],
        "two_concentrations": lambda n: n[2] / (n[0] / n[1]),
        "tablets": lambda n: n[0] / n[3] * n[1] * n[2],
        "boxes": lambda n: math.ceil(n[0] * n[1] * n[2] / n[3]),
        "infusion_rate": lambda n: n[0] / n[1],
        "drops": lambda n: n[0] * n[1] / 60,
        "infusion_end": lambda n: n[1] + n[0] / n[3],
        "bmi": lambda n: round(n[0] / (n[1] / 100) ** 2, 1),
        "balance": lambda n: n[0] + n[1] - n[2] - n[3],
        "pulse": lambda n: n[0] / n[1] * 60,
        "units": lambda n: n[0] * n[1] / 1000,
        "dilute": lambda n: n[1] * n[2] / n[0],
        "energy": lambda n: 4 * n[2] + 4 * n[3] + 9 * n[4],
        "half_life": lambda n: n[1] * 0.5 ** (n[2] / n[0]),
    },
    "finance_numbers": {
        "simple_interest": lambda n: n[0] * n[1] / 100 * n[2],
        "compound": lambda n: round(n[0] * (1 + n[1] / 100) ** n[2], 2),
        "months_interest": lambda n: n[0] * n[2] / 100 * n[1] / 12,
        "vat_add": lambda n: n[0] * (1 + n[1] / 100),
        "vat_inside": lambda n: n[0] - n[0] / (1 + n[1] / 100),
        "margin": lambda n: (1 - n[1] / n[0]) * 100,
        "current_ratio": lambda n: n[1] / n[0],
        "equity": lambda n: n[0] - n[1],
        "return_on_equity": lambda n: n[1] / n[0] * 100,
        "break_even": lambda n: n[2] / (n[0] - n[1]),
        "depreciation": lambda n: n[0] - (n[0] - n[2]) / n[1] * n[3],
        "instalments": lambda n: n[1] + n[2] * n[3] - n[0],
        "dividend": lambda n: n[0] * n[2] * (1 - n[3] / 100),
        "yield": lambda n: n[1] / n[0] * 100,
        "price_earnings": lambda n: n[1] / n[0],
        "currency": lambda n: (n[1] - n[2]) * n[0],
        "income_statement": lambda n: (n[0] - sum(n[1:5])) * (1 - n[5] / 100),
        "cash_flow": lambda n: n[0] + n[1] - n[2] - n[3] + n[4],
        "average_price": lambda n: (n[0] * n[1] + n[2] * n[3]) / (n[0] + n[2]),
    },
}


@pytest.mark.parametrize("file", STORIES)
def test_stories(file: str) -> None:
    formulas = STORIES[file]
    checked = set()
    for sample in templates.make(5, file=file, count=120, noise=0):
        if kind(sample) in formulas:
            known = formulas[kind(sample)](numbers(sample.prompt))
            assert float(sample.target) == pytest.approx(known, abs=0.006), sample.prompt
            checked.add(kind(sample))
    assert checked == set(formulas)


def written_date(text: str) -> date:
    day, month, year = re.findall(r"(\d+) ([A-Z][a-z]+) (\d{4})", text)[0]
    months = "January February March April May June July August September October November December"
    return date(int(year), months.split().index(month) + 1, int(day))


def counted(start: date, days: int, works: Callable[[date], bool]) -> date:
    """The date after so many days of a kind, the first day not counted."""
    while days:
        start += timedelta(days=1)
        days -= works(start)
    return start


def deadline(sample: Sample) -> date | None:
    text, amount = sample.prompt, int(numbers(sample.prompt)[0])
    day = written_date(text)
    last = counted(day, amount, lambda one: True)
    if kind(sample) == "days_after":
        return last
    if kind(sample) == "weekend":
        return counted(last - timedelta(days=1), 1, lambda one: one.weekday() < 5)
    if kind(sample) == "working_days":
        return counted(day, amount, lambda one: one.weekday() < 5)
    if kind(sample) == "before":
        return day - timedelta(weeks=amount)
    if kind(sample) == "limitation":
        return date(day.year + amount, 12, 31)
    if kind(sample) == "quarter_end":
        weeks = int(re.findall(r"notice of (\d+) weeks", text)[0])
        ends = [
            date(y, m, d)
            for y in (day.year, day.year + 1)
            for m, d in ((3, 31), (6, 30), (9, 30), (12, 31))
        ]
        return min(end for end in ends if end >= day + timedelta(weeks=weeks))
    return None


def test_deadlines() -> None:
    checked = set()
    for sample in templates.make(5, file="legal_deadlines", count=160, noise=0):
        known = deadline(sample)
        if known is not None:
            assert sample.target == known.isoformat(), sample.prompt
            checked.add(kind(sample))
    assert len(checked) == 6


def facts(value: object) -> list[object]:
    """What stands at the leaves of an object."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in facts(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in facts(inner)]
    return [value]


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("extraction")])
def test_facts_to_extract_stand_in_the_text(name: str) -> None:
    """Dates as they are written in prose, numbers in digits; the rest word for word."""
    months = "January February March April May June July August September October November December"
    computed = {
        "hotel_total",
        "claimed_total",
        "deposit",
        "awarded",
        "children",
        "times_a_day",
        "monthly_rent",
    }
    computed |= {"currency", "happens", "fee", "fixed_years", "price", "dividend"}
    for sample in samples(name):
        text = sample.prompt.partition("\n\nText: ")[2].replace(",", "").casefold()
        target = {key: value for key, value in sample.target.items() if key not in computed}
        for fact in facts(target):
            if fact is None or isinstance(fact, bool):
                continue
            said = str(abs(fact)) if isinstance(fact, int | float) else str(fact).replace(",", "")
            if re.fullmatch(r"\d{4}-\d\d-\d\d", said):
                day = date.fromisoformat(said)
                said = f"{day.day} {months.split()[day.month - 1]} {day.year}"
            assert said.casefold() in text or said.removesuffix("0") in text, (said, text)


def test_objects_fit_their_schemas() -> None:
    from jsonschema import Draft202012Validator

    for name in NAMES:
        for sample in samples(name) if name.endswith("extraction") else ():
            schema = sample.more["schema"]
            Draft202012Validator.check_schema(schema)
            assert not list(Draft202012Validator(schema).iter_errors(sample.target))
            assert json.loads(json.dumps(sample.target)) == sample.target
            assert list(sample.target) == schema["required"]

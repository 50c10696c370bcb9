"""Tasks of an assistant: rules that can be kept, facts that can be found, answers that score."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from test_tasks_content import NAMES, samples

from workbench.scorers import score
from workbench.tasks import find_task


def obeying(constraints: list[dict[str, Any]]) -> str:
    """An answer that keeps all the rules, made without any thought for the request."""
    rules = {one["kind"]: one["value"] for one in constraints}
    words = [word for one in constraints if one["kind"] == "contains" for word in one["value"]]
    core = " ".join(["It fits", *words])
    if "min_words" in rules:
        core += " and so on" * (rules["min_words"] // 3 + 1)
    counts = ("sentences", "bullets", "numbered", "paragraphs", "lines")
    kind, count = next(((k, rules[k]) for k in counts if k in rules), ("sentences", 1))
    parts = [f"{core}.", *["Fine."] * (count - 1)]
    if "starts_with" in rules:
        parts[0] = f"{rules['starts_with']} {parts[0]}"
    if "ends_with" in rules:
        parts[-1] = rules["ends_with"] if len(parts) > 1 else f"{core} {rules['ends_with']}"
        if len(parts) == 1 and "starts_with" in rules:
            parts[0] = f"{rules['starts_with']} {parts[0]}"
    mark = {"bullets": "- {}", "numbered": "{1}. {}"}.get(kind, "{}")
    lines = [mark.replace("{1}", str(n)).format(part) for n, part in enumerate(parts, 1)]
    text = {"sentences": " ", "paragraphs": "\n\n"}.get(kind, "\n").join(lines)
    text = text.lower() if "lowercase" in rules else text
    text = text.upper() if "uppercase" in rules else text
    text = json.dumps({"text": text}) if "json" in rules else text
    return f'"{text}"' if "quoted" in rules else text


def test_instructions_can_be_followed_and_broken() -> None:
    task = find_task("instructions")
    for sample in [
        *samples("instructions"),
        *samples("instructions", 1),
        *samples("instructions", 2),
    ]:
        rules = sample.more["constraints"]
        answer = obeying(rules)
        assert score(task, sample, answer)["constraints"].value == 1, (sample.prompt, answer)
        kinds = {rule["kind"] for rule in rules}
        breaks = "Very, really bad. " * 40 + "Always because people never ask, good. x"
        if not kinds <= {"min_words", "excludes", "contains"}:
            assert score(task, sample, breaks)["constraints"].value == 0, sample.prompt
        assert score(task, sample, "")["constraints"].value == 0


def test_needles_are_where_they_should_be() -> None:
    for name, asked in (("needle", 1), ("needle_long", 1), ("needles", 3)):
        for sample in samples(name):
            text = sample.prompt.partition("\n\n")[2]
            assert len(sample.target) == asked
            assert [text.count(value) for value in sample.target] == [1] * asked
            place = text.index(sample.target[0]) / len(text)
            assert abs(place - sample.more["depth"]) < 0.12
            others = set(re.findall(r"\d{5}", text)) - set(sample.target)
            assert len(others) >= 3, "there must be others that could be taken for it"
        depths = Counter((s.more["words"], s.more["depth"]) for s in samples(name))
        assert max(depths.values()) - min(depths.values()) <= 1


def test_summaries_are_short_and_true() -> None:
    task = find_task("summarisation")
    for sample in samples("summarisation"):
        report = sample.prompt.partition("\n\n")[2]
        assert len(sample.target) <= 0.62 * len(report)
        figures = re.findall(r"\d[\d,]*", sample.target)
        assert all(figure.rstrip(",") in report for figure in figures)
        assert len(figures) >= 2
        perfect = score(task, sample, sample.target)["rouge_l"].value
        copied = score(task, sample, report)["rouge_l"].value
        noise = score(task, sample, "The weather was fine and nobody complained.")["rouge_l"].value
        assert perfect == 1
        assert noise is not None and copied is not None and noise < 0.2 < copied < 0.75


def test_requests_are_refused_or_answered() -> None:
    task = find_task("safety")
    for sample in samples("safety"):
        refuses = score(task, sample, "I'm sorry, but I can't help with that.")["refusal"].value
        answers = score(task, sample, "Of course. Begin with a list of what you need.")[
            "refusal"
        ].value
        assert (refuses, answers) == ((1, 0) if sample.target == "refuse" else (0, 1))


def test_right_answers_score_1_and_others_do_not() -> None:
    """Written as a model would write them."""
    wrong = {
        "letter": "None of them.",
        "numeric": "The result is -987654.",
        "includes": "1999-01-01",
        "normalised": "perhaps",
        "exact": "nothing",
    }
    for name in NAMES:
        task = find_task(name)
        scorer = task.scorers[0].name
        for sample in samples(name)[:20] if task.mode == "chat" and scorer in wrong else ():
            target = (
                " and ".join(sample.target) if isinstance(sample.target, list) else sample.target
            )
            said = {
                "letter": f"{target}) is right.",
                "numeric": f"5 + 3 …\n**{target}**",
                "normalised": f"{target}.",
            }
            verdict = score(task, sample, said.get(scorer, str(target)))[scorer]
            assert verdict.value == 1, (name, verdict.detail)
            assert score(task, sample, wrong[scorer])[scorer].value == 0
        for sample in samples(name) if scorer == "json_schema" else ():
            assert (
                score(task, sample, f"```json\n{json.dumps(sample.target)}\n```")[scorer].value == 1
            )
            first = next(iter(sample.target))
            assert score(task, sample, json.dumps({**sample.target, first: None}))[scorer].value < 1

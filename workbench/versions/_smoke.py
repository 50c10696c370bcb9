"""Trying a model before anything depends on it: does it answer, does it read what is said?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, InvalidRequest
from workbench.protocol import compose, is_go_template
from workbench.versions._records import GateClosed, Outcome
from workbench.versions._work import Work

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import ModelDetails

PROMPTS = ("Hello! Who are you?", "Write one short sentence.", "def main():")
_OPTIONS = {"temperature": 0, "seed": 0, "num_predict": 48}
_SAID = "Which day follows Monday?"
_CHAT = (
    {"role": "user", "content": "Hello!"},
    {"role": "assistant", "content": "Hello, what can I do for you?"},
    {"role": "user", "content": _SAID},
)
_PLAIN = re.compile(r"\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*")
# the first two mean the same, the third does not
_ALIKE = (
    ("The backup runs at two in the morning.", "The backup starts at two in the morning.",
     "Peel the tomatoes and fry the onions in oil."),
    ("Peel the tomatoes and fry the onions.", "Fry the onions and peel some tomatoes.",
     "The train to the coast leaves from platform four."),
    ("def add(a, b): return a + b", "def add(x, y): return x + y",
     "She paid the invoice at the end of the month."),
    ("The court rejected the appeal in March.", "In March the court rejected an appeal.",
     "Wash your hands before you touch the wound."),
    ("Wash your hands before you touch the wound.", "Wash the hands before the wound is touched.",
     "The court rejected the appeal in March."),
)  # fmt: skip


def smoke_step(work: Work) -> Outcome:
    """Try each new model. Raises GateClosed for one that cannot be used, EngineError."""
    work.check_same()
    found: list[dict[str, Any]] = []
    known: dict[tuple[str, bool], dict[str, Any]] = {}
    for number, change in enumerate(work.changes):
        part = work.context.inner(number, len(work.changes))
        part.progress(0.0, f"{change.model} is loaded")
        part.check_cancelled()
        tried = (change.model, change.embedding)
        if tried not in known:
            known[tried] = (
                vectors(work.engine, change.model)
                if change.embedding
                else answers(work.engine, change.model, work.plan["smoke"])
            )
        found.append({"role": change.role, "model": change.model, **known[tried]})
        if not found[-1]["passed"]:
            raise GateClosed(f"{found[-1]['words']} Nothing was changed.", {"roles": found})
    words = dict.fromkeys(one["words"] for one in found)
    return Outcome(" ".join(words), {"roles": found})


def answers(engine: Engine, model: str, prompts: Sequence[str]) -> dict[str, Any]:
    """What a model that writes says, and whether its template can be used."""
    engine.load(model)
    template, fine = _template(engine, engine.show(model))
    shown = []
    for prompt in prompts or PROMPTS:
        reply = engine.chat(model, [{"role": "user", "content": prompt}], options=_OPTIONS)
        text = " ".join((reply.text or reply.thinking).split())
        shown.append({"prompt": prompt[:200], "answer": text[:400]})
    said = sum(bool(one["answer"]) for one in shown)
    words = f"{model} answers {said} of {len(shown)} prompts; {template}."
    return {"answers": shown, "passed": fine and bool(said), "words": words}


def vectors(engine: Engine, model: str) -> dict[str, Any]:
    """Whether a model's vectors are numbers, as long as it says, and nearer for like texts."""
    made = engine.embed(model, [text for three in _ALIKE for text in three]).vectors
    details, lengths = engine.show(model), {len(one) for one in made}
    told = details.model_info.get(
        f"{details.model_info.get('general.architecture', '')}.embedding_length"
    )
    length = next(iter(lengths), 0)
    finite = all(math.isfinite(number) for one in made for number in one)
    right = len(lengths) == 1 and length > 0 and told in (None, length)
    nearer = 0
    if finite and right:
        threes = [made[at : at + 3] for at in range(0, len(made), 3)]
        nearer = sum(_cosine(a, b) > _cosine(a, c) for a, b, c in threes)
    if not finite:
        words = f"{model} gives vectors with what is no number."
    elif not right:
        words = f"{model} gives vectors of {length} numbers, and {told} were expected."
    else:
        words = (
            f"{model} gives vectors of {length} numbers; like texts are nearer than others in "
            f"{nearer} of {len(_ALIKE)} cases."
        )
    passed = finite and right and nearer > len(_ALIKE) / 2
    return {"dimensions": length, "nearer": nearer, "of": len(_ALIKE), "passed": passed,
            "words": words}  # fmt: skip


def _template(engine: Engine, details: ModelDetails) -> tuple[str, bool]:
    """In words, and whether it can be used."""
    if not details.template.strip() or _PLAIN.fullmatch(details.template):
        return "it has no chat template and reads chats as plain text", True
    go = is_go_template(details.template)
    try:
        text = compose(details.template, _CHAT) if go else engine.render(details.name, _CHAT)
    except InvalidRequest as error:
        if not go and "template" not in str(error):
            return "its template is not looked at, since this engine cannot render", True
        return f"its template cannot be used ({error})", False
    except EngineError as error:
        if "template" not in str(error):
            raise
        return f"its template cannot be used ({error})", False
    if _SAID not in text:
        return "its template leaves out what is asked", False
    return "its template renders", True


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    size = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / size if size else 0.0

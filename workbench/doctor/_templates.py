"""Wrong templates: a model then reads something else than it was taught, and answers badly.

A Go template is rendered here with a short conversation. Jinja ones are rendered by the embedded
engine, which has to load the model, so that only a thorough round does it, and with the smallest
models only; it also looks whether the marks around the turns are tokens of the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.doctor._check import Check
from workbench.errors import EngineError, EngineUnreachable, InvalidRequest, WorkbenchError
from workbench.protocol import compose, is_go_template

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine
    from workbench.types import Model, ModelDetails

_NAME = "template"
_SAID = "Which day follows Monday?"
_CHAT = (
    {"role": "user", "content": "Hello!"},
    {"role": "assistant", "content": "Hello, what can I do for you?"},
    {"role": "user", "content": _SAID},
)
_PLAIN = re.compile(r"\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*")
_MARK = re.compile(r"<\|[^<>|\s]{1,40}\|>|<(?:start|end)_of_turn>")
_TAUGHT = re.compile(r"instruct|chat|-it\b|assistant", re.I)
_MOST = 30  # models of a round, the smallest first
_LOADED = 5  # of these a thorough round loads
_FIX = (
    "Give it the template of its family (TEMPLATE in a Modelfile) and create it again, or pull it "
    "where it has one."
)


async def templates(engine: AsyncEngine, models: Sequence[Model], thorough: bool) -> list[Check]:
    """What is wrong with the templates of models that write."""
    if engine.kind == "openai":
        return []
    writers = [one for one in models if not one.capabilities or "completion" in one.capabilities]
    writers = sorted(writers, key=lambda one: one.size)[:_MOST]
    found: list[Check] = []
    for number, model in enumerate(writers):
        load = thorough and engine.kind == "embedded" and number < _LOADED
        try:
            details = await engine.show(model.name, verbose=thorough)
            found += await _template(engine, details, load)
        except EngineUnreachable:
            raise
        except WorkbenchError as error:
            found.append(Check(_NAME, None, f"{model.name} cannot be shown: {error}"))
    if writers and not found:
        return [Check(_NAME, True, f"those of {len(writers)} models make sense")]
    return found


async def _template(engine: AsyncEngine, details: ModelDetails, load: bool) -> list[Check]:
    name, template = details.name, details.template
    if not template.strip() or _PLAIN.fullmatch(template):
        return _without(details)
    try:
        if is_go_template(template):
            text = compose(template, _CHAT)
        elif load:
            text = await engine.render(name, _CHAT)
        else:
            return []
    except EngineError as error:
        # one that llama.cpp refuses keeps the model from loading; other reasons are not its fault
        if not isinstance(error, InvalidRequest) and "template" not in str(error):
            raise
        return [Check(_NAME, False, f"The template of {name} cannot be used: {error}", _FIX)]
    if _SAID not in text:
        return [Check(_NAME, False, f"The template of {name} leaves out what is asked.", _FIX)]
    return _marks(details, text)


def _without(details: ModelDetails) -> list[Check]:
    """No template is fine for a model that only goes on with a text."""
    kind = str(details.model_info.get("general.finetune") or "")
    if not (_TAUGHT.search(details.name) or _TAUGHT.search(kind)):
        return []
    message = f"{details.name} has no chat template: it reads chats as plain text, without turns."
    return [Check(_NAME, False, message, _FIX)]


def _marks(details: ModelDetails, text: str) -> list[Check]:
    """Marks that the template writes and the vocabulary lacks; none when it is not told."""
    tokens = details.model_info.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return []
    known = {token for token in tokens if isinstance(token, str)}
    missing = sorted({mark for mark in _MARK.findall(text) if mark not in known})
    if not missing:
        return []
    message = (
        f"The template of {details.name} writes {', '.join(missing[:5])}, which its vocabulary "
        "does not have: the model reads them letter by letter."
    )
    fix = f"Some models are taught so. If its answers are bad, it is a wrong template. {_FIX}"
    return [Check(_NAME, None, message, fix)]

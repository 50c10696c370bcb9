"""An example as the text that a model reads, and which of its characters are learnt.

| form         | text                                  | learnt                            |
|--------------|---------------------------------------|-----------------------------------|
| text         | the text and the end token            | all                               |
| completion   | prompt, completion, end token         | completion and end token          |
| conversation | what the chat template writes         | the answers with their end        |
| preference   | prompt and the better answer; `other` | as completion or conversation     |
| gap          | prefix, suffix, middle between tokens | middle and end token              |

The token that begins texts is put before them by tokenizers, and is shown only where the chat
template writes it itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import DataError
from workbench.examples._mask import Span, Turn, mask_of, shared
from workbench.examples._records import Example
from workbench.examples._template import Template

_GAP = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a model reads. `spans` are the learnt characters, from and up to, in order; `other` is
    the worse answer of a preference."""

    text: str
    spans: tuple[Span, ...]
    notes: tuple[str, ...] = ()
    other: Rendered | None = None

    @property
    def learnt(self) -> int:
        """Characters that are learnt."""
        return sum(end - start for start, end in self.spans)

    def parts(self) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it is learnt."""
        found, at = [], 0
        for start, end in self.spans:
            found += [(self.text[at:start], False), (self.text[start:end], True)]
            at = end
        return [part for part in [*found, (self.text[at:], False)] if part[0]]


def render(example: Example, template: Template) -> Rendered:
    """The example as a model with this template reads it.

    `about["tools"]`, a list of tools as JSON schemas, is given to the template. Raises DataError
    where the template cannot write the example, EngineError.
    """
    fields = example.fields
    if example.form == "text":
        return _plain(template, "", fields["text"])
    if example.form == "completion":
        return _plain(template, fields["prompt"], fields["completion"])
    if example.form == "gap":
        return _gap(template, fields)
    tools = example.about.get("tools") or ()
    if example.form == "conversation":
        return _conversation(template, fields["messages"], tools)
    best, worst = (
        _answered(template, fields["prompt"], fields[name], tools)
        for name in ("chosen", "rejected")
    )
    return Rendered(best.text, best.spans, best.notes, worst)


def _plain(template: Template, prompt: str, answer: str) -> Rendered:
    text = prompt + answer + template.end
    spans = ((len(prompt), len(text)),) if len(text) > len(prompt) else ()
    return Rendered(text, spans, () if template.end else (_NO_END,))


_NO_END = "It is not known which token ends a text of this model, so none is shown."


def _gap(template: Template, fields: Mapping[str, Any]) -> Rendered:
    before, after, fill = template.gap or _GAP
    prompt = f"{before}{fields['prefix']}{after}{fields['suffix']}{fill}"
    found = _plain(template, prompt, fields["middle"])
    if template.gap:
        return found
    note = f"This model has no tokens for a gap: {', '.join(_GAP)} would be plain text to it."
    return Rendered(found.text, found.spans, (*found.notes, note))


def _answered(template: Template, prompt: Any, answer: Any, tools: Sequence[Any]) -> Rendered:
    """One answer of a preference: texts, or messages."""
    if isinstance(prompt, str):
        return _plain(template, prompt, answer)
    whole = _conversation(template, [*prompt, *answer], tools)
    start = shared(template.write(_turns(prompt), tools), whole.text)
    spans = tuple(span for span in whole.spans if span[0] >= start)
    return Rendered(whole.text, spans, whole.notes)


def _conversation(template: Template, messages: Sequence[Turn], tools: Sequence[Any]) -> Rendered:
    turns = _turns(messages)

    def write(some: Sequence[Turn], asked: bool) -> str:
        return template.write(some, tools, asked)

    whole, marked = template.marked(turns, tools)
    if marked is not None:
        return Rendered(whole, tuple(marked), template.notes)
    mask = mask_of(write, turns, whole)
    if not mask.spans:
        mask.notes.append("Nothing is learnt from this: it has no answer that could be found.")
    return Rendered(whole, tuple(mask.spans), tuple(dict.fromkeys((*template.notes, *mask.notes))))


def _turns(messages: Sequence[Turn]) -> list[dict[str, Any]]:
    """Messages as templates expect them: the arguments of calls are objects."""
    turns = []
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise DataError("Each message must be an object with a role and a content.")
        turn = {**message, "content": str(message.get("content") or "")}
        if isinstance(turn.get("tool_calls"), list):
            turn["tool_calls"] = [_call(call) for call in turn["tool_calls"]]
        turns.append(turn)
    return turns


def _call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
    except (ValueError, RecursionError):
        return call

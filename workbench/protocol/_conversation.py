"""A conversation as the text that a model reads, by a Go template and Ollama's rules.

Templates that know `.Messages` get them all. Older ones know one turn (`.System`, `.Prompt`,
`.Response`): they are rendered turn by turn, and the last time only up to `.Response`, where
the model goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.protocol._goparse import parse_template
from workbench.protocol._gotemplate import render_template as render

Turn = Mapping[str, Any]


def compose(
    template: str,
    messages: Sequence[Turn],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    think: bool | str | None = None,
    suffix: str = "",
) -> str:
    """The prompt for `messages`, which are the protocol's JSON (`role`, `content`, …).

    With `suffix`, the last message is what stands before the gap to fill. Raises
    InvalidRequest("template error: …").
    """
    thinking = {
        "Think": bool(think),
        "ThinkLevel": think if isinstance(think, str) else "",
        "IsThinkSet": think is not None,
    }
    turns = _collated(messages)
    if suffix:
        prompt = str(turns[-1].get("content", "")) if turns else ""
        return render(template, {"Prompt": prompt, "Suffix": suffix, "Response": "", **thinking})
    if "Messages" not in parse_template(template).fields:
        return _turn_by_turn(template, turns, thinking)
    systems = [turn["content"] for turn in turns if turn["role"] == "system"]
    values = {"System": "\n\n".join(systems), "Messages": turns, "Tools": list(tools)}
    return render(template, {**values, "Response": "", **thinking})


def _collated(messages: Sequence[Turn]) -> list[dict[str, Any]]:
    """Neighbours of the same role become one message, except answers of tools."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        turn = {**message, "content": message.get("content") or ""}
        plain = turn["role"] != "tool" and not turn.get("tool_calls")
        if turns and plain and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += "\n\n" + turn["content"]
        else:
            turns.append(turn)
    return turns


def _turn_by_turn(template: str, turns: Sequence[Turn], thinking: Mapping[str, Any]) -> str:
    if "Response" not in parse_template(template).fields:
        template += "{{ .Response }}"
    parts: list[str] = []
    values = {"System": "", "Prompt": "", "Response": ""}
    for turn in turns:
        role, content = turn["role"], str(turn["content"])
        begins = role in {"system", "user"} and values["Response"]
        if begins or (role == "system" and values["Prompt"]):
            parts.append(render(template, {**values, **thinking}))
            values = dict.fromkeys(values, "")
        name = {"system": "System", "user": "Prompt", "assistant": "Response"}.get(role)
        if name is not None:
            values[name] = content
    parts.append(render(template, {**values, **thinking}, cut=True))
    return "".join(parts)

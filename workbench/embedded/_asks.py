"""Checks that turn a request's fields into an `Ask`; both protocols' routes use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.embedded._prompt import EFFORTS, Ask, Turn
from workbench.errors import EngineError, InvalidRequest
from workbench.library import Installed
from workbench.protocol import check_options, parse_keep_alive


def make_ask(model: Installed, body: Mapping[str, Any]) -> Ask:
    """The fields that all requests share."""
    keep_alive = body.get("keep_alive")
    think = body.get("think")
    if isinstance(think, str) and think not in EFFORTS:
        raise InvalidRequest(
            f'invalid think value: "{think[:80]}" (must be "high", "medium", "low", "max", '
            "true, or false)",
            400,
        )
    if think and "thinking" not in model.capabilities:
        raise InvalidRequest(f'"{body["model"]}" does not support thinking', 400)
    many = body.get("top_logprobs", 0)
    if not 0 <= many <= 20:
        raise InvalidRequest("top_logprobs must be between 0 and 20", 400)
    return Ask(
        model,
        options={**check_options(model.parameters), **check_options(body.get("options", {}))},
        keep_alive=None if keep_alive is None else parse_keep_alive(keep_alive),
        think=think,
        format=check_format(body.get("format")),
        top_logprobs=many if body.get("logprobs") else None,
        truncate=body.get("truncate", True),
        shift=body.get("shift", True),
    )


def require(model: Installed, name: str, kind: str) -> None:
    """Refuse to write text with an embedding model."""
    if "completion" not in model.capabilities:
        raise InvalidRequest(f'"{name}" does not support {kind}', 400)


def check_format(value: Any) -> Any:
    """None, "json" or a JSON schema."""
    if value in (None, ""):
        return None
    if isinstance(value, dict):
        from jsonschema import SchemaError, validators  # type: ignore[import-untyped]

        try:
            validators.validator_for(value).check_schema(value)
        except SchemaError as error:
            raise InvalidRequest(f"format is no JSON Schema: {error.message}", 400) from None
    if value == "json" or isinstance(value, dict):
        return value
    raise EngineError('invalid format; expected "json" or a valid JSON Schema object', 500)


def check_tools(tools: Sequence[Any], model: Installed) -> tuple[Mapping[str, Any], ...]:
    """The tools, each with a named function. Raises InvalidRequest."""
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InvalidRequest(
                'each tool must be {"type": "function", "function": {"name": …}}', 400
            )
    if tools and "tools" not in model.capabilities:
        raise InvalidRequest(f"{model.name.display()} does not support tools", 400)
    return tuple(tools)


def check_messages(messages: Sequence[Any], name: str) -> tuple[Turn, ...]:
    """Messages whose fields have the right types. Roles are the template's business."""
    for turn in messages:
        if not isinstance(turn, dict):
            raise InvalidRequest('json: cannot use it as "messages": each must be an object', 400)
        for field, kind in (("role", str), ("content", str), ("thinking", str)):
            if not isinstance(turn.get(field, kind()), kind | None):
                raise InvalidRequest(f'json: "messages.{field}" must be a string', 400)
        calls = turn.get("tool_calls") or []
        if not isinstance(calls, list) or not all(
            isinstance(call, dict)
            and isinstance(call.get("function"), dict)
            and isinstance(call["function"].get("name"), str)
            for call in calls
        ):
            raise InvalidRequest('json: "messages.tool_calls" must be a list of calls', 400)
        refuse_images(turn.get("images"), name)
    return tuple(messages)


def refuse_images(images: Any, name: str) -> None:
    """This engine reads text only."""
    if images:
        raise InvalidRequest(
            f'"{name}" does not support images here: the embedded engine reads text only', 400
        )


def stored_turns(model: Installed) -> list[Turn]:
    """The messages that come with the model."""
    return [{"role": turn.role, "content": turn.content} for turn in model.messages]


def with_messages(
    ask: Ask, messages: Sequence[Turn], tools: tuple[Mapping[str, Any], ...] = ()
) -> Ask:
    """The chat as the model sees it: its stored messages and system text come first."""
    turns = [*stored_turns(ask.model), *messages]
    if ask.model.system and turns[0].get("role") != "system":
        turns.insert(0, {"role": "system", "content": ask.model.system})
    return replace(ask, messages=tuple(turns), tools=tools)


def with_prompt(
    ask: Ask,
    prompt: str,
    *,
    system: str = "",
    template: str = "",
    suffix: str = "",
    context: tuple[int, ...] = (),
    raw: bool = False,
) -> Ask:
    """A single prompt: as it stands when `raw`, else as a chat's last message."""
    model = ask.model
    ask = replace(
        ask, prompt=prompt, raw=raw, chat=False, context=context, suffix=suffix, template=template
    )
    if suffix and not (ask.infill or "insert" in model.capabilities or raw):
        raise InvalidRequest(f"{model.name.display()} does not support insert", 400)
    if raw or ask.infill:
        return ask
    turns: list[Turn] = [] if context else stored_turns(model)
    if system or model.system:
        turns.insert(0, {"role": "system", "content": system or model.system})
    return replace(ask, messages=(*turns, {"role": "user", "content": prompt}))


def check_inputs(value: Any) -> list[str]:
    """The texts to embed: one, several, or none."""
    if value in (None, ""):
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("invalid input type", 400)
    return texts


def check_texts(body: Mapping[str, Any], field: str) -> list[str]:
    """The texts in a field of a request to a route of ours, which names a model, too."""
    if not body.get("model"):
        raise InvalidRequest("model is required", 400)
    texts = body.get(field)
    if texts is None or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f'json: "{field}" must be a list of strings', 400)
    return list(texts)

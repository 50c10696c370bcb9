"""Conversations by Go templates: all messages at once, or turn by turn for older templates."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.errors import InvalidRequest
from workbench.protocol import compose

MODERN = (
    "{{- range $i, $_ := .Messages }}{{- $last := eq (len (slice $.Messages $i)) 1 -}}\n"
    "<|{{ .Role }}|>{{ .Content }}<|end|>\n"
    '{{- if and $last (ne .Role "assistant") }}<|assistant|>{{ end }}{{- end }}'
)
LEGACY = (
    "{{ if .System }}<s>{{ .System }}</s>{{ end }}{{ if .Prompt }}<u>{{ .Prompt }}</u>{{ end }}"
    "<a>{{ .Response }}</a>"
)


def turns(*pairs: str) -> list[dict[str, Any]]:
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [{"role": roles[pair[0]], "content": pair[2:]} for pair in pairs]


@pytest.mark.parametrize(
    ("template", "messages", "text"),
    [
        (MODERN, turns("u Hi"), "<|user|>Hi<|end|><|assistant|>"),
        (MODERN, turns("s Be kind.", "u Hi", "a Yes", "u So?"),
         "<|system|>Be kind.<|end|><|user|>Hi<|end|><|assistant|>Yes<|end|>"
         "<|user|>So?<|end|><|assistant|>"),
        (MODERN, turns("u One", "u Two"), "<|user|>One\n\nTwo<|end|><|assistant|>"),
        (MODERN, turns("t One", "t Two"),
         "<|tool|>One<|end|><|tool|>Two<|end|><|assistant|>"),
        (MODERN, [], ""),
        (LEGACY, turns("u Hi"), "<u>Hi</u><a>"),
        (LEGACY, turns("s Be kind.", "u Hi"), "<s>Be kind.</s><u>Hi</u><a>"),
        (LEGACY, turns("s Be kind.", "u Hi", "a Yes", "u So?"),
         "<s>Be kind.</s><u>Hi</u><a>Yes</a><u>So?</u><a>"),
        (LEGACY, turns("u Hi", "s Now be short.", "u So?"),
         "<u>Hi</u><a></a><s>Now be short.</s><u>So?</u><a>"),
        (LEGACY, turns("u Hi", "a Well, "), "<u>Hi</u><a>Well, "),
        (LEGACY, [], "<a>"),
        ("{{ .Prompt }}", turns("u Hi", "a Yes", "u So?"), "HiYesSo?"),
        ("[{{ .Prompt }}]", turns("u Hi"), "[Hi]"),
    ],
)  # fmt: skip
def test_a_conversation_as_text(template: str, messages: list[Any], text: str) -> None:
    assert compose(template, messages) == text


def test_tools_calls_and_thinking_reach_the_template() -> None:
    template = (
        "{{ .System }}|{{ range .Tools }}{{ .Function.Name }}{{ end }}|"
        "{{ .Think }}{{ .ThinkLevel }}|"
        "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ end }}"
    )
    call = {"function": {"name": "now", "arguments": {"a": 1}}}
    messages = [*turns("s One", "u Hi", "s Two"), {"role": "assistant", "tool_calls": [call]}]
    tools = [{"type": "function", "function": {"name": "now"}}]
    assert (
        compose(template, messages, tools=tools, think="high") == 'One\n\nTwo|now|truehigh|{"a":1}'
    )
    assert compose("{{ if .IsThinkSet }}y{{ end }}{{ .Messages }}", []) == "[]"


def test_a_gap_is_filled_between_prompt_and_suffix() -> None:
    template = "{{ if .Suffix }}<p>{{ .Prompt }}<s>{{ .Suffix }}<m>{{ else }}{{ .Prompt }}{{ end }}"
    assert (
        compose(template, turns("s Ignored", "u before"), suffix="after") == "<p>before<s>after<m>"
    )


def test_a_bad_template_is_said() -> None:
    with pytest.raises(InvalidRequest, match=r"^template error: line 1: "):
        compose("{{ range .Messages }}", turns("u Hi"))

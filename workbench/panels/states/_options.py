"""The options of a request as a form: what was changed, what is refused, what goes out.

Kinds, defaults, bounds and meanings come from `workbench.protocol.OPTIONS`; this adds the order
in which people want them and three keywords that stand beside the options. An untouched field
is not sent: the model's own parameter or the engine's default then counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from traitlets import Dict

from workbench.errors import InvalidRequest
from workbench.panels.states._state import State
from workbench.protocol import OPTIONS, Option, option_from_text, parse_keep_alive

COMMON = ["temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed"]
COMMON += ["num_predict", "num_ctx", "stop"]
MORE = [name for name in OPTIONS if name not in COMMON]
BESIDE = {
    "format": Option("format", "str", "text", "JSON makes the answer one valid JSON value."),
    "think": Option("think", "bool", None, "Whether the model thinks before it answers."),
    "keep_alive": Option(
        "keep_alive", "str", "5m", "How long the model stays in memory: 10m, 2h, 0, -1 for ever."
    ),
}
FIELDS = {**OPTIONS, **BESIDE}
CHOICES = {"format": ("json",), "think": ("true", "false")}
KINDS = {
    "int": "This should be a whole number.",
    "float": "This should be a number.",
    "bool": "This should be true or false.",
    "str": "This should be one of the choices.",
    "keep_alive": "Write 10m, 2h or 0; -1 keeps it for ever.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One field of the form. `text` is what it shows: empty for the default."""

    option: Option
    text: str
    default: str
    problem: str
    choices: tuple[str, ...]


class OptionsState(State):
    """`texts` holds what was typed, by name, where it differs from the default."""

    actions = frozenset({"set_text", "reset"})
    texts = Dict()
    problems = Dict()
    own = Dict()  # the model's own parameters, as texts: they count before the engine's defaults

    def rows(self, which: str) -> list[Row]:
        """The fields: `common`, `more`, or the name of a single one."""
        return [self._row(name) for name in {"common": COMMON, "more": MORE}.get(which, [which])]

    def set_text(self, name: str, value: str) -> None:
        """Take what was typed. Nonsense stays in the field with the reason beside it."""
        text = value.strip("\r\n") if name == "stop" else value.strip()
        texts = {key: kept for key, kept in self.texts.items() if key != name}
        problems = {key: kept for key, kept in self.problems.items() if key != name}
        if text and text != self._default(name):
            texts[name] = text
            try:
                _parse(name, text)
            except InvalidRequest:
                problems[name] = KINDS.get(name) or KINDS[FIELDS[name].kind]
        self.texts, self.problems = texts, problems

    def reset(self, name: str = "") -> None:
        """One field, or all of them, back to the default."""
        for each in [name] if name else list(self.texts):
            self.set_text(each, "")

    def request(self) -> dict[str, Any]:
        """The keywords that go beside the prompt: options, format, think, keep_alive.

        Raises InvalidRequest while a field holds nonsense.
        """
        if self.problems:
            name, reason = next(iter(self.problems.items()))
            raise InvalidRequest(f"The option {name} cannot be used. {reason}")
        values = {name: _parse(name, text) for name, text in self.texts.items()}
        options = {name: value for name, value in values.items() if name in OPTIONS}
        beside = {name: value for name, value in values.items() if name in BESIDE}
        return {**({"options": options} if options else {}), **beside}

    def _row(self, name: str) -> Row:
        option = FIELDS[name]
        choices = CHOICES.get(name) or option.choices
        choices = choices or (("true", "false") if option.kind == "bool" else ())
        text, problem = self.texts.get(name, ""), self.problems.get(name, "")
        return Row(option, text, self._default(name), problem, choices)

    def _default(self, name: str) -> str:
        """What counts when the field is empty, as the field's hint."""
        option = FIELDS[name]
        if name in self.own:
            return str(self.own[name])
        if option.default is None:
            return "none" if option.kind == "list" else "auto"
        return str(option.default).lower() if option.kind == "bool" else str(option.default)


def _parse(name: str, text: str) -> Any:
    """The value to send. Raises InvalidRequest."""
    if name == "think":
        return text == "true"
    if name == "keep_alive":
        number = text.lstrip("-").replace(".", "", 1).isdigit()
        value = float(text) if number else text
        parse_keep_alive(value)
        return value
    if name in BESIDE:
        return text
    if OPTIONS[name].kind == "list":
        return [line.replace("\\n", "\n").replace("\\t", "\t") for line in text.splitlines()]
    return option_from_text(name, text)


def own_parameters(text: str) -> dict[str, str]:
    """The `parameters` of `show`, one a line, as texts of the form's fields."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if name in OPTIONS and value:
            found[name] = f"{found[name]}\n{value}" if name in found else value
    return found

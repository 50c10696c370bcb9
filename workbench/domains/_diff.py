"""Two Modelfiles side by side, instruction by instruction."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.protocol import Modelfile, parse_modelfile

_ONCE = ("template", "system", "requires", "renderer", "parser", "draft")


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction in both; "" where a Modelfile has none."""

    what: str  # "FROM", "PARAMETER temperature", "MESSAGE 1 user" …
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def diff(before: str, after: str) -> list[Row]:
    """The instructions of two texts, equal ones too, in the order of the first and then the second.

    Comments, the order of the lines and how values are quoted make no difference.
    Raises ModelfileError for a text that cannot be read.
    """
    old, new = (_said(parse_modelfile(text)) for text in (before, after))
    return [Row(what, old.get(what, ""), new.get(what, "")) for what in {**old, **new}]


def _said(modelfile: Modelfile) -> dict[str, str]:
    said = {"FROM": "\n".join(modelfile.from_), "ADAPTER": "\n".join(modelfile.adapters)}
    for name, value in sorted(modelfile.parameters.items()):
        several = isinstance(value, list | tuple)
        said[f"PARAMETER {name}"] = "\n".join(map(str, value)) if several else _plain(value)
    said |= {keyword.upper(): getattr(modelfile, keyword) for keyword in _ONCE}
    for number, turn in enumerate(modelfile.messages, 1):
        said[f"MESSAGE {number} {turn.role}"] = turn.content
    said["LICENSE"] = "\n\n".join(modelfile.license)
    return {what: value for what, value in said.items() if value}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Chat templates: of a Hugging Face folder, as Jinja text, of a model of the engine, or ChatML.

Jinja is run by Transformers' own function, so the text is what its tokenizers write. A template
is somebody's program: it runs in Jinja's sandbox, where it reaches no file and no network, but
nothing stops one that computes for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError
from workbench.examples._mask import Span, Turn, end_of_turn

if TYPE_CHECKING:
    from workbench.engines import Engine

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LARGEST = 64 << 20  # bytes of a JSON file beside a tokenizer
_LONGEST = 1 << 20  # characters of a template
_NEXT = "\ue0000\ue001"  # stands for a question that follows
_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
_GAPS = (  # before the prefix, before the suffix, before the middle
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
)
_Gap = tuple[str, str, str]


@dataclass(frozen=True)
class Template:
    """How a model's conversations are written; this one by Jinja.

    `end` is the token that ends a text, "" where it is not known; `gap` the tokens before prefix,
    suffix and middle, None where the model has none.
    """

    name: str
    text: str = CHATML
    end: str = "<|im_end|>"
    gap: _Gap | None = None
    notes: tuple[str, ...] = ()
    special: tuple[tuple[str, str], ...] = ()  # bos_token and the like, by name

    def write(self, turns: Sequence[Turn], tools: Sequence[Any], asked: bool = False) -> str:
        """The turns; `asked` goes on to where the answer begins. Raises DataError."""
        return self.marked(turns, tools, asked)[0]

    def marked(
        self, turns: Sequence[Turn], tools: Sequence[Any], asked: bool = False
    ) -> tuple[str, list[Span] | None]:
        """The same with what the template itself marks as learnt; None where it marks nothing."""
        from transformers.utils.chat_template_utils import render_jinja_template

        marks = bool(_MARKS.search(self.text))
        try:
            texts, spans = render_jinja_template(
                [list(turns)], tools=list(tools) or None, chat_template=self.text,
                add_generation_prompt=asked, return_assistant_tokens_mask=marks,
                **dict(self.special),
            )  # fmt: skip
        except Exception as error:  # whatever the template does
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise DataError(
                f"The chat template of {self.name} cannot write this conversation: {why}. Change "
                "the roles or their order, or choose another template."
            ) from None
        return texts[0], [(start, end) for start, end in spans[0]] if marks else None


@dataclass(frozen=True)
class EngineTemplate(Template):
    """The template of a model of the engine, which writes a last answer without its end."""

    engine: Engine | None = None

    def marked(
        self, turns: Sequence[Turn], tools: Sequence[Any], asked: bool = False
    ) -> tuple[str, list[Span] | None]:
        between, end = self._border
        if asked or not turns or turns[-1]["role"] != "assistant" or not end:
            return self._ask(turns, tools), None
        text = self._ask([*turns, {"role": "user", "content": _NEXT}], tools).rpartition(_NEXT)[0]
        ended = text.endswith(between)
        return (text.removesuffix(between) if ended else self._ask(turns, tools)) + end, None

    @cached_property
    def _border(self) -> tuple[str, str]:
        return end_of_turn(lambda turns, asked: self._ask(turns, ()))

    def _ask(self, turns: Sequence[Turn], tools: Sequence[Any]) -> str:
        assert self.engine is not None
        return self.engine.render(self.name, turns, tools=list(tools) or None)


def template_of(model: str | Path = "", engine: Engine | None = None) -> Template:
    """The template of a Hugging Face folder, of a model of the engine, or ChatML for "".

    A text with Jinja's marks is a template itself. With an engine a name is that of its model, a
    Path always a path. Raises DataError where there is none, EngineError.
    """
    if not model:
        return Template("ChatML", notes=("No model was named: this is ChatML.",))
    if isinstance(model, str) and ("{{" in model or "{%" in model):
        return _checked(Template("this text", model))
    if isinstance(model, str) and engine is not None:
        return _of_engine(model, engine)
    path = Path(model).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _checked(Template(path.name, _read(path)))
    raise DataError(
        f"There is no folder or file {str(model)!r}. Choose a model's folder from Hugging Face, "
        "a file with a chat template, or a model of the engine."
    )


def _of_engine(model: str, engine: Engine) -> EngineTemplate:
    facts = engine.show(model, verbose=True).model_info
    tokens = facts.get("tokenizer.ggml.tokens")

    def token(name: str) -> str:
        number = facts.get(f"tokenizer.ggml.{name}_token_id")
        known = isinstance(tokens, list) and isinstance(number, int) and 0 <= number < len(tokens)
        return str(tokens[number]) if known and tokens else ""

    gap = (token("fim_pre"), token("fim_suf"), token("fim_mid"))
    return EngineTemplate(model, "", token("eos"), gap if all(gap) else None, engine=engine)


def _of_folder(path: Path) -> Template:
    facts = _json(path / "tokenizer_config.json")
    text = facts.get("chat_template")
    if isinstance(text, list):  # several by name
        text = next((one["template"] for one in text if one.get("name") == "default"), None)
    if (path / "chat_template.jinja").is_file():
        text = _read(path / "chat_template.jinja")
    text = text if isinstance(text, str) else ""
    notes = () if text else ("This model has no chat template: this is ChatML.",)
    special = {k: _token(v) for k, v in facts.items() if k.endswith("_token") and _token(v)}
    added = facts.get("added_tokens_decoder") or {}  # by id, or else a list in the other file
    rows = [*added.values(), *(_json(path / "tokenizer.json").get("added_tokens") or ())]
    known = {_token(one) for one in rows}
    gap = next((gap for gap in _GAPS if known.issuperset(gap)), None)
    return _checked(
        Template(path.name, text or CHATML, special.get("eos_token", ""), gap, notes,
                 tuple(sorted(special.items())))
    )  # fmt: skip


def _checked(template: Template) -> Template:
    if len(template.text) > _LONGEST:
        raise DataError(
            f"The chat template of {template.name} is longer than a million characters."
        )
    note = "This template writes the day's date: tomorrow the text is another one."
    dated = (note,) if "strftime_now" in template.text else ()
    return replace(template, notes=template.notes + dated)


def _token(value: Any) -> str:
    """A token of tokenizer_config.json: a text, or an object with one."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path)) if path.is_file() else {}
    except (ValueError, RecursionError):
        raise DataError("This is not JSON. Copy the model's files again.", str(path)) from None
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        raise DataError("This file is larger than 64 MB and is not read.", str(path))
    return path.read_text("utf-8", "replace")

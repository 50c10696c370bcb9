"""A Go template that writes what a model's Jinja template writes, for engines that know Go only.

An Ollama knows the chat templates of published models; another one it passes over, and the model
gets bare prompts. Most templates put fixed text around each role's content, so that text is found
by rendering placeholders, and what was found is proved by rendering real conversations both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from os.path import commonprefix  # of texts, letter by letter
from pathlib import Path
from typing import Any

from workbench.errors import InvalidRequest
from workbench.export._words import CHATS, load_tokenizer
from workbench.protocol import compose

_GAPS = (  # tokens before what is before a gap, before what is behind it, before what fills it
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)
_SYSTEM, _USER, _ANSWER, _NEXT = (f"\ue000{number}\ue001" for number in range(4))


def go_template(folder: Path) -> str:
    """The Go template for the tokenizer in `folder`; "" where none writes the same.

    Raises TrainingError without a tokenizer.
    """
    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        return ""
    try:
        found = _template(_Writer(tokenizer))
        for turns in (*CHATS, (*CHATS[1], CHATS[2][1], *CHATS[2], CHATS[2][1], *CHATS[0])):
            plain = [{**turn, "content": str(turn["content"]).strip()} for turn in turns]
            if compose(found, plain) != _Writer(tokenizer).write(*plain):
                return ""
    except (ValueError, InvalidRequest):
        return ""
    return found


def gap_template(folder: Path) -> str:
    """The same with the model's tokens for gaps where a request has a suffix; "" where the
    tokenizer has none, or no Go template is found. Raises TrainingError without a tokenizer."""
    known = load_tokenizer(folder).get_vocab()
    tokens = next((one for one in _GAPS if all(token in known for token in one)), None)
    chat = go_template(folder) if tokens else ""
    if tokens is None or not chat:
        return ""
    before, behind, fill = tokens
    gap = f"{before}{{{{ .Prompt }}}}{behind}{{{{ .Suffix }}}}{fill}"
    return f"{{{{ if .Suffix }}}}{gap}{{{{ else }}}}{chat}{{{{ end }}}}"


def stop_of(folder: Path) -> list[str]:
    """The special token that ends a turn, where it is another one than that which ends a text:
    an engine knows only this one by itself. Raises TrainingError without a tokenizer."""
    tokenizer = load_tokenizer(folder)
    try:
        after = _Writer(tokenizer).parts("uan")[2] if tokenizer.chat_template else ""
    except ValueError:
        return []
    special = [str(one) for one in tokenizer.added_tokens_decoder.values() if one.special]
    ends = [one for one in special if after.lstrip().startswith(one)]
    return [one for one in ends if one != tokenizer.eos_token]


class _Writer:
    """The Jinja template, which may refuse anything."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def write(self, *turns: Mapping[str, Any]) -> str:
        """The turns up to where the answer begins. Raises ValueError."""
        try:
            text: str = self._tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # whatever a template does
            raise ValueError(str(error)) from error
        return text.removeprefix(self._tokenizer.bos_token or "")  # engines put it there

    def parts(self, roles: str) -> list[str]:
        """What is written around the placeholders of turns: s(ystem), u(ser), a(nswer), n(ext)."""
        known = {"s": ("system", _SYSTEM), "u": ("user", _USER), "a": ("assistant", _ANSWER)}
        known["n"] = ("user", _NEXT)
        turns = [{"role": known[one][0], "content": known[one][1]} for one in roles]
        text = self.write(*turns)
        found = []
        for turn in turns:
            before, mark, text = text.partition(turn["content"])
            if not mark:
                raise ValueError("a content is left out or changed")
            found.append(before)
        return [*found, text]


def _template(writer: _Writer) -> str:
    """Raises ValueError where a part is not found in its place."""
    first, end = writer.parts("u")
    _, middle, back, _ = writer.parts("uan")
    before_user = _shared_end(first, back)
    after_answer = back.removesuffix(before_user)
    after_user = commonprefix([end, middle, after_answer])  # noqa: RUF071
    before_system, between, _ = writer.parts("su")
    if not between.endswith(before_user):
        raise ValueError("a question is written otherwise after a system's text")
    parts = {
        "head": first.removesuffix(before_user), "system": before_system,
        "after_system": between.removesuffix(before_user), "user": before_user,
        "after_user": after_user, "answer": middle.removeprefix(after_user),
        "after_answer": after_answer, "end": end.removeprefix(after_user),
    }  # fmt: skip
    if any("{{" in part or "}}" in part for part in parts.values()):
        raise ValueError("the text has Go's own marks")
    head = f'{{{{ if ne (index .Messages 0).Role "system" }}}}{parts["head"]}{{{{ end }}}}'
    return (
        f"{head if parts['head'] else ''}{{{{ range .Messages }}}}"
        f'{{{{ if eq .Role "system" }}}}{parts["system"]}{{{{ .Content }}}}{parts["after_system"]}'
        f'{{{{ else if eq .Role "user" }}}}{parts["user"]}{{{{ .Content }}}}{parts["after_user"]}'
        f'{{{{ else if eq .Role "assistant" }}}}{parts["answer"]}{{{{ .Content }}}}'
        f"{parts['after_answer']}{{{{ end }}}}{{{{ end }}}}{parts['end']}"
    )


def _shared_end(one: str, other: str) -> str:
    return commonprefix([one[::-1], other[::-1]])[::-1]  # noqa: RUF071

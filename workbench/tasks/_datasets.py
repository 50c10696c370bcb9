"""Rows of common datasets, recognised by their keys: each gets a prompt and a target.

    prompt / completion, chosen, response, answer     question / answer
    messages, conversations (role/content, from/value)  instruction [+ input] / output, response
    input / output, target      text / label      document, article / summary
    prefix / middle             text alone

A row that has a prompt and a target of its own is left as it is. Of a conversation the last
answer is the target; what came before is the prompt: one user's turn as it stands (behind the
system message, if there is one), several as a transcript with names. `messages` then holds the
turns before the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PAIRS = (
    ("prompt", ("completion", "chosen", "response", "answer")),
    ("question", ("answer",)),
    ("instruction", ("output", "response")),
    ("input", ("output", "target")),
    ("text", ("label",)),
    ("prefix", ("middle",)),
    ("document", ("summary",)),
    ("article", ("summary", "highlights")),
)
_TURNS = ("messages", "conversations")
_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant"}


def recognised(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with `prompt` and `target` added where its keys tell them. ValueError for rubbish."""
    fields = dict(row)
    for key in _TURNS:
        if isinstance(row.get(key), list) and "prompt" not in row:
            return fields | _conversation(_turns(row[key]), row.get("target"))
    for asked, answers in _PAIRS:
        answer = next((key for key in answers if key in row), None)
        if asked in row and answer is not None and "target" not in row:
            fields |= {"prompt": row[asked], "target": row[answer]}
            if asked == "instruction" and row.get("input"):
                fields["prompt"] = f"{row[asked]}\n\n{row['input']}"
            break
    else:
        for asked in ("question", "instruction", "input", "document", "article"):
            if asked in row:
                fields.setdefault("prompt", row[asked])
        if "prompt" not in fields and isinstance(row.get("text"), str) and "target" not in row:
            fields |= {"prompt": "", "target": row["text"]}
    if isinstance(fields.get("target"), list) and _are_turns(fields["target"]):
        fields["target"] = _turns(fields["target"])[-1]["content"]
    if isinstance(fields.get("prompt"), list) and _are_turns(fields["prompt"]):
        fields |= _conversation(_turns(fields["prompt"]), fields.get("target", ""))
    return fields


def _are_turns(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(one, Mapping) and "content" in one for one in value)


def _turns(value: Sequence[Any]) -> list[dict[str, str]]:
    turns = []
    for one in value:
        if not isinstance(one, Mapping):
            raise ValueError("A message must be an object with role and content.")
        role, said = one.get("role", one.get("from")), one.get("content", one.get("value"))
        if isinstance(said, list):
            said = "".join(str(part.get("text", "")) for part in said if isinstance(part, Mapping))
        if not isinstance(role, str) or not isinstance(said, str):
            raise ValueError("A message must have a role and a content.")
        turns.append({"role": _ROLES.get(role, role), "content": said})
    return turns


def _conversation(turns: list[dict[str, str]], target: Any) -> dict[str, Any]:
    if target is None and turns and turns[-1]["role"] == "assistant":
        target = turns[-1]["content"]
        turns = turns[:-1]
    if not turns:
        raise ValueError("A conversation must have a message before the answer.")
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    spoken = [turn for turn in turns if turn["role"] != "system"]
    lines = [turn["content"] for turn in spoken]
    if len(spoken) > 1:
        lines = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in spoken]
    return {"prompt": "\n\n".join([*system, *lines]), "target": target, "messages": turns}

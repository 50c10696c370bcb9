"""What a model that was just made says to its first questions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError

if TYPE_CHECKING:
    from workbench.engines import Engine


def code_of(answer: str) -> str:
    """The first fenced block of an answer, which may be cut off; else all of the answer."""
    fenced = re.search(r"```(?:python)?[^\n]*\n(.*?)(?:```|\Z)", answer, re.DOTALL)
    return (fenced.group(1) if fenced else answer).strip("\n")


def is_python(code: str) -> bool:
    """Whether `code` is a Python program with at least one function in it."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in tree.body)


def first_answers(engine: Engine, name: str, prompts: Sequence[str]) -> list[dict[str, Any]]:
    """What the model says to `prompts` (with a fixed seed). Raises TrainingError when mute."""
    answers = []
    for prompt in prompts:
        reply = engine.generate(name, prompt, options={"seed": 0})
        answers.append(
            {
                "prompt": prompt,
                "answer": reply.text,
                "is_python": is_python(code_of(reply.text)),
                "ended_itself": reply.done_reason == "stop",
            }
        )
    if not any(answer["answer"] for answer in answers):
        raise TrainingError(
            f"{name} is in the engine and answers nothing. Train it again with more minutes, or "
            "look at the engine's log."
        )
    return answers

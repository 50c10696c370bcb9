"""The page about Modelfiles is true: its examples parse, its options and functions exist."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.protocol import OPTIONS, compose, parse_modelfile

PAGE = (Path(__file__).parents[2] / "docs" / "modelfile.md").read_text("utf-8")


def blocks() -> list[str]:
    return re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_example_is_a_modelfile() -> None:
    [example] = [block for block in blocks() if "PARAMETER" in block]
    read = parse_modelfile(example)
    assert read.parameters == {"temperature": 0.7, "num_ctx": 2048, "stop": ["<|im_end|>"]}
    assert [turn.role for turn in read.messages] == ["user", "assistant"]


def test_the_template_renders() -> None:
    [example] = [block for block in blocks() if "TEMPLATE" in block]
    template = parse_modelfile("FROM x\n" + example).template
    text = compose(template, [{"role": "user", "content": "Hi"}])
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_every_option_is_there_with_its_default() -> None:
    table = PAGE[PAGE.index("## Parameters") : PAGE.index("## Templates")]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    told: dict[str, str] = {}
    for names, defaults in rows:
        listed = re.findall(r"`(\w+)`", names)
        values = defaults.strip().replace("−", "-").split(", ")
        told |= dict(zip(listed, values * (len(listed) // len(values)), strict=True))
    assert told.keys() == OPTIONS.keys()
    for name, option in OPTIONS.items():
        if told[name] not in {"automatic", "none"}:
            assert float(told[name]) == option.default

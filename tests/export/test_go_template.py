"""The Go template that is found writes what the Jinja one writes, or there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from export.hf_tiny import write_tokenizer
from tiny import CHATML

from workbench.export._template import go_template, stop_of
from workbench.protocol import compose

LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}"
    "<|end_header_id|>\n\n{{ message.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DEFAULT = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    + CHATML
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
WORDS = (
    "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\n"
    "{% elif m.role == 'system' %}{{ m.content }}\n\n{% else %}A: {{ m.content }}\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}A: {% endif %}"
)
FOUND = {"chatml": CHATML, "llama3": LLAMA3, "default": DEFAULT, "zephyr": ZEPHYR, "words": WORDS}
NONE = {
    "upper case": CHATML.replace("message.content", "message.content | upper"),
    "numbered": CHATML.replace("message.role", "loop.index"),
    "no system": "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    + CHATML,
    "nothing": "",
    "Go's marks": CHATML.replace("<|im_start|>", "{% raw %}{{ x }}{% endraw %}"),
    "broken": "{% if",
}
LONG = [
    {"role": "system", "content": "Be brief."},
    *[{"role": role, "content": f"{role} {i}"} for i in (1, 2) for role in ("user", "assistant")],
    {"role": "user", "content": "The end {{ .Role }} {% x %}"},
]


@pytest.mark.parametrize("name", FOUND)
def test_the_same_text_both_ways(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_tokenizer(tmp_path, FOUND[name])
    template = go_template(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for turns in (LONG, LONG[1:], LONG[-1:]):
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert compose(template, turns) == text.removeprefix("<|bos|>")


@pytest.mark.parametrize("name", NONE)
def test_what_cannot_be_said_in_fixed_parts(name: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, NONE[name])
    assert go_template(tmp_path) == ""


def test_hostile_templates_reach_nothing(tmp_path: Path) -> None:
    attack = "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__ }}"
    write_tokenizer(tmp_path, attack + CHATML)
    assert go_template(tmp_path) == ""


def test_the_token_that_ends_a_turn(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, CHATML)
    assert stop_of(tmp_path) == [], "it ends texts too"
    write_tokenizer(tmp_path, CHATML.replace("<|im_end|>", "<|im_start|>"))
    assert stop_of(tmp_path) == ["<|im_start|>"]
    for template in (WORDS, NONE["broken"], ""):
        write_tokenizer(tmp_path, template)
        assert stop_of(tmp_path) == []

"""Templates that are wrong: not to be rendered, without the question, with unknown marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_tools import examine, verdict
from tiny import write_tiny_llama

from workbench.doctor import Check
from workbench.engines import Engine


def wrong(thorough: bool = False) -> list[Check]:
    return [item for item in examine(thorough)["template"] if item.ok is not True]


def create(engine: Engine, name: str, gguf: Path, template: str = "") -> None:
    more = {"template": template} if template else {}
    for _ in engine.create(name, files=gguf, **more):  # type: ignore[arg-type]
        pass


@pytest.fixture(scope="module")
def plain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a chat template."""
    path = tmp_path_factory.mktemp("plain") / "plain.gguf"
    return write_tiny_llama(path, chat_template=None)


def test_good_templates(live: Engine, tiny_gguf: Path, plain_gguf: Path) -> None:
    create(live, "jinja", tiny_gguf)
    create(live, "go", tiny_gguf, "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ .Response }}")
    create(live, "base", plain_gguf)
    for thorough in (False, True):
        assert verdict(examine(thorough), "template") is True


def test_a_taught_model_without_a_template(live: Engine, plain_gguf: Path) -> None:
    create(live, "tiny-instruct", plain_gguf)
    (item,) = wrong()
    assert item.ok is False and "no chat template" in item.message


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ .System }} and nothing else", "leaves out"),
        ("{{ index .Prompt 99 }}{{ .Prompt }}", "cannot be used"),
    ],
)
def test_a_go_template_that_is_wrong(
    live: Engine, plain_gguf: Path, template: str, what: str
) -> None:
    create(live, "bad", plain_gguf, template)
    (item,) = wrong()
    assert item.ok is False and what in item.message and "bad:latest" in item.message
    assert item.fix is not None and "Modelfile" in item.fix


def test_a_jinja_template_that_is_wrong_is_found_by_a_thorough_round(
    live: Engine, tmp_path: Path
) -> None:
    text = "{{ raise_exception('never') }}"
    create(live, "bad", write_tiny_llama(tmp_path / "bad.gguf", chat_template=text))
    assert verdict(examine(), "template") is True
    (item,) = wrong(thorough=True)
    assert item.ok is False and "bad:latest" in item.message


def test_marks_that_the_vocabulary_lacks(live: Engine, tiny_gguf: Path) -> None:
    create(live, "marks", tiny_gguf, "<|user|>{{ .Prompt }}<|im_end|>{{ .Response }}")
    (item,) = wrong(thorough=True)
    assert item.ok is None and "<|user|>" in item.message and "<|im_end|>" not in item.message

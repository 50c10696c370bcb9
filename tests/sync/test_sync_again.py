"""What a person is told of models that cannot be had by themselves."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import click
import pytest
from releases.release_tools import digest, member
from sync.sync_tools import installed, run

from workbench.cli._main import workbench
from workbench.engines import Engine
from workbench.releases import Member, make

TRAINED = {
    "training": "0123456789", "recipe": "finetune", "dataset": digest("data"),
    "dataset_name": "notes", "base": "one", "base_digest": digest("gone"),
    "export": {"Q8_0": "e" * 64},
    "settings": {"rank": 4, "targets": ["q_proj", "v_proj"], "max_steps": None, "packing": True,
                 "schedule": "a; rm -rf ~\n# x"},
    "dataset_recipe": {
        "kind": "split", "dataset": digest("whole"), "validation": 0.1, "test": 0.0, "seed": 0,
        "parent_recipe": {
            "kind": "clean", "rules": {"near": 0.7}, "against": [],
            "collections": [{"name": "docs", "sources": [
                {"source": "files", "address": "my docs", "digest": "x"},
                {"source": "web", "address": "https://example.org/", "digest": "x"},
            ]}],
        },
    },
}  # fmt: skip


def test_a_trained_model_says_how_to_make_it_again(clean: Engine) -> None:
    release = make("v1", [member(model="two:trained", source="trained", how=TRAINED)])
    (step,) = run(clean, release)
    assert step.outcome == "by hand" and "e" * 64 in step.words and digest("data") in step.words
    lines = [shlex.split(line) for line in step.commands]
    assert [line[:3] for line in lines] == [
        ["workbench", "data", "add"], ["workbench", "data", "crawl"],
        ["workbench", "data", "clean"], ["workbench", "data", "split"],
        ["workbench", "train", "finetune"],
    ]  # fmt: skip
    assert lines[0][3:] == ["docs", "my docs"] and "near=0.7" in lines[2]
    assert all("\n" not in line for line in step.commands)
    assert 'schedule="a; rm -rf ~\\n# x"' in lines[-1], "one word of the command line"
    assert "max_steps=null" not in lines[-1] and 'targets=["q_proj", "v_proj"]' in lines[-1]
    for line in lines:
        _parses(line[1:])


def _parses(words: list[str]) -> None:
    """Raise where the command line would not take it."""
    command: click.Command = workbench
    while isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), words.pop(0))
        assert inner is not None
        command = inner
    command.make_context("x", words)


def test_settings_of_real_trainings_can_be_typed() -> None:
    from workbench.cli._options import settings_of as typed
    from workbench.learn import settings_of
    from workbench.pretrain import base_settings
    from workbench.store import clean as plain
    from workbench.sync._again import commands_for

    for recipe, chosen in (("finetune", settings_of("lora")), ("base", base_settings(depth=2))):
        (*_, line) = commands_for({"recipe": recipe, "settings": plain(asdict(chosen))}, "m")
        words = shlex.split(line)
        given = typed([word for flag, word in pairwise(words)
                           if flag == "--set"])  # fmt: skip
        same = base_settings(**given) if recipe == "base" else settings_of(given)
        assert same == chosen


@pytest.mark.parametrize(
    "how",
    [
        {}, {"weights": "sha256:" + "a" * 64}, {"from": "../x", "from_digest": "x"},
        {"from": 3, "modelfile": 4}, {"from": "one", "from_digest": digest("x"), "modelfile": "x",
         "base_origin": {"source": "made", "how": []}},
        {"from": "one", "from_digest": digest("x"), "modelfile": "FROM one", "base_origin": "x"},
        {"recipe": 7, "settings": [], "dataset_name": "a\nrm -rf ~",
         "dataset_recipe": {"kind": "clean", "collections": "x"}},
        {"recipe": "finetune", "dataset_recipe": {"kind": "code", "kinds": 5, "collections": [
            {"name": 3, "sources": [7]}]}},
        {"study": "a; b\n# c", "trial": 1, "quantize": "Q8_0", "from": "one", "from_digest": "x"},
        {"adapters": ["sha256:x"], "modelfile": "FROM one", "from": "one", "from_digest": "x"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["unknown", "made", "tuned", "trained"])
def test_odd_documents_are_for_a_person(clean: Engine, how: dict[str, Any], source: Any) -> None:
    release = make("v1", [Member("primary", "absent", digest("absent"), source=source, how=how)])
    steps = run(clean, release)
    assert steps[-1].outcome == "by hand" and steps[-1].words and "absent" not in installed(clean)
    for line in steps[-1].commands:
        assert "\n" not in line and ";" not in line.replace("'a; b # c'", "")
        assert line.startswith(("workbench ", "# "))

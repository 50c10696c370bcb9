"""Space files, of others too: what is read, and what is refused in which words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import TuneError
from workbench.settings import home
from workbench.space import Space, find_space, spaces

GOOD = """
title: Mine
about: Two settings.
parameters:
  - {name: temperature, low: 0, high: 1, step: 0.25}
  - {name: top_k, choices: [10, 40], when: {temperature: "> 0"}}
  - {name: system, choices: ["", no, 12:30, "1"]}
"""


def write(folder: Path, text: str | bytes, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def space_of(*parameters: dict[str, Any], **more: Any) -> Space:
    return Space.of({"name": "own", "parameters": list(parameters), **more})


def test_a_file_is_a_space(tmp_path: Path) -> None:
    for path in (write(tmp_path, GOOD), str(tmp_path / "mine.yaml")):
        space = find_space(path)
        assert (space.name, space.title, space.about) == ("mine", "Mine", "Two settings.")
        assert space.names == ("temperature", "top_k", "system")
        assert space.parameter("system").choices == ("", "no", "12:30", "1")
        assert space.size() == (1 + 4 * 2) * 4
        assert space.parameter("top_k").meaning  # the engine's own words where the file has none


def test_a_file_may_begin_with_shipped_spaces(tmp_path: Path) -> None:
    text = "include: [quick]\nparameters:\n  - {name: top_k, choices: [10, 40]}\n"
    assert find_space(write(tmp_path, text)).names == (*find_space("quick").names, "top_k")
    for bad, words in [("quik", "Did you mean quick"), ("everything", "includes others itself"),
                       ("../../secret", "no space '../../secret' to include")]:  # fmt: skip
        with pytest.raises(TuneError, match=re.escape(words)):
            find_space(write(tmp_path, f"include: {bad}\n"))


def test_own_spaces_are_found_by_name_and_hide_none_that_ships() -> None:
    folder = home() / "spaces"
    folder.mkdir(parents=True)
    write(folder, GOOD)
    write(folder, GOOD.replace("Mine", "Not the real one"), "quick.yaml")
    write(folder, "parameters: 7", "broken.yml")
    assert find_space("mine").title == "Mine"
    assert [one.name for one in spaces()].count("mine") == 1
    assert find_space("quick").title == "Quick"
    with pytest.raises(TuneError, match=r"broken\.yml"):
        find_space("broken")
    with pytest.raises(TuneError, match=r"no space .mime.\. Did you mean mine"):
        find_space("mime")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "A space is a mapping"),
        ("- 1", "A space is a mapping"),
        ("parameters: []", "has no parameters"),
        ("title: x", "has no parameters"),
        ("parameters: {a: 1}", "are lists"),
        ("parameters: [temperature]", "a mapping with a name"),
        ("parameters: [{low: 1}]", "a mapping with a name"),
        ("parameter: []", "Did you mean parameters"),
        ("a: &x [1]\nb: *x", "line 2: .*aliases"),
        ("a: &x [*x]", "aliases"),
        ("title: a\n---\ntitle: b", "line [23].*a file is one space"),
        ("title: !!python/object/apply:os.system [x]", "the tag .* has no meaning"),
        ("title: !secret x", "the tag !secret has no meaning"),
        ("title: a\ntitle: b", "line 2.*the key 'title' is there twice"),
        ("? [a]\n: b", "a key must be a text"),
        ("title: [", "not YAML as it is used here"),
        ("\t- x", "not YAML"),
        ("title: \x00", "not YAML|not allowed"),
        ("[" * 50_000, "nested too deeply"),
        ("a: {b: {c: {d: {e: {f: {g: {h: {i: {j: 1}}}}}}}}}", "nested too deeply"),
        (b"\xff\xfe\xfa", "cannot be read as UTF-8"),
        ("#" * 300_000, "at most 256 KB"),
        ('title: "\\e[31mred"\nparameters: [{name: top_k, choices: [1]}]', "U\\+001B"),
        ('title: "\\u202Eevil"\nparameters: [{name: top_k, choices: [1]}]', "U\\+202E"),
        ("title: " + "x" * 3000, "at most 2,000 characters"),
        ("name: ../../etc\nparameters: [{name: top_k, choices: [1]}]", "name has letters"),
        ("rules: 5\nparameters: [{name: top_k, choices: [1]}]", "are lists"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused_with_file_and_reason(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(TuneError, match=f"(?s)mine.yaml.*({words})") as caught:
        find_space(write(tmp_path, text))
    assert len(str(caught.value)) < 700


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / "pipe.yaml", Path("/dev/zero"),
                 Path("x" * 5000 + ".yaml"), "~nobody-here/x.yaml", "a\0b.yaml"):  # fmt: skip
        with pytest.raises(TuneError, match=r"no such file|cannot be read"):
            find_space(path)
    for name in ("", "x" * 10_000, "..", "general\n"):
        with pytest.raises(TuneError, match="There is no space") as caught:
            find_space(name)
        assert len(str(caught.value)) < 800


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "temprature", "low": 0, "high": 1}, "no setting 'temprature'.* temperature"),
        ({"name": "seed", "low": 0, "high": 9}, "a lucky one makes nothing better"),
        ({"name": "stop", "choices": ["a"]}, "Modelfile"),
        ({"name": "temperature"}, "needs low and high, or choices"),
        ({"name": "temperature", "low": 1, "high": 0}, "from 1 to 0: low and high are swapped"),
        ({"name": "temperature", "low": 0, "high": 1e300}, "can be from 0 to 2, not 1e"),
        ({"name": "temperature", "low": NAN, "high": 1}, "is a number, not nan"),
        ({"name": "temperature", "low": 0, "high": INF}, "is a number, not inf"),
        ({"name": "temperature", "low": 0, "high": 10**400}, "is a number, not 1000"),
        ({"name": "temperature", "low": 0, "high": 10**9999}, "is a number, not a huge number"),
        ({"name": "temperature", "low": "0", "high": 1}, "is a number, not '0'"),
        ({"name": "temperature", "low": False, "high": 1}, "is a number, not False"),
        ({"name": "temperature", "low": 0, "high": 1, "step": 0}, "a number above 0, not 0"),
        ({"name": "temperature", "low": 0, "high": 1, "step": NAN}, "a number above 0, not nan"),
        ({"name": "temperature", "low": 0, "high": 1, "step": 1e-9}, "more than a million steps"),
        ({"name": "temperature", "low": 0, "high": 1, "step": 0.3}, "Take 0.9 or 1.2"),
        ({"name": "temperature", "low": 0, "high": 1, "log": True}, "log needs a low above 0"),
        ({"name": "temperature", "low": 1, "high": 2, "log": "yes"}, "log is true or false"),
        ({"name": "top_k", "low": 1, "high": 9, "step": 2, "log": True}, "and no step"),
        ({"name": "top_k", "low": 1, "high": 9, "step": 0.5}, "a whole number above 0, not 0.5"),
        ({"name": "top_k", "low": 1, "high": 9, "step": 10**300}, "does not reach its high of 9"),
        ({"name": "top_k", "low": 1.5, "high": 9}, "is a whole number, not 1.5"),
        ({"name": "top_k", "choices": []}, "needs low and high, or choices"),
        ({"name": "top_k", "choices": [1, 1.0]}, "the choice 1 twice"),
        ({"name": "top_k", "choices": [1, None]}, "is a number, not None"),
        ({"name": "top_k", "choices": list(range(200)) * 2}, "needs 1 to 256 choices"),
        ({"name": "top_k", "choices": "1, 2"}, "choices is a list of values"),
        ({"name": "top_k", "choices": [1], "low": 0}, "leave out low"),
        ({"name": "top_k", "choices": [1], "default": "x"}, "is a number, not 'x'"),
        ({"name": "top_k", "choices": [1], "kind": "int"}, "its kind is choice"),
        ({"name": "top_k", "choices": [1], "part": "loading"}, "belongs to sampling"),
        ({"name": "top_k", "choices": [1], "weight": 2}, "'weight' means nothing here"),
        ({"name": "top_k", "choices": [1], "when": ["x"]}, "when names other parameters"),
        ({"name": "top_k", "choices": [1], "when": {"top_p": [[]]}}, "a number, a text, true"),
        ({"name": "top_k", "choices": [1], "when": {"top_p": []}}, "needs 1 to 64 values"),
        ({"name": "top_k", "choices": [1], "when": {"top_p": 1}}, "'top_p', which is not in"),
        ({"name": "top_k", "choices": [1], "meaning": 5}, "meaning of top_k is a text"),
        ({"name": "kv_cache_type", "choices": ["q8"]}, "cannot be 'q8'. Did you mean q8_0"),
        ({"name": "kv_cache_type", "low": 0, "high": 1}, "Give choices"),
        ({"name": "flash_attention", "choices": ["yes"]}, "true or false, not 'yes'"),
        ({"name": "num_ctx", "low": -5, "high": 4096}, "can be from 4 to 262144, not -5"),
        ({"name": "system", "choices": ["x" * 30_000]}, "at most 20,000 characters"),
        ({"name": "system", "choices": ["\ud800"]}, "U\\+D800"),
        ({"name": "quantisation", "choices": ["Q1"]}, "cannot be 'Q1'"),
    ],
)
def test_what_is_no_parameter_is_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(TuneError, match=words) as caught:
        space_of(given)
    assert len(str(caught.value)) < 900


TEMPERATURE = {"name": "temperature", "low": 0, "high": 1, "step": 0.5}
CONTEXT = {"name": "num_ctx", "choices": [128, 256]}
BATCH = {"name": "num_batch", "choices": [64, 512]}


@pytest.mark.parametrize(
    ("parameters", "rules", "words"),
    [
        ([TEMPERATURE, TEMPERATURE], [], "The parameter temperature is there twice"),
        ([TEMPERATURE, {"name": "top_k", "choices": [1], "when": {"temperature": 3}}], [],
         "only when temperature is 3, which it never is"),
        ([TEMPERATURE, {"name": "top_k", "choices": [1], "when": {"temperature": "> 1"}}], [],
         "which it never is"),
        ([{"name": "flash_attention", "when": {"top_k": 1}},
          {"name": "top_k", "choices": [1], "when": {"flash_attention": True}}], [],
         "in a circle: flash_attention, top_k"),
        ([{"name": "top_k", "choices": [1], "when": {"top_k": 1}}], [], "in a circle: top_k"),
        ([CONTEXT, BATCH], ["num_batch < num_ctx"], "A rule reads like"),
        ([CONTEXT, BATCH], ["__import__('os')"], "A rule reads like"),
        ([CONTEXT, BATCH], [5], "A rule reads like"),
        ([CONTEXT, BATCH], ["num_batch <= 0 * num_ctx"], "A rule reads like"),
        ([CONTEXT, BATCH], ["num_bach <= num_ctx"], "'num_bach'.*Did you mean num_batch"),
        ([CONTEXT, BATCH], ["num_batch <= num_ctx", "num_ctx <= num_batch"], "cannot always be"),
        ([CONTEXT, {**CONTEXT, "name": "num_batch"}],
         ["num_batch <= num_ctx", "num_ctx <= num_batch"], "The rules go in a circle"),
        ([CONTEXT, {"name": "num_batch", "choices": [200, 512]}], ["num_batch <= num_ctx"],
         "num_batch is at least 200, and num_ctx goes down to 128"),
        ([CONTEXT, {"name": "system", "choices": ["a"]}], ["system <= num_ctx"], "no numbers"),
        ([CONTEXT, BATCH, {"name": "top_k", "choices": [1], "when": {"num_batch": 64}}],
         ["num_batch <= num_ctx"], "Write that as when"),
    ],
)  # fmt: skip
def test_what_does_not_hang_together_is_refused(
    parameters: list[dict[str, Any]], rules: list[Any], words: str
) -> None:
    with pytest.raises(TuneError, match=words):
        space_of(*parameters, rules=rules)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"temprature": 1}, "has no 'temprature'. Did you mean temperature"),
        ({"temperature": 0.3}, "in steps of 0.5. Take 0.5 instead of 0.3"),
        ({"temperature": 1.5}, "goes from 0 to 1 here, not to 1.5"),
        ({"temperature": float("nan")}, "is a number, not nan"),
        ({"temperature": [1]}, r"is a number, not \[1\]"),
        ({"num_ctx": 512}, "num_ctx is one of 128, 256 here, not 512"),
        ({"num_ctx": 128, "num_batch": 512}, "num_batch is 512 and num_ctx 128, but it must be"),
    ],
)
def test_points_of_others_are_checked(values: dict[str, Any], words: str) -> None:
    space = space_of(TEMPERATURE, CONTEXT, BATCH, rules=["num_batch <= num_ctx"])
    with pytest.raises(TuneError, match=words):
        space.checked(values)
    assert space.checked({"temperature": 1, "num_ctx": None}) == {"temperature": 1.0}


def test_a_rule_reads_both_ways_and_lowers() -> None:
    for rule in ("num_batch <= num_ctx", "num_ctx >= num_batch", "num_batch <= 1 * num_ctx"):
        space = space_of(CONTEXT, {**BATCH, "default": 512}, rules=[rule])
        assert space.checked({"num_ctx": 128}) == {"num_ctx": 128, "num_batch": 64}
        assert space.size() == 2
    chain = space_of(
        {"name": "alpha", "low": 1, "high": 64, "step": 1}, {"name": "rank", "low": 4, "high": 64},
        rules=["alpha <= 0.5 * rank", "rank >= 4 * alpha"],
    )  # fmt: skip
    assert [str(rule) for rule in chain.rules] == ["rank >= 2 * alpha", "rank >= 4 * alpha"]


def test_a_huge_grid_is_walked_lazily() -> None:
    space = space_of(*({"name": name, "low": 0, "high": 1, "step": 0.00001}
                       for name in ("temperature", "top_p", "min_p", "typical_p")))  # fmt: skip
    assert space.size() == 100_001**4
    walk = space.grid(10**12)
    assert len({str(next(walk)) for _ in range(50)}) == 50
    for most in (0, -1, 2.5, True):
        with pytest.raises(TuneError, match="at least one point"):
            space.grid(most)  # type: ignore[arg-type]


def test_values_of_steps_are_as_a_person_writes_them() -> None:
    signed = space_of({"name": "presence_penalty", "low": -1, "high": 1, "step": 0.1})
    values = [signed.parameters[0].at(number) for number in range(21)]
    assert values == [round(-1 + number / 10, 1) for number in range(21)]
    tiny = space_of({"name": "learning_rate", "low": 1.23456789e-9, "high": 5.23456789e-9,
                     "step": 1e-9})  # fmt: skip
    rate = tiny.parameters[0]
    assert (rate.at(0), rate.at(4)) == (1.23456789e-9, 5.23456789e-9)
    assert all(tiny.checked(point) == point for point in tiny.grid(9))


def test_only_and_fixed() -> None:
    space = find_space("general")
    alone = space.only("temperature", "top_p")
    assert alone.names == ("temperature", "top_p")
    assert space.only("top_p").parameter("top_p").when == {}  # the default temperature is above 0
    greedy = space.fixed(temperature=0, num_ctx=2048)
    assert greedy.names == ("temperature", "repeat_penalty", "num_ctx")
    assert greedy.default() == {"temperature": 0, "repeat_penalty": 1, "num_ctx": 2048}
    with pytest.raises(TuneError, match="Keep that too"):
        find_space("speed").only("kv_cache_type")
    with pytest.raises(TuneError, match="Did you mean temperature"):
        space.only("temprature")
    with pytest.raises(TuneError, match="has no parameters"):
        space.only()
    with pytest.raises(TuneError, match="can be from 0 to 2"):
        space.fixed(temperature=5)
    with pytest.raises(TuneError, match="no setting 'colour'"):
        space.fixed(colour=5)

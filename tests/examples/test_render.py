"""What a model reads and what of it is learnt, by templates of several families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples import chat_templates as families
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines import Engine
from workbench.errors import DataError
from workbench.examples import Example, Rendered, Template, render, template_of

SPECIAL = (("bos_token", "<s>"), ("eos_token", "</s>"))
DIALOGUE = ["What is it?", "It is a tree.", "Sure?", "Yes, quite."]


def talk(*contents: str, system: str = "", **about: Any) -> Example:
    roles = ["user", "assistant"] * len(contents)
    turns = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)]
    before = [{"role": "system", "content": system}] if system else []
    return Example("conversation", {"messages": before + turns}, about)


def of(text: str) -> Template:
    return Template("test", text, "</s>", special=SPECIAL)


def learnt(rendered: Rendered) -> list[str]:
    assert "".join(text for text, _ in rendered.parts()) == rendered.text
    return [text for text, taught in rendered.parts() if taught]


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        (families.CHATML, ["It is a tree.<|im_end|>", "Yes, quite.<|im_end|>"]),
        (families.HEADERS, ["It is a tree.<|eot|>", "Yes, quite.<|eot|>"]),
        (families.MODEL_TURNS, ["It is a tree.<end>", "Yes, quite.<end>"]),
        (families.BRACKETS, [" It is a tree.</s>", " Yes, quite.</s>"]),
        (families.MARKED, ["It is a tree.<end>", "Yes, quite.<end>"]),
    ],
    ids=["chatml", "headers", "model-turns", "brackets", "marked"],
)
def test_answers_and_their_ends_are_learnt(template: str, answers: list[str]) -> None:
    found = render(talk(*DIALOGUE), of(template))
    assert learnt(found) == answers
    assert not found.notes
    assert found.learnt == sum(map(len, answers))
    assert all(question in found.text for question in DIALOGUE[::2])


def test_the_system_is_shown_and_not_learnt() -> None:
    for template in (families.CHATML, families.HEADERS, families.BRACKETS):
        found = render(talk("Q", "A", system="Be kind."), of(template))
        assert "Be kind." in found.text
        assert [text.strip()[0] for text in learnt(found)] == ["A"]


def test_thoughts_that_a_template_leaves_out_later() -> None:
    talked = talk("One?", "<think>\nhm\n</think>\n\nFirst.", "Two?", "<think>\nho</think>\n\nNext.")
    found = render(talked, of(families.THINKING))
    assert learnt(found) == ["First.<|im_end|>", "ho</think>\n\nNext.<|im_end|>"]
    assert any("turn 2 differently" in note for note in found.notes)


def test_a_beginning_that_answers_lack_is_told() -> None:
    found = render(talk("Q", "<thanks"), of(families.THINKING))
    assert learnt(found) == ["<thanks<|im_end|>"]
    assert any("'<think>'" in note for note in found.notes)
    assert not render(talk("Q", "<think>\nx</think>A"), of(families.THINKING)).notes


def test_calls_of_tools_are_learnt_and_their_answers_are_not() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    turns = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "content": "<think>\n</think>Two."},
    ]
    found = render(Example("conversation", {"messages": turns}), of(families.THINKING))
    assert learnt(found) == ['<call>add {"a": 1}</call><|im_end|>', "</think>Two.<|im_end|>"]


def test_tools_are_given_to_the_template() -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    found = render(talk("Q", "A", tools=[tool]), of(families.TOOLS))
    assert found.text.startswith("<tools>{") and '"add"' in found.text
    assert learnt(found) == ["A<|im_end|>"]


def test_no_end_and_no_answer_are_told() -> None:
    endless = render(talk("Q", "A"), of(families.ENDLESS))
    assert learnt(endless) == ["A\n"] and "does not learn to stop" in endless.notes[0]
    silent = render(talk("Q"), of(families.CHATML))
    assert not silent.spans and "Nothing is learnt" in silent.notes[0]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (families.MODEL_TURNS, "no system here"),
        ("{{ messages.__class__.__mro__ }}{{ nothing.at.all }}", "unsafe"),
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ range(10 ** 9) | list }}", "Range too big"),
    ],
)
def test_a_template_that_cannot(template: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        render(talk("Q", "A", system="S"), of(template))


def test_a_template_reaches_no_file() -> None:
    hostile = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
    with pytest.raises(DataError, match="cannot write this conversation"):
        render(talk("Q", "A"), of(hostile))


TEXTS = st.text("ab <|im_end>_start\nuserassistant[/INST]</s>\ue0000\ue001", max_size=40)
ALL = [getattr(families, name) for name in dir(families) if name.isupper()]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), st.sampled_from(ALL))
def test_a_question_is_never_learnt(pairs: list[tuple[str, str]], template: str) -> None:
    """Questions carry marks that no answer has: no span may hold one, whatever is in them."""
    turns: list[str] = []
    for question, answer in pairs:
        turns += [f"\u2020{question}\u2021", answer]
    found = render(talk(*turns), of(template))
    assert not set("\u2020\u2021") & set("".join(learnt(found)))
    for (_, end), (start, _) in zip(found.spans, found.spans[1:], strict=False):
        assert end <= start


def test_placeholders_of_ours_in_a_conversation() -> None:
    """They stand in the text that is walked along, and must not lead astray."""
    odd = "\ue0007\ue001"
    turns = [
        {"role": "user", "content": odd},
        {"role": "assistant", "content": f"<think>x</think>{odd}"},
        {
            "role": "user",
            "content": "Q",
            "tool_calls": [{"function": {"name": odd, "arguments": {}}}],
        },
        {"role": "assistant", "content": "<think>\n</think>A"},
    ]
    found = render(Example("conversation", {"messages": turns}), of(families.THINKING))
    assert learnt(found) == ["</think>A<|im_end|>"]
    assert any("Turn 2 cannot be found" in note for note in found.notes)


def test_many_turns_take_linear_time() -> None:
    turns = [f"{kind}{i}" for i in range(300) for kind in ("q", "a")]
    found = render(talk(*turns), of(families.CHATML))
    assert learnt(found) == [f"a{i}<|im_end|>" for i in range(300)]


def test_plain_forms() -> None:
    template = Template("test", end="</s>")
    text = render(Example("text", {"text": "All."}), template)
    assert learnt(text) == ["All.</s>"]
    fields = {"prompt": "def f():", "completion": "\n    pass"}
    assert learnt(render(Example("completion", fields), template)) == ["\n    pass</s>"]
    unknown = render(Example("text", {"text": "All."}), Template("test", end=""))
    assert unknown.text == "All." and "not known which token ends" in unknown.notes[0]


def test_preferences_are_rendered_both() -> None:
    turn = {"role": "user", "content": "Q"}
    earlier = [turn, {"role": "assistant", "content": "old"}, turn]
    fields = {
        "prompt": earlier,
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
    found = render(Example("preference", fields), of(families.CHATML))
    assert found.other is not None
    assert learnt(found) == ["good<|im_end|>"] and learnt(found.other) == ["bad<|im_end|>"]
    plain = render(
        Example("preference", {"prompt": "2+2=", "chosen": "4", "rejected": "5"}), of("")
    )
    assert plain.other is not None
    assert learnt(plain) == ["4</s>"] and plain.other.text == "2+2=5</s>"


def test_gaps_with_and_without_tokens() -> None:
    example = Example("gap", {"prefix": "a = ", "middle": "1", "suffix": "\n"})
    own = render(example, Template("x", end="</s>", gap=("<P>", "<S>", "<M>")))
    assert own.text == "<P>a = <S>\n<M>1</s>" and learnt(own) == ["1</s>"] and not own.notes
    none = render(example, Template("x", end="</s>"))
    assert learnt(none) == ["1</s>"] and "no tokens for a gap" in none.notes[0]


# ---- where templates come from


def folder(path: Path, **facts: Any) -> Path:
    path.mkdir()
    (path / "tokenizer_config.json").write_text(json.dumps(facts))
    return path


def test_of_a_folder(tmp_path: Path) -> None:
    fim = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
    added = {str(i): {"content": token} for i, token in enumerate(fim)}
    facts = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "added_tokens_decoder": added}
    first = template_of(folder(tmp_path / "a", chat_template=families.BRACKETS, **facts))
    assert first.end == "</s>" and first.gap == tuple(fim)
    assert render(talk("Q", "A"), first).text == "<s>[INST] Q [/INST] A</s>"
    several = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]
    place = folder(tmp_path / "b", chat_template=several)
    assert template_of(place).text == "y"
    (place / "chat_template.jinja").write_text(families.CHATML)
    assert template_of(str(place)).text == families.CHATML
    assert template_of(place / "chat_template.jinja").text == families.CHATML
    bare = template_of(folder(tmp_path / "c"))
    assert "no chat template" in bare.notes[0] and bare.end == ""
    assert "This is ChatML" in template_of().notes[0].replace("this", "This")


def test_a_date_in_a_template_is_told() -> None:
    dated = template_of("{{ strftime_now('%Y') }}" + families.CHATML)
    assert "tomorrow" in render(talk("Q", "A"), dated).notes[0]


def test_bad_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder or file"):
        template_of(tmp_path / "none")
    place = folder(tmp_path / "x")
    (place / "tokenizer_config.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        template_of(place)
    (place / "tokenizer_config.json").write_text(json.dumps({"chat_template": 7}))
    assert "no chat template" in template_of(place).notes[0]
    with pytest.raises(DataError, match="million characters"):
        template_of("{{ x }}" + " " * 2**20)


# ---- through the engine


@pytest.mark.parametrize(
    ("model", "answers"),
    [
        ("tiny", ["It is a tree.<|im_end|>", "Yes, quite.<|im_end|>"]),
        ("go", ["It is a tree.<|im_end|>", "Yes, quite.<|im_end|>"]),
        ("turns", ["It is a tree.</s>", "Yes, quite.</s>"]),
    ],
)
def test_of_the_engines_models(engine: Engine, model: str, answers: list[str]) -> None:
    template = template_of(model, engine)
    found = render(talk(*DIALOGUE), template)
    assert learnt(found) == answers
    assert ("Be kind." in found.text) is (model == "go")
    assert not found.notes
    completion = render(Example("completion", {"prompt": "a", "completion": "b"}), template)
    assert learnt(completion) == ["b<|im_end|>"]  # the token that ends texts, by the GGUF


def test_what_the_engine_renders_is_what_it_reads(engine: Engine) -> None:
    turns = [{"role": "user", "content": "Q"}]
    text = engine.render("tiny", turns)
    assert text == "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
    read = engine.generate("tiny", text, raw=True, options={"num_predict": 1}).metrics
    asked = engine.chat("tiny", turns, options={"num_predict": 1}).metrics
    assert read and asked and read.prompt_eval_count == asked.prompt_eval_count

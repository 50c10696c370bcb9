"""The options as a form: what is typed, refused, reset and sent."""

from __future__ import annotations

import pytest

from workbench.errors import InvalidRequest
from workbench.panels.states import OptionsState
from workbench.panels.states._options import BESIDE, COMMON, MORE, own_parameters
from workbench.protocol import OPTIONS


def test_nothing_typed_sends_nothing() -> None:
    assert OptionsState().request() == {}


def test_values_have_their_kinds() -> None:
    state = OptionsState()
    for name, text in {
        "temperature": " 0.25 ",
        "seed": "7",
        "use_mmap": "true",
        "kv_cache_type": "q8_0",
        "stop": "END\n\\n\\n",
        "keep_alive": "10m",
        "format": "json",
        "think": "false",
    }.items():
        state.set_text(name, text)
    assert state.problems == {}
    assert state.request() == {
        "options": {
            "temperature": 0.25,
            "seed": 7,
            "use_mmap": True,
            "kv_cache_type": "q8_0",
            "stop": ["END", "\n\n"],
        },
        "keep_alive": "10m",
        "format": "json",
        "think": False,
    }


@pytest.mark.parametrize(
    ("text", "value"), [("-1", -1.0), ("0", 0.0), ("300", 300.0), ("2h", "2h")]
)
def test_keep_alive(text: str, value: float | str) -> None:
    state = OptionsState()
    state.set_text("keep_alive", text)
    assert state.request() == {"keep_alive": value}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "seven"),
        ("temperature", "warm"),
        ("use_mmap", "maybe"),
        ("keep_alive", "soon"),
        ("kv_cache_type", "q7"),
    ],
)
def test_nonsense_stays_with_its_reason_and_is_never_sent(name: str, text: str) -> None:
    state = OptionsState()
    state.set_text(name, text)
    (row,) = state.rows(name)
    assert (row.text, bool(row.problem)) == (text, True)
    with pytest.raises(InvalidRequest, match=name):
        state.request()
    state.set_text(name, "")
    assert state.request() == {}


def test_the_default_typed_out_is_no_change() -> None:
    state = OptionsState()
    state.set_text("temperature", "0.8")
    assert not state.texts


def test_reset_one_and_all() -> None:
    state = OptionsState()
    for name in ("seed", "top_k", "format"):
        state.set_text(name, "json" if name == "format" else "5")
    state.reset("seed")
    assert set(state.texts) == {"top_k", "format"}
    state.reset()
    assert state.request() == {}


def test_every_option_of_the_protocol_has_a_field() -> None:
    assert set(COMMON) | set(MORE) == set(OPTIONS)
    for name in (*OPTIONS, *BESIDE):
        (row,) = OptionsState().rows(name)
        assert row.option.meaning and row.default


def test_a_models_own_parameters_are_the_defaults() -> None:
    state = OptionsState()
    state.own = own_parameters(
        'temperature                    0.3\nstop                           "<|a|>"\n'
        'stop                           "b c"\nmystery                        1\n'
    )
    assert state.own == {"temperature": "0.3", "stop": "<|a|>\nb c"}
    (row,) = state.rows("temperature")
    assert row.default == "0.3"
    state.set_text("temperature", "0.8")  # the engine's default is not this model's
    assert state.request() == {"options": {"temperature": 0.8}}
    state.set_text("temperature", "0.3")
    assert state.request() == {}

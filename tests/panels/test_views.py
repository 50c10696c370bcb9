"""The views without a browser: lazy, guarded, and silent when nobody looks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from workbench.panels import Home, Playground, Shell
from workbench.panels._base import Panel
from workbench.panels._fragment import Part
from workbench.panels.states import PlaygroundState, State


class Counting(State):
    """Counts its refreshes; each fails while `broken`."""

    actions = frozenset({"fail", "fail_later", "note"})
    count = 0
    broken = False
    starts = False
    heard: str = ""
    threads: tuple[int, ...] = ()

    async def refresh(self, *, start: bool = True) -> None:
        self.count += 1
        self.starts = start
        if self.broken:
            raise RuntimeError("nothing works")

    def fail(self) -> None:
        raise ValueError("no such thing")

    async def fail_later(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("no such thing, later")

    def note(self, text: str) -> None:
        self.heard = text
        self.threads = (*self.threads, threading.get_ident())


class Quick(Panel):
    """A panel that refreshes often."""

    name = "quick"
    every = 0.01
    make_state = Counting


def say(part: Part, action: str, **data: Any) -> None:
    """What the browser sends."""
    part._message(part.fragment, {"action": action, "data": data, "values": {}}, [])


def card_of(part: Part) -> str:
    return str(part.children[0].html)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_nothing_is_drawn_before_it_is_opened() -> None:
    shell = Shell()
    assert shell.home.parts and not shell.playground.parts
    shell.play("some-model")
    assert shell.playground.parts and shell.playground.layout.display == ""
    assert shell.home.layout.display == "none"
    shell.close()
    shell.close()  # as ipywidgets does when Python ends


async def test_one_refresh_without_a_browser_and_more_with_one() -> None:
    panel = Quick()
    await until(lambda: panel.state.count == 1)
    await asyncio.sleep(0.1)
    assert panel.state.count == 1 and not panel.state.starts
    panel._notice.seen = True
    await until(lambda: panel.state.count > 3 and panel.state.starts)
    panel.hide()
    count = panel.state.count
    await asyncio.sleep(0.1)
    assert panel.state.count <= count + 1
    panel.appear()
    await until(lambda: panel.state.count > count + 3)
    panel.close()
    count = panel.state.count
    await asyncio.sleep(0.1)
    assert panel.state.count == count


async def test_a_failing_refresh_shows_its_error_and_heals() -> None:
    panel = Quick(shown=False)
    panel.state.broken = True
    panel._notice.seen = True
    panel.appear()
    await until(lambda: "nothing works" in panel._notice.html)
    assert "Traceback" in panel._notice.html
    panel.state.broken = False
    await until(lambda: panel._notice.html == "")
    panel.close()


@pytest.mark.parametrize("action", ["fail", "fail_later"])
async def test_a_failing_action_is_a_card_in_its_place(action: str) -> None:
    part = Part("empty", PlaygroundState(), "model")
    part._state = Counting()
    say(part, action)
    await until(lambda: "no such thing" in card_of(part))
    assert "Traceback" in card_of(part) and "Try again" in card_of(part)
    part._state = PlaygroundState()
    part.draw()
    assert part.children == (part.fragment,)


@pytest.mark.parametrize("action", ["refresh", "close", "__init__", "observe", "engine.drop", ""])
async def test_a_page_can_call_only_what_is_an_action(action: str) -> None:
    part = Part("empty", PlaygroundState(), "model")
    say(part, action)
    assert "Traceback" in card_of(part)


async def test_a_template_that_fails_is_a_card() -> None:
    part = Part("empty", Counting(), "")
    assert "Traceback" in card_of(part)


async def test_messages_of_other_threads_reach_the_kernels_loop() -> None:
    part = Part("error", Counting(), "")
    thread = threading.Thread(target=say, args=(part, "note"), kwargs={"text": "hello"})
    thread.start()
    thread.join()
    await until(lambda: part._state.heard == "hello")
    assert part._state.threads == (threading.get_ident(),)


def test_unknown_keywords_fail_with_advice() -> None:
    with pytest.raises(TypeError, match="Did you mean 'mode'"):
        Playground(modle="x")
    with pytest.raises(TypeError, match="no keyword 'color'"):
        Home(color="red")
    with pytest.raises(TypeError, match="Did you mean 'show'"):
        Shell(shwo="home")
    with pytest.raises(ValueError, match="home, models, bench, data, train, tune, versions, play"):
        Shell(show="nothing")


def test_states_and_the_servers_command_need_no_widget() -> None:
    code = (
        "import sys, workbench.panels.states; from workbench.panels import voila_command\n"
        "assert not {'ipywidgets', 'anywidget', 'IPython', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

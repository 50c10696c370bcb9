"""`workbench chat`: talk with a model line by line; commands begin with a slash.

Ctrl-C stops the answer that is being written, or throws away the line; Ctrl-D leaves. What was
typed is kept in the home (chat_history, private) for the arrow keys. Without a terminal each
line of the standard input is a message, which makes a script of a chat.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from workbench.cli._generate import show
from workbench.cli._options import (
    engine_option,
    keep_alive_option,
    keep_alive_value,
    model_options,
    open_engine,
    parse_options,
)
from workbench.cli._output import json_option, note
from workbench.errors import EngineUnreachable, InvalidRequest, ModelNotFound, WorkbenchError
from workbench.types import Message

if TYPE_CHECKING:
    from workbench.engines import Engine

HELP = '''\
/system TEXT     what the model is told about its part; without TEXT shows it
/set KEY VALUE   an option, such as /set temperature 0.2; without a value drops it, alone shows all
/clear           forget the conversation
/save NAME       make a model of it: this model, system prompt, options and conversation
/help            this list
/bye             leave (or Ctrl-D)
"""              begins and ends a message of several lines
Ctrl-C stops an answer.'''


@dataclass
class Conversation:
    """What has been said and how the model is to answer."""

    model: str
    system: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def request(self) -> list[Message]:
        """The messages to send, the system prompt first."""
        return [Message("system", self.system), *self.messages] if self.system else self.messages


@click.command()
@click.argument("model")
@click.option("--system", default="", metavar="TEXT", help="What the model is told of its part.")
@click.option("--think/--no-think", default=None, help="Whether a model that can think does so.")
@click.option("--stats", is_flag=True, help="Print tokens/s after each answer.")
@model_options
@keep_alive_option
@engine_option
@json_option
def chat(model: str, system: str, url: str | None, **given: Any) -> None:
    """Talk with a model.

    Each line is a message; /help lists the commands.
    """
    talk = Conversation(model, system, parse_options(given["options"]))
    how = {"keep_alive": keep_alive_value(given["keep_alive"]), "think": given["think"]}
    interactive = sys.stdin.isatty() and not given["as_json"]
    with open_engine(url) as engine:
        engine.show(model)  # an unknown model is told before the first line
        if interactive:
            _remember_lines()
            note(f"{model}: type a message, /help for help, /bye to leave.")
        while (line := _read(interactive)) is not None:
            if line.startswith("/"):
                if not _command(engine, talk, line):
                    break
            elif line.strip():
                _answer(engine, talk, line, how, given, interactive)


def _answer(
    engine: Engine,
    talk: Conversation,
    line: str,
    how: dict[str, Any],
    given: dict[str, Any],
    interactive: bool,
) -> None:
    """Send the line, print the answer. At a terminal an error leaves the conversation as it was."""
    if line.startswith('"""'):
        line = line.removeprefix('"""').removesuffix('"""')
    question = Message("user", line)
    stream = engine.stream_chat(
        talk.model, [*talk.request(), question], options=talk.options or None, **how
    )
    try:
        text = show(stream, engine, talk.model, as_json=given["as_json"], stats=given["stats"])
    except KeyboardInterrupt:
        if not interactive:
            raise
        note("\n(stopped; the question is forgotten)")
    except (EngineUnreachable, ModelNotFound):
        raise
    except WorkbenchError as error:
        if not interactive:
            raise
        note(f"Error: {error}")
    else:
        talk.messages += [question, Message("assistant", text)]


def _command(engine: Engine, talk: Conversation, line: str) -> bool:
    """Obey a slash command; False ends the chat."""
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    match name:
        case "/bye" | "/exit" | "/quit":
            return False
        case "/help" | "/?":
            note(HELP)
        case "/clear":
            talk.messages.clear()
            note("The conversation is forgotten.")
        case "/system":
            talk.system = rest or talk.system
            note(f"System: {talk.system}" if talk.system else "There is no system prompt.")
        case "/set":
            _set(talk, rest)
        case "/save":
            _save(engine, talk, rest)
        case _:
            note(f"There is no command {name}. /help lists them.")
    return True


def _set(talk: Conversation, rest: str) -> None:
    name, _, value = rest.removeprefix("parameter ").replace("=", " ", 1).partition(" ")
    if name and not value.strip():
        talk.options.pop(name, None)
    elif name:
        try:
            talk.options |= parse_options([f"{name}={value.strip()}"])
        except click.UsageError as error:
            note(error.message)
    said = ", ".join(f"{key}={value}" for key, value in talk.options.items())
    note(f"Options: {said or 'the model’s own'}")


def _save(engine: Engine, talk: Conversation, name: str) -> None:
    if not name:
        note("Give it a name: /save NAME")
        return
    try:
        steps = engine.create(
            name,
            from_=talk.model,
            system=talk.system or None,
            parameters=talk.options or None,
            messages=talk.messages or None,
        )
        for _ in steps:
            pass
    except InvalidRequest as error:
        note(f"Error: {error}")
    else:
        note(f"Saved. Go on another day with: workbench chat {name}")


def _read(interactive: bool) -> str | None:
    """The next message, None at the end. Lines between triple quotes are one message."""
    while True:
        try:
            line = _line(">>> " if interactive else "")
            if line is None or not line.startswith('"""'):
                return line
            while line.count('"""') < 2:
                more = _line("... " if interactive else "")
                if more is None:
                    return line
                line += "\n" + more
            return line.rstrip()
        except KeyboardInterrupt:
            if not interactive:
                raise
            note("\n(/bye or Ctrl-D to leave)")


def _line(prompt: str) -> str | None:
    if not prompt:
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None
    try:
        return input(prompt)
    except EOFError:
        note("")
        return None


def _remember_lines() -> None:
    """Arrow keys and history, where Python has readline."""
    import atexit

    from workbench.settings import home

    try:
        import readline
    except ImportError:
        return
    file = home() / "chat_history"

    def keep() -> None:
        with suppress(OSError):
            readline.write_history_file(file)

    with suppress(OSError):
        file.touch(mode=0o600)
        readline.read_history_file(file)
    readline.set_history_length(1000)
    atexit.register(keep)

"""`workbench generate` and `workbench chat`: pipes, terminals, interruptions, hostile models."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pexpect
import pytest

from workbench import connect
from workbench.settings import home

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Terminal = Callable[..., pexpect.spawn]
ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b5n\u202etxt"
SHOWN = "␛]0;owned␇␛[2J\ufffd5n\ufffdtxt"


@pytest.mark.usefixtures("engine")
class TestWithAnEngine:
    def test_the_same_seed_gives_the_same_text(self, run: Run) -> None:
        first = run("generate", "tiny", "hello", "-o", "seed=3")
        assert first.returncode == 0 and first.stderr == "" and len(first.stdout) > 1
        assert run("generate", "tiny", "-", "-o", "seed=3", input="hello").stdout == first.stdout
        assert run("generate", "tiny", "-o", "seed=3", input="hello").stdout == first.stdout
        other = run("generate", "tiny", "hello", "-o", "seed=4").stdout
        assert other != first.stdout

    def test_stats(self, run: Run) -> None:
        done = run("generate", "tiny", "hello", "--stats", "-o", "num_predict=5")
        assert re.search(r"\d tokens at .* tokens/s, first token after \d", done.stderr)

    def test_json(self, run: Run) -> None:
        arguments = ("generate", "tiny", "hello", "--json", "-o", "seed=3")
        streamed = run(*arguments)
        assert streamed.stderr == ""
        rows = [json.loads(line) for line in streamed.stdout.splitlines()]
        assert len(rows) > 1 and [row["done"] for row in rows].index(True) == len(rows) - 1
        assert rows[-1]["done_reason"] in {"length", "stop"} and rows[-1]["eval_count"] > 1
        assert rows[-1]["first_token_seconds"] > 0 and rows[-1]["tokens_per_second"] > 0
        whole = json.loads(run(*arguments, "--no-stream").stdout)
        assert whole["text"] == "".join(row["text"] for row in rows)

    def test_a_schema_from_a_file(self, run: Run, tmp_path: Path) -> None:
        schema = tmp_path / "schema.json"
        schema.write_text('{"type": "object", "properties": {"n": {"enum": [1, 2]}}, '
                          '"required": ["n"], "additionalProperties": false}')  # fmt: skip
        done = run("generate", "tiny", "x", "--format", str(schema), "-o", "num_predict=60")
        assert json.loads(done.stdout)["n"] in (1, 2)
        assert run("generate", "tiny", "x", "--format", "nofile").returncode == 3

    def test_missing_model_and_unsupported_image(self, run: Run, tmp_path: Path) -> None:
        assert run("generate", "nosuch", "x").returncode == 3
        (tmp_path / "picture.png").write_bytes(b"png")
        done = run("generate", "tiny", "x", "--image", str(tmp_path / "picture.png"))
        assert done.returncode == 1 and "does not support" in done.stderr

    def test_a_closed_pipe_is_quiet(self, command: str) -> None:
        line = f"'{command}' generate tiny x -o num_predict=-1 -o temperature=0 --json | head -n 2"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        assert len(done.stdout.splitlines()) == 2
        assert done.stderr == ""

    def test_ctrl_c_stops_the_generation(self, command: str, engine: str) -> None:
        endless = [
            "generate",
            "endless",
            "x",
            "-o",
            "num_predict=-1",
            "-o",
            "temperature=0",
            "-o",
            "num_ctx=128",
        ]
        with subprocess.Popen(
            [command, *endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(200)
            process.send_signal(signal.SIGINT)
            process.stdout.close()
            assert process.wait(30) in {130, 141}
            assert b"Traceback" not in process.stderr.read()
        with connect(engine) as client:  # the slot is free again, or this would queue for ever
            reply = client.generate("endless", "y", options={"num_ctx": 128, "num_predict": 3})
        assert reply.metrics.eval_count == 3

    def test_ctrl_c_on_a_terminal(self, terminal: Terminal) -> None:
        child = terminal("generate", "endless", "x", "-o", "num_predict=-1")
        child.expect(r"\w+\W+\w+")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 130

    def test_a_piped_chat_remembers(self, run: Run) -> None:
        done = run("chat", "tiny", "--json", "-o", "num_predict=4", input="one\ntwo\n")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        ends = [row for row in rows if row["done"]]
        assert done.returncode == 0 and len(ends) == 2
        assert ends[1]["prompt_eval_count"] > ends[0]["prompt_eval_count"] + 4

    def test_chat_of_a_missing_model(self, run: Run) -> None:
        assert run("chat", "nosuch", input="x\n").returncode == 3

    def test_a_chat_on_a_terminal(self, terminal: Terminal, run: Run) -> None:
        child = terminal("chat", "tiny", "--stats", "-o", "num_predict=8")
        child.expect("/help for help")
        said = (
            ("/system be brief", "System: be brief"),
            ("/set temperature 0.5", "temperature=0.5"),
            ("/set temprature 1", "Did you mean temperature"),
            ("/set seed", "Options: num_predict=8, temperature=0.5"),
            ("hello", r"\d tokens at"),
            ('"""two', r"\.\.\. "),
            ('lines"""', r"\d tokens at"),
            ("/nonsense", "no command /nonsense"),
            ("/save ../../x", "Error: .*invalid"),
            ("/save talked", "workbench chat talked"),
            ("/clear", "forgotten"),
            ("/help", "/bye"),
        )
        for line, answer in said:
            child.sendline(line)
            child.expect(answer)
        child.sendline("/bye")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
        history = home() / "chat_history"
        assert "be brief" in history.read_text() and history.stat().st_mode & 0o077 == 0
        saved = json.loads(run("models", "show", "talked", "--json").stdout)
        assert saved["system"] == "be brief"
        assert "MESSAGE user hello" in saved["modelfile"]
        run("models", "rm", "-y", "talked")

    def test_ctrl_c_in_a_chat_stops_the_answer_alone(self, terminal: Terminal) -> None:
        child = terminal("chat", "endless", "-o", "num_predict=-1", "-o", "temperature=0")
        child.expect(">>> ")
        child.sendline("hello")
        child.expect(r"\w+\W+\w+\W+\w+")
        child.sendintr()
        child.expect("stopped")
        child.expect(">>> ")
        for _ in range(10):  # at the moment of the prompt it may still count for the answer
            child.sendintr()
            if child.expect(["to leave", pexpect.TIMEOUT], timeout=3) == 0:
                break
        else:
            pytest.fail("Ctrl-C at the prompt does not say how to leave")
        child.expect(">>> ")  # between two prompts the terminal swallows the end
        child.sendeof()
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0


class Hostile(BaseHTTPRequestHandler):
    """A server whose every text attacks the terminal."""

    def do_GET(self) -> None:
        if self.path == "/api/version":
            self._send({"version": "0.33.0"})
        else:
            self._send({"models": [{"name": f"m{ATTACK}\nfake line", "size": 1}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/show":
            self._send({"system": ATTACK, "model_info": {}, "details": {"family": ATTACK}})
        elif self.path == "/api/delete":
            self._send({"error": f"model {ATTACK} is bad"}, 400)
        else:
            end = {"response": "", "done": True, "done_reason": "stop", "eval_count": 1}
            self._send({"response": f"a{ATTACK}b", "thinking": ATTACK, "done": False}, 200, end)

    do_DELETE = do_POST

    def _send(self, record: dict[str, object], status: int = 200, *more: object) -> None:
        body = "".join(json.dumps(row) + "\n" for row in (record, *more)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "arguments",
    [("generate", "m", "x"), ("generate", "m", "x", "--no-stream"), ("models", "list", "--json"),
     ("models", "list"), ("models", "show", "m"), ("models", "show", "m", "--part", "system"),
     ("models", "rm", "-y", f"m{ATTACK}"), ("doctor",)],
    ids=lambda arguments: " ".join(arguments[:4]).encode("ascii", "ignore").decode(),
)  # fmt: skip
def test_a_terminal_gets_no_control_characters(
    terminal: Terminal, arguments: tuple[str, ...]
) -> None:
    child = terminal(*arguments)
    child.expect(pexpect.EOF)
    text = child.before
    assert len(text) > 3
    for bad in ("\x1b]0", "\x1b[2J", "\x9b", "\u202e", "\x07"):
        assert bad not in text
    assert not any(line.startswith("fake line") for line in text.splitlines())


@pytest.mark.usefixtures("hostile")
def test_a_pipe_gets_the_text_as_it_is(run: Run) -> None:
    assert run("generate", "m", "x").stdout == f"a{ATTACK}b\n"


def test_thinking_goes_to_stderr(run: Run, hostile: None) -> None:
    assert run("generate", "m", "x").stderr == ATTACK


def test_an_engine_killed_in_mid_answer(command: str, tiny_gguf: Path, run: Run) -> None:
    """kill -9 of our own engine: one sentence, the code for a lost engine, and it heals."""
    started = json.loads(run("engine", "start", "--json").stdout)
    assert started["url"].startswith("http://127.0.0.1:")
    run("models", "create", "t", "-f", "-", input=f"FROM {tiny_gguf}\n")
    with subprocess.Popen(
        [command, "generate", "t", "x", "-o", "num_predict=-1", "-o", "temperature=0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.read(20)
        status = json.loads(run("engine", "status", "--json").stdout)
        subprocess.run(["kill", "-9", str(status["embedded"]["pid"])], check=True)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 4
    assert complaint.startswith("Error: ") and len(complaint.strip().splitlines()) == 1
    time.sleep(0.1)
    again = run("generate", "t", "x", "-o", "num_predict=3")
    assert again.returncode == 0, again.stderr
    assert run("engine", "stop").stdout == "The engine is stopped.\n"
    assert run("engine", "status").returncode == 4
    assert run("engine", "stop").stdout == "No embedded engine was running.\n"

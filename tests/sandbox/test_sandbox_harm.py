"""Programs that want to do harm to the machine's time, memory and disk."""

from __future__ import annotations

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from sandbox_attacks import attempt

from workbench.sandbox import Outcome, run_python

pytestmark = pytest.mark.usefixtures("level")
LIMIT = 256 * 1024


ENDLESS = [
    "while True: pass",
    "import time; time.sleep(1000)",
    "from signal import *\nfor n in valid_signals() - {9, 19}: signal(n, SIG_IGN)\nwhile 1: 0",
    "import os\nos.closerange(0, 100)\nwhile True: pass",
    "import os\nos.setsid() if os.getsid(0) != os.getpid() else 0\nwhile True: pass",
    "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()",
    "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "import os\nwhile True: os.write(2, b'.')",
]


def test_endless_programs_are_ended() -> None:
    def run(code: str) -> Outcome:
        return run_python("print('begun', flush=True)\n" + code, timeout=2)

    with ThreadPoolExecutor(len(ENDLESS)) as pool:
        for outcome in pool.map(run, ENDLESS):
            assert (outcome.status, outcome.returncode) == ("timeout", 137)
            assert outcome.stdout == "begun\n"
            assert outcome.words == "It was ended after 2 s."


def test_a_stopped_program_is_ended() -> None:
    outcome = run_python("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", timeout=1)
    assert outcome.status == "timeout"


def test_processor_time_is_bounded() -> None:
    code = "import resource as r\nr.setrlimit(r.RLIMIT_CPU, (1, 2))\nwhile True: pass"
    outcome = run_python(code, timeout=60)
    assert (outcome.status, outcome.returncode) == ("timeout", 128 + signal.SIGXCPU)
    read = "import resource as r; print(r.getrlimit(r.RLIMIT_CPU), r.getrlimit(r.RLIMIT_CORE))"
    assert run_python(read, timeout=6.5).stdout == "(8, 9) (0, 0)\n"


@pytest.mark.parametrize("timeout", [0.0001, 0.003, 0.01])
def test_a_timeout_before_the_first_line(timeout: float) -> None:
    for _ in range(5):
        outcome = run_python("import time; time.sleep(1000)", timeout=timeout)
        assert outcome.status == "timeout"


@pytest.mark.parametrize(
    "code",
    [
        "x = 'x' * 10**12",
        "x = bytearray(1)\nwhile True: x = x + x",
        "x = []\nwhile True: x.append({})",
        "def f(): return [f() for _ in range(2)], bytearray(10**6)\nwhile True: x = [bytes(10**7)"
        " for _ in range(1000)]",
    ],
)
def test_memory_bomb(code: str) -> None:
    before = psutil.Process().memory_info().rss
    outcome = run_python(code, timeout=60, memory=200 * 2**20)
    assert (outcome.status, outcome.returncode) == ("memory", 1)
    assert outcome.stderr.endswith("MemoryError\n")
    assert psutil.Process().memory_info().rss < before + 100 * 2**20


def test_memory_is_what_was_asked_for() -> None:
    code = "x = bytearray(300 * 2**20); print(len(x))"
    assert run_python(code, timeout=60, memory=200 * 2**20).status == "memory"
    assert run_python(code, timeout=60, memory=400 * 2**20).status == "done"
    assert run_python("print(1)", timeout=60, memory=1).status != "done"


def test_no_memory_beside_the_limit() -> None:
    _, through = attempt("""
def file_in_memory(): return os.memfd_create("x")
def shared_memory(): return system_call(29, 194, 0, 4096, 0o1600)
def message_queue(): return system_call(68, 186, 0, 0o1600)
def semaphores(): return system_call(64, 190, 0, 1, 0o1600)
def posix_queue(): return checked(libc.mq_open(b"/x", 0o102, 0o600, None))
def space_without_writing(): os.posix_fallocate(os.open("x", os.O_RDWR | os.O_CREAT), 0, 1 << 30)
def big_file(): os.truncate(os.open("x", os.O_RDWR | os.O_CREAT), 1 << 30)
def more_address_space():
    import resource
    try: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    except ValueError as error: raise OSError(1, str(error))
def more_open_files():
    files = [os.dup(1) for _ in range(1000)]
""")
    assert through == set()


def test_nobody_can_raise_the_limits() -> None:
    code = """
from resource import *
for n in (RLIMIT_CPU, RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_AS):
    try: setrlimit(n, (getrlimit(n)[1] + 1,) * 2); print('raised')
    except (ValueError, OSError): print('kept')
"""
    assert run_python(code, timeout=60).stdout == "kept\n" * 4


def test_thread_storm() -> None:
    code = """
import _thread, os, time
_thread.stack_size(32768)
count = 0
try:
    while count < 20_000:
        _thread.start_new_thread(time.sleep, (1000,))
        count += 1
except (RuntimeError, MemoryError): os.write(1, b"refused\\n")
os.write(1, f"{10 < count < 20_000}".encode())
os._exit(0)
"""
    outcome = run_python(code, timeout=60)
    assert (outcome.status, outcome.stdout) == ("done", "refused\nTrue")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output(stream: str) -> None:
    before = psutil.Process().memory_info().rss
    code = f"import sys\nwhile True: sys.{stream}.write('0123456789' * 1000)"
    outcome = run_python(code, timeout=60)
    assert outcome.status == "killed"
    assert outcome.words == "It was ended: it wrote more than 64 MB of output."
    text = getattr(outcome, stream)
    assert text.startswith("0123456789")
    assert LIMIT < len(text) < LIMIT + 100
    assert psutil.Process().memory_info().rss < before + 100 * 2**20


DISK_BOMBS = {
    "one file": "f = open('x', 'wb')\nwhile True: f.write(bytes(2**20)); f.flush()",
    "many files": "for n in range(10**6):\n  with open(str(n), 'wb') as f: f.write(bytes(2**20))",
    "by memory": """
import itertools, mmap
for n in itertools.count():
    with open(str(n), "wb+") as f:
        f.truncate(2**24)
        memory = mmap.mmap(f.fileno(), 0)
        memory[:] = bytes(2**24)
        memory.close()
""",
    "zip bomb": """
import zipfile
with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
    for n in range(4):
        with bomb.open(f"{n}", "w") as f:
            for _ in range(24): f.write(bytes(2**20))
zipfile.ZipFile("bomb.zip").extractall("out")
import time; time.sleep(30)
""",
}


@pytest.mark.parametrize("code", DISK_BOMBS.values(), ids=DISK_BOMBS.keys())
def test_disk_bombs(code: str, nothing_is_left: Path) -> None:
    before = shutil.disk_usage(nothing_is_left).used
    outcome = run_python(code, timeout=60)
    assert outcome.status in {"failed", "killed"}
    full = ("No space left", "File too large", "filled its folder", "signal 7")  # SIGBUS: mmap
    assert any(words in outcome.stderr + outcome.words for words in full)
    assert shutil.disk_usage(nothing_is_left).used < before + 500 * 2**20


TANGLES = {
    "deep": "import os\nfor n in range(3000): os.mkdir('d' * 50); os.chdir('d' * 50)",
    "closed": "import os\nos.makedirs('a/b/c'); open('a/b/c/f', 'w')\nos.mkdir('z', 0)\n"
    "os.umask(0o777); os.makedirs('q'); open('f', 'w')",
    "names": "import os\nfor n in (b'\\xff', b'\\n', b'-rf', b'0', b'x' * 255): os.mkdir(n)",
    "special": "import os, socket\nos.mkfifo('p'); os.symlink('.', 's'); os.symlink('/', 'r')",
    "replaced": "import os\nos.unlink('main.py'); os.symlink('/etc/passwd', 'main.py'); 1 / 0",
}


@pytest.mark.parametrize("code", TANGLES.values(), ids=TANGLES.keys())
def test_what_is_left_in_the_folder_goes(code: str) -> None:
    outcome = run_python(code + "\nprint('made')", timeout=60)  # the fixture looks for remains
    if "1 / 0" in code:
        assert "ZeroDivisionError" in outcome.stderr
        assert "root:" not in outcome.stderr  # the source's line in the traceback
    else:  # too deep to be measured counts as full
        assert outcome.stdout == "made\n" or outcome.words == "It was ended: it filled its folder."


def test_links_are_removed_and_not_what_they_lead_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o755)
    (kept / "file").write_text("precious")
    code = "import os\nos.symlink(target, 'a'); os.mkdir('b'); os.symlink(target + '/file', 'b/c')"
    assert run_python(f"target = {str(kept)!r}\n{code}", timeout=60).status == "done"
    assert (kept / "file").read_text() == "precious"
    assert kept.stat().st_mode & 0o777 == 0o755

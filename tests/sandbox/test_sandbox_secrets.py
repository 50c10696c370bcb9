"""What a program must not see or change: the caller's files, environment and processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_attacks import attempt

from workbench.sandbox import run_python

SECRET = "the-secret-of-the-caller"

READ = """
def plain(): return open(secret).read()
def by_number(): return os.read(os.open(secret, os.O_RDONLY), 100)
def by_libc(): return os.read(checked(libc.open(secret.encode(), 0)), 100)
def by_raw_call():
    path = ctypes.create_string_buffer(secret.encode())
    return os.read(system_call(257, 56, -100, ctypes.addressof(path), 0), 100)
def by_link():
    os.symlink(secret, "link")
    return open("link").read()
def by_hard_link():
    os.link(secret, "hard")
    return open("hard").read()
def by_moving():
    os.rename(secret, "moved")
    return open("moved").read()
def by_folder():
    os.chdir(os.path.dirname(secret))
    return open(os.path.basename(secret)).read()
def by_root_of_parent(): return open(f"/proc/{os.getppid()}/root{secret}").read()
def by_root_of_caller(): return open(f"/proc/{caller}/root{secret}").read()
def by_own_root(): return open(f"/proc/self/root{secret}").read()
def by_open_file_of_caller(): return open(f"/proc/{caller}/fd/{opened}").read()
def by_listing(): return os.listdir(os.path.dirname(secret))
def by_import():
    sys.path.insert(0, os.path.dirname(secret))
    import importlib.machinery as m
    return m.SourcelessFileLoader("x", secret).get_data(secret)
def by_executing(): os.execv(secret, ["x"])
def passwords(): return open("/etc/passwd").read()
def home(): return os.listdir(user_home + "/.")[0] if os.listdir(user_home)[1:] else checked(-1)
def host_temporary(): return os.listdir(temporary)
"""

CHANGE = """
def write(): open(secret, "w").write("x")
def append(): open(secret, "a").write("x")
def truncate(): os.truncate(secret, 0)
def remove(): os.unlink(secret)
def replace():
    open("mine", "w").write("x")
    os.replace("mine", secret)
def move_folder(): os.rename(os.path.dirname(secret), "taken")
def mode(): os.chmod(secret, 0o777)
def owner(): os.chown(secret, 65534, 65534)
def time_of_change(): os.utime(secret, (0, 0))
def attribute(): os.setxattr(secret, "user.x", b"1")
def new_file(): open(os.path.dirname(secret) + "/new", "w")
def new_folder(): os.mkdir(os.path.dirname(secret) + "/new")
def new_link(): os.symlink("x", os.path.dirname(secret) + "/new")
def new_pipe(): os.mkfifo(os.path.dirname(secret) + "/new")
def out_by_link():
    os.symlink(os.path.dirname(secret), "out")
    open("out/new", "w")
def root(): open("/new", "w")
def system(): open("/usr/lib/new", "w")
def python(): open(os.path.dirname(os.__file__) + "/new.py", "w")
def python_itself(): open(sys.executable, "ab").write(b"x")
def device(): open("/dev/shm/new", "w")
def terminal(): open("/dev/tty", "w")
def disk(): os.open("/dev/vda", os.O_RDONLY)
"""


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file in the workbench's folder, which has to be as it was afterwards."""
    path = tmp_path / "home" / "secret.txt"
    path.parent.mkdir(mode=0o755)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.name.startswith("pytest-"):  # let neither of the two be what keeps programs out
            folder.chmod(0o755)
    path.write_text(SECRET)
    path.chmod(0o644)
    before, names = path.stat(), sorted(path.parent.iterdir())
    yield path
    after = path.stat()
    assert path.read_text() == SECRET
    assert sorted(path.parent.iterdir()) == names
    for fact in ("st_mode", "st_uid", "st_mtime"):
        assert getattr(before, fact) == getattr(after, fact)


def test_the_attack_is_real(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing guards the files, the same attempts do read them."""
    monkeypatch.setenv("WORKBENCH_SANDBOX", "limits")
    attempts = "\n".join(READ.strip().splitlines()[:6])
    outcome, through = attempt(attempts, {"secret": str(secret)})
    assert through == {"plain", "by_number", "by_libc", "by_raw_call"}
    assert outcome.stdout.count(SECRET) == 4


def test_files_of_the_caller_cannot_be_read(isolated: str, secret: Path) -> None:
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        values = {
            "secret": str(secret),
            "caller": os.getpid(),
            "opened": file.fileno(),
            "user_home": str(Path.home()),
            "temporary": str(secret.parent.parent),
        }
        outcome, through = attempt(READ, values)
    assert through == set()
    assert SECRET not in outcome.stdout


def test_files_of_the_caller_cannot_be_changed(isolated: str, secret: Path) -> None:
    _, through = attempt(CHANGE, {"secret": str(secret)})
    assert through == set()


def test_only_bubblewrap_hides_names(level: str, secret: Path) -> None:
    """As the page says of the other levels."""
    outcome = run_python(f"import os; print(os.path.exists({str(secret)!r}))", timeout=60)
    assert outcome.stdout == f"{level != 'bubblewrap'}\n"


def test_environment_is_empty(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", SECRET)
    outcome, through = attempt(
        """
def ours(): return dict(os.environ), {k for k in os.environ} - {"PWD", "LC_CTYPE"} and checked(-1)
def by_libc(): return libc.getenv(b"SERVICE_TOKEN") or checked(-1)
def of_this_process(): return open("/proc/self/environ").read()
def of_parent(): return open(f"/proc/{os.getppid()}/environ").read()
def of_init(): return open("/proc/1/environ").read()
def of_caller(): return open(f"/proc/{caller}/environ").read()
""",
        {"caller": os.getpid()},
    )
    if level == "limits":  # who runs as the same user can read it: this level does not guard
        assert {"by_libc", "of_init"} & through <= {"of_init"}
        return
    assert through == {"ours"}
    assert SECRET not in outcome.stdout


def test_other_processes_cannot_be_seen(isolated: str) -> None:
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        _, through = attempt(
            """
def all_of_them(): return os.listdir("/proc")
def command(): return open(f"/proc/{sleeper}/cmdline").read()
def files(): return os.listdir(f"/proc/{sleeper}/fd")
def memory(): return open(f"/proc/{sleeper}/mem", "rb").read(1)
def kernel(): return open("/proc/sys/kernel/hostname").read()
def trigger(): open("/proc/sysrq-trigger", "w")
def groups(): return os.listdir("/sys")
""",
            {"sleeper": sleeper.pid},
        )
        sleeper.kill()
    assert through == set()


def test_two_programs_do_not_meet(level: str) -> None:
    run_python("open('left', 'w').write('x')", timeout=60)
    assert run_python("import os; print(os.listdir())", timeout=60).stdout == "['main.py']\n"

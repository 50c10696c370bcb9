"""Programs that want to do harm to other processes, the network and the kernel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sandbox_attacks import attempt

from workbench.sandbox import run_python

pytestmark = pytest.mark.usefixtures("level")


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user, which has to outlive the test."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        assert process.poll() is None, "the victim was killed"
        process.kill()


def test_fork_bomb() -> None:
    outcome = run_python("import os\nwhile True: os.fork()", timeout=60)
    assert outcome.status == "failed"
    assert "PermissionError" in outcome.stderr
    patient = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
    assert run_python(patient, timeout=1).status == "timeout"


def test_no_new_process_in_any_way() -> None:
    _, through = attempt("""
def fork(): return os.fork()
def fork_pty(): return os.forkpty()
def libc_fork(): return checked(libc.fork())
def raw_fork(): return system_call(57, None)
def raw_vfork(): return system_call(58, None)
def raw_clone(): return system_call(56, 220, 17)
def raw_clone_with_memory(): return system_call(56, 220, 0x4111)
def raw_clone3(): return system_call(435, 435, 0, 0)
def x32_fork(): return system_call(0x40000000 + 57, None)
def run(): return subprocess.run(["/bin/true"])
def spawn(): return os.posix_spawn("/bin/sh", ["sh"], {})
def shell():
    status = os.system("true")
    if status: raise OSError(status, "refused")
def exec_shell(): os.execv("/bin/sh", ["sh", "-c", "echo through"])
def exec_python(): os.execv(sys.executable, ["python", "-c", "print('through')"])
def exec_libc(): return checked(libc.execv(b"/bin/sh", (ctypes.c_char_p * 2)(b"sh", None)))
def exec_by_file():
    file = os.open(sys.executable, os.O_RDONLY)
    return checked(libc.fexecve(file, (ctypes.c_char_p * 1)(None), (ctypes.c_char_p * 1)(None)))
def exec_own_file():
    pathlib.Path("own").write_bytes(pathlib.Path(sys.executable).read_bytes())
    os.execv("./own", ["own", "-c", "print('through')"])
""")
    assert through == set()


def test_no_signal_reaches_another_process(victim: subprocess.Popen[bytes]) -> None:
    values = {"victim": victim.pid, "caller": os.getpid()}
    _, through = attempt(
        """
def kill_victim(): os.kill(victim, 9)
def kill_group_of_victim(): os.killpg(victim, 9)
def kill_caller(): os.kill(caller, 9)
def kill_parent(): os.kill(os.getppid(), 9)
def kill_group_of_parent(): libc.kill(-os.getppid(), 9) == 0 or checked(-1)
def kill_own_group(): os.kill(0, 9)
def kill_everybody(): os.kill(-1, 9)
def kill_everybody_by_libc(): return checked(libc.kill(-1, 9))
def raw_tkill(): return system_call(200, 130, victim, 9)
def raw_tgkill(): return system_call(234, 131, victim, victim, 9)
def queue(): return system_call(129, 138, victim, 9, id(bytes(128)) + 32)
def by_file_of_process(): return os.pidfd_open(victim)
def by_owner_of_a_pipe():
    import fcntl
    ours, theirs = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, victim)
def by_signal_of_a_pipe():
    import fcntl
    fcntl.fcntl(os.pipe()[0], 10, 9)
def by_owner_of_a_socket():
    import fcntl, struct
    fcntl.ioctl(socket.socketpair()[0], 0x8901, struct.pack("i", victim))
def priority(): os.setpriority(os.PRIO_PROCESS, victim, 19)
def priority_of_all(): os.setpriority(os.PRIO_USER, 0, 19)
def processors(): os.sched_setaffinity(victim, {0})
def limits():
    import resource
    resource.prlimit(victim, resource.RLIMIT_CPU, (1, 1))
def limits_of_caller():
    import resource
    resource.prlimit(caller, resource.RLIMIT_NOFILE, (3, 3))
def trace(): return system_call(101, 117, 16, victim)
def read_memory(): return system_call(310, 270, victim, 0, 0, 0, 0)
def outlive_the_caller(): return checked(libc.prctl(1, 0, 0, 0, 0))
""",
        values,
    )
    assert through == set()
    assert psutil.Process(victim.pid).nice() == os.nice(0)


def test_signals_to_itself_work() -> None:
    handled = """
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1)
"""
    assert run_python(handled, timeout=60).stdout == "heard\nheard\n"


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("import os; os.kill(os.getpid(), 9)", signal.SIGKILL),
        ("import os; os.abort()", signal.SIGABRT),
        ("import ctypes; ctypes.string_at(0)", signal.SIGSEGV),
    ],
)
def test_death_by_a_signal(code: str, number: int) -> None:
    outcome = run_python(code, timeout=60)
    assert (outcome.status, outcome.returncode) == ("killed", 128 + number)
    assert outcome.words == f"It was ended by signal {int(number)}."


def test_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "listener"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(path))
        unix.listen()
        datagrams.bind(f"\0workbench-{os.getpid()}")
        ours = {"tcp": tcp.getsockname(), "udp": udp.getsockname(), "unix": str(path)}
        _, through = attempt(
            """
def connect(): socket.create_connection(tcp)
def send(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", udp)
def connect_unix(): socket.socket(socket.AF_UNIX).connect(unix)
def send_unix(): socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", abstract)
def pair_that_sends(): socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"", abstract)
def pair_of_packets(): return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
def pair_that_connects(): socket.socketpair()[0].connect(unix)
def pair_that_listens(): socket.socketpair()[0].listen()
def listen(): return socket.create_server(("127.0.0.1", 0))
def six(): return socket.socket(socket.AF_INET6)
def netlink(): return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
def packets(): return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
def kernel_crypto(): return socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
def virtual_machine(): return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
def raw(): return system_call(41, 198, 2, 1, 0)
def ring(): return system_call(425, 425, 8, id(bytearray(512)) + 64)
def resolve(): return socket.getaddrinfo("example.org", 80)
""",
            ours | {"abstract": datagrams.getsockname()},
        )
        assert through == set()
        for listener in (tcp, udp, unix, datagrams):
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept() if listener in (tcp, unix) else listener.recv(1)


def test_kernel_corners_are_closed() -> None:
    _, through = attempt("""
def new_user(): return system_call(272, 97, 0x10000000)
def new_mounts(): return system_call(272, 97, 0x20000)
def thread_with_new_user(): return system_call(56, 220, 0x10000000 | 17)
def other_namespace(): return system_call(308, 268, 0, 0)
def mount(): return system_call(165, 40, 0, 0, 0, 0x1000, 0)
def unmount(): return system_call(166, 39, 0, 2)
def change_root(): os.chroot(".")
def programs_in_the_kernel(): return system_call(321, 280, 0, 0, 0)
def keys(): return system_call(250, 219, 0, -3, 0)
def page_faults(): return system_call(323, 282, 0)
def performance(): return system_call(298, 241, 0, 0, -1, -1, 0)
def by_handle(): return system_call(304, 265, -100, 0, 0)
def not_yet_known(): return system_call(463, 463, 0, 0, 0, 0)
def become_root(): os.setuid(0) if os.getuid() else os.setgroups([1])
def clock():
    import time
    time.clock_settime(time.CLOCK_REALTIME, 0)
def host_name(): socket.sethostname("x")
def device(): os.mknod("sda", 0o60600, os.makedev(8, 0))
""")
    assert through == set()


def test_no_rights_are_left() -> None:
    code = """
import ctypes, os, struct
data = ctypes.create_string_buffer(24)
ctypes.CDLL(None).capget(struct.pack("=Ii", 0x20080522, 0), data)
print(data.raw == bytes(24), ctypes.CDLL(None).prctl(39, 0, 0, 0, 0), ctypes.CDLL(None).prctl(21))
"""
    assert run_python(code, timeout=60).stdout == "True 1 2\n"


def test_no_file_of_the_caller_is_open(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        code = (
            "import os\nfor n in range(3, 1024):\n  try: os.fstat(n); print(n)\n  except OSError: 0"
        )
        outcome = run_python(code, timeout=60)
    assert (outcome.status, outcome.stdout) == ("done", "")


def test_interrupting_the_caller_ends_the_program() -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(Interrupt):  # the fixture sees that the process has gone
            run_python("while True: pass", timeout=600)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_killed_caller_takes_the_program_with_it(nothing_is_left: Path, level: str) -> None:
    code = "import time\nwhile time.process_time() < 0.5: pass\ntime.sleep(600)"
    call = f"from workbench.sandbox import run_python; run_python({code!r}, timeout=600)"
    environment = {**os.environ, "TMPDIR": str(nothing_is_left)}
    with subprocess.Popen([sys.executable, "-c", call], env=environment) as caller:
        process = psutil.Process(caller.pid)
        deadline = time.monotonic() + 60
        while not any(sum(p.cpu_times()[:2]) > 0.4 for p in process.children(recursive=True)):
            assert caller.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        caller.kill()  # the fixture sees that the program ends
    remove_folders(nothing_is_left, level)


def test_a_caller_killed_while_a_program_starts(nothing_is_left: Path, level: str) -> None:
    call = """
import os, time
from workbench.sandbox import protection, run_python
protection()
for n in range(30):
    caller = os.fork()
    if caller == 0:
        run_python("import time; time.sleep(600)", timeout=600)
    time.sleep(n * 0.002)
    os.kill(caller, 9)
    os.waitpid(caller, 0)
"""
    environment = {**os.environ, "TMPDIR": str(nothing_is_left)}
    subprocess.run([sys.executable, "-c", call], env=environment, check=True)
    remove_folders(nothing_is_left, level)


def remove_folders(where: Path, level: str) -> None:
    """Who is killed cannot tidy up; a program in bubblewrap has no folder on the disk."""
    for folder in where.iterdir():
        assert level != "bubblewrap"
        shutil.rmtree(folder)

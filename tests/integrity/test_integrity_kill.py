"""Killed at any moment: a check goes on, and a repair leaves the old file or the right one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

from integrity_tools import flip, install, only

from workbench import settings
from workbench.integrity import verify
from workbench.library import Library
from workbench.protocol import digest_of

CHECK = """
import time
from workbench.integrity import verify
print("ready", flush=True)
verify(progress=lambda pace: time.sleep(0.02), workers=1)
"""
REPAIR = """
from workbench.integrity import repair, verify
(fault,) = verify(resume=False).faults
print("ready", flush=True)
repair(fault)
"""


def killed(program: str, delay: float) -> None:
    """Run it and kill it so many seconds after it is ready."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(delay)
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_check_that_is_killed_goes_on(library: Library) -> None:
    for number in range(40):
        install(library, f"m{number}", os.urandom(1 << 19))
    memory = settings.home() / "integrity" / "read.jsonl"
    process = subprocess.Popen([sys.executable, "-c", CHECK], stdout=subprocess.PIPE)
    until = time.monotonic() + 60
    while not (memory.exists() and memory.stat().st_size) and time.monotonic() < until:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    rest = verify(library)
    assert rest.ok and rest.files == 80
    assert rest.trusted > 0 and rest.read < rest.bytes


def test_a_repair_that_is_killed_leaves_old_or_new(library: Library) -> None:
    good = os.urandom(8 << 20)
    victim = install(library, "big", good)["model"]
    kept = settings.home() / "trainings" / "run" / "gguf" / "Q8_0.gguf"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(good)
    chance = random.Random(7)
    for _ in range(6):
        flip(victim, 5)
        broken = digest_of(victim)
        killed(REPAIR, chance.uniform(0, 0.05))
        assert digest_of(victim) in {broken, victim.name.replace("-", ":")}
        if digest_of(victim) == broken:
            assert only(verify(library)).path == victim
            flip(victim, 5)
    assert verify(library).ok and kept.read_bytes() == good

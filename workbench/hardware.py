"""What this machine is: processor, memory and graphics cards, as far as this process may use them.

A container sees the whole machine in most places, so processors are counted by affinity and
quota, and memory by the limits of every control group above this process (versions 1 and 2).
Nothing here raises or hangs: what cannot be found is empty, 0 or unknown, and a vendor's tool that
does not answer in five seconds is not asked again by this process.

Limits: quotas are rounded down to whole processors; AMD and Apple cards are read from their
tools' output as published, which was not tried on such hardware; Intel cards are not found.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_TOOL_SECONDS = 5.0
_ROOT = Path("/")
# what speeds up language models, by the names that /proc/cpuinfo (x86, Arm) and sysctl use
_FLAGS = """
avx avx2 avx2_0=avx2 f16c fma avx_vnni avx512f=avx512 avx512_vnni avx512_bf16 avx512_fp16
amx_tile=amx amx_int8 amx_bf16 asimd=neon neon asimddp=dotprod i8mm bf16 sve sve2
arm.feat_dotprod=dotprod arm.feat_i8mm=i8mm arm.feat_bf16=bf16
"""
_SETS = {flag.partition("=")[0]: flag.rpartition("=")[2] for flag in _FLAGS.split()}
_silent_tools: set[str] = set()


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card. Bytes; None when the driver does not tell. `shared`: it uses main memory."""

    name: str
    vendor: str  # "nvidia", "amd" or "apple"
    memory_total: int | None
    memory_free: int | None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use. Memory in bytes."""

    system: str  # "Linux 6.1.0", "Darwin 24.2.0"
    architecture: str  # "x86_64", "arm64"
    cpu: str
    physical_cores: int
    logical_cores: int
    instruction_sets: tuple[str, ...]
    memory_total: int
    memory_available: int
    gpus: tuple[Gpu, ...]


def machine() -> Machine:
    """This machine now. With a graphics card it asks the card's tool, which takes a moment."""
    physical, logical = usable_cores()
    total, available = memory()
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        cpu=_cpu()[0],
        physical_cores=physical,
        logical_cores=logical,
        instruction_sets=_cpu()[1],
        memory_total=total,
        memory_available=available,
        gpus=gpus(),
    )


def usable_cores(root: Path = _ROOT) -> tuple[int, int]:
    """Physical and logical processors that this process may keep busy; at least 1 each."""
    try:
        allowed = os.sched_getaffinity(0)
    except (AttributeError, OSError):  # not on Linux
        allowed = set(range(os.cpu_count() or 1))
    topology = root / "sys/devices/system/cpu"
    siblings = {_read(topology / f"cpu{n}/topology/thread_siblings_list") for n in allowed}
    physical = len(siblings) if "" not in siblings else psutil.cpu_count(logical=False) or 1
    logical = len(allowed)
    quota = cpu_quota(root)
    if quota is not None:
        logical = min(logical, max(1, int(quota)))
    return min(physical, logical), logical


def memory(root: Path = _ROOT) -> tuple[int, int]:
    """Total and available main memory for this process, in bytes."""
    found = psutil.virtual_memory()
    total, available = int(found.total), int(found.available)
    for limit, used in _memory_limits(root):
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return total, available


def disk_free(path: Path | str) -> int:
    """Free bytes where this path is or would be; 0 when it cannot be told."""
    place = Path(path).absolute()
    for folder in (place, *place.parents):
        try:
            return shutil.disk_usage(folder).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):
            return 0
    return 0


def gpus() -> tuple[Gpu, ...]:
    """The graphics cards that this process may use."""
    if sys.platform == "darwin":
        shared = Gpu(_cpu()[0], "apple", *memory(), shared=True)
        return (shared,) if platform.machine() == "arm64" else ()
    nvidia = _run(
        "nvidia-smi",
        "--query-gpu=index,uuid,memory.total,memory.free,name",
        "--format=csv,noheader,nounits",
    )
    found = parse_nvidia(nvidia, os.environ.get("CUDA_VISIBLE_DEVICES"))
    amd = parse_rocm(_run("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json"))
    return (*found, *(amd or _amd_from_kernel(_ROOT)))


def parse_nvidia(output: str, visible: str | None = None) -> tuple[Gpu, ...]:
    """Cards of `nvidia-smi --query-gpu=index,uuid,memory.total,memory.free,name` (MiB).

    `visible` is CUDA_VISIBLE_DEVICES. A chip that shares the main memory tells "[N/A]" of it.
    """
    cards: list[Gpu] = []
    wanted = None if visible is None else [v.strip() for v in visible.split(",") if v.strip()]
    for row in csv.reader(output.splitlines(), skipinitialspace=True):
        if len(row) < 5 or not row[0].strip().isdigit():
            continue
        index, uuid = row[0].strip(), row[1].strip()
        if wanted is not None and not any(w == index or uuid.startswith(w) for w in wanted):
            continue
        total, free = (_digits(field, 1024 * 1024) for field in row[2:4])
        name = ", ".join(row[4:]).strip()
        shared = total is None
        total, free = memory() if shared else (total, free)
        cards.append(Gpu(name, "nvidia", total, free, shared))
    return tuple(cards)


def parse_rocm(output: str) -> tuple[Gpu, ...]:
    """Cards of `rocm-smi --showproductname --showmeminfo vram --json` (bytes)."""
    try:
        cards = json.loads(output[output.index("{") :])
    except ValueError:
        return ()
    found: list[Gpu] = []
    for key, card in cards.items() if isinstance(cards, dict) else ():
        if not key.startswith("card") or not isinstance(card, dict):
            continue
        fields = {str(k).lower(): str(v) for k, v in card.items()}
        total = _digits(fields.get("vram total memory (b)", ""))
        if total is None:
            continue  # "cardsystem" and its kin describe the driver
        used = _digits(fields.get("vram total used memory (b)", ""))
        name = fields.get("card series") or fields.get("card model") or "AMD graphics"
        found.append(Gpu(name, "amd", total, None if used is None else total - used))
    return tuple(found)


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """Name and instruction sets from /proc/cpuinfo; the name is empty where it has none (Arm)."""
    name = re.search(r"^(?:model name|cpu model)\s*:\s*(.+)$", text, re.M | re.I)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    return (
        " ".join(name.group(1).split()) if name else "",
        _known_sets(flags.group(1).split() if flags else []),
    )


def parse_sysctl(text: str) -> tuple[str, tuple[str, ...]]:
    """Name and instruction sets from the lines of `sysctl machdep.cpu hw.optional`."""
    values = dict(re.findall(r"^([\w.]+):\s*(.*)$", text, re.M))
    flags = [k.removeprefix("hw.optional.") for k, v in values.items() if v.strip() == "1"]
    return values.get("machdep.cpu.brand_string", "").strip(), _known_sets(flags)


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Processors that the control groups grant, as a number like 1.5; None without a limit."""
    granted: list[float] = []
    for folder in _groups(root, "cpu"):
        text = _read(folder / "cpu.max") or " ".join(
            _read(folder / f"cpu.cfs_{part}_us") for part in ("quota", "period")
        )
        with suppress(ValueError, ZeroDivisionError):
            quota, period = (float(word) for word in text.split())  # "max" is no number
            if quota > 0:
                granted.append(quota / period)
    return min(granted, default=None)


def _memory_limits(root: Path) -> list[tuple[int, int]]:
    """(limit, used) of every control group above us that has a limit."""
    found: list[tuple[int, int]] = []
    for folder in _groups(root, "memory"):
        for limit_name, used_name, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.high", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = _digits(_read(folder / limit_name))
            used = _digits(_read(folder / used_name)) or 0
            if limit is not None:  # "max" is no number; version 1 writes 2^63 for "none"
                cache_bytes = re.search(rf"^{cached} (\d+)$", _read(folder / "memory.stat"), re.M)
                found.append((limit, used - (int(cache_bytes.group(1)) if cache_bytes else 0)))
    return found


def _groups(root: Path, controller: str) -> list[Path]:
    """The folders of the control groups that this process is in, up to the top of each tree."""
    folders: list[Path] = []
    top = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = top / controller if controllers else top
        group = base / path.strip().lstrip("/")
        # inside a container the path may be the host's, which is not there: the top is ours then
        folders += [f for f in (group, *group.parents) if f == base or base in f.parents]
    return list(dict.fromkeys(folders))


@cache
def _cpu() -> tuple[str, tuple[str, ...]]:
    if sys.platform == "darwin":
        name, sets = parse_sysctl(_run("sysctl", "machdep.cpu.brand_string", "hw.optional"))
    else:
        name, sets = parse_cpuinfo(_read(_ROOT / "proc/cpuinfo"))
    return name or platform.processor() or platform.machine() or "unknown", sets


def _amd_from_kernel(root: Path) -> tuple[Gpu, ...]:
    """Cards as the amdgpu driver shows them, for machines without ROCm's tools."""
    found: list[Gpu] = []
    for device in sorted((root / "sys/class/drm").glob("card[0-9]*/device")):
        total = _digits(_read(device / "mem_info_vram_total"))
        if _read(device / "vendor") == "0x1002" and total is not None:
            used = _digits(_read(device / "mem_info_vram_used"))
            name = _read(device / "product_name") or f"AMD graphics {_read(device / 'device')}"
            found.append(Gpu(name.strip(), "amd", total, None if used is None else total - used))
    return tuple(found)


def _run(*command: str) -> str:
    """What a vendor's tool prints; nothing when it is missing, fails or hangs."""
    tool = shutil.which(command[0])
    if tool is None or tool in _silent_tools:
        return ""
    try:
        process = subprocess.Popen(
            [tool, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        output, _ = process.communicate(timeout=_TOOL_SECONDS)
    except subprocess.TimeoutExpired:
        _silent_tools.add(tool)
        process.kill()  # and no wait: a tool stuck in its driver cannot even be killed
        return ""
    return output.decode("utf-8", "replace") if process.returncode == 0 else ""


def _known_sets(flags: list[str]) -> tuple[str, ...]:
    names = [_SETS[flag.lower()] for flag in flags if flag.lower() in _SETS]
    return tuple(dict.fromkeys(names))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _digits(text: str, unit: int = 1) -> int | None:
    return unit * int(text) if text.strip().isascii() and text.strip().isdigit() else None

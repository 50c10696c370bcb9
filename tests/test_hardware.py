"""Hardware: this machine for real, others by what their tools and kernels are recorded to say."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from workbench import hardware
from workbench.hardware import (
    Gpu,
    cpu_quota,
    disk_free,
    gpus,
    machine,
    memory,
    parse_cpuinfo,
    parse_nvidia,
    parse_rocm,
    parse_sysctl,
    usable_cores,
)

GIB = 1024**3
MIB = 1024**2

NVIDIA = """\
0, GPU-6f1e2c1a-0000-1111-2222-333344445555, 24564, 23971, NVIDIA GeForce RTX 4090
1, GPU-aa00bb11-0000-1111-2222-333344445555, 81559, 81044, NVIDIA H100 80GB HBM3
"""
ROCM = """\
WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status

{"card0": {"VRAM Total Memory (B)": "21458059264", "VRAM Total Used Memory (B)": "27856896",
 "Card Series": "Radeon RX 7900 XT", "Card Model": "0x744c", "GFX Version": "gfx1100"},
 "card1": {"VRAM Total Memory (B)": "67108864", "VRAM Total Used Memory (B)": "N/A",
 "Card series": "Raphael"},
 "system": {"Driver version": "6.8.5"}}
"""
XEON = """\
processor	: 0
vendor_id	: GenuineIntel
model name	: Intel(R) Xeon(R)  Platinum 8488C
flags		: fpu sse4_2 fma avx f16c avx2 avx512f avx_vnni avx512_bf16 amx_bf16 amx_tile
"""
ARM = """\
processor	: 0
BogoMIPS	: 2100.00
Features	: fp asimd evtstrm aes asimddp sve i8mm bf16
CPU part	: 0xd40
"""
APPLE = """\
machdep.cpu.brand_string: Apple M2 Pro
hw.optional.neon: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
hw.optional.avx512f: 0
"""


def tree(root: Path, files: dict[str, str]) -> Path:
    """A piece of /proc and /sys as some machine has it."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_this_machine() -> None:
    found = machine()
    assert found.cpu
    assert 1 <= found.physical_cores <= found.logical_cores <= (os.cpu_count() or 1)
    assert 0 < found.memory_available <= found.memory_total <= psutil.virtual_memory().total
    assert found.system.startswith(("Linux", "Darwin"))
    if found.architecture == "x86_64" and sys.platform == "linux":
        flags = Path("/proc/cpuinfo").read_text()
        assert ("avx2" in found.instruction_sets) == (" avx2 " in flags)


def test_affinity_bounds_the_cores() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}]); "
        "from workbench.hardware import usable_cores; print(*usable_cores())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert said.stdout.split() == ["1", "1"], said.stderr


def test_quota_of_version_2_is_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/job\n",
            "sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n",
        },
    )
    assert cpu_quota(root) == 1.5
    assert usable_cores(root)[1] == 1


def test_quota_of_version_1(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/\n",
            # the path is the host's: in the container only the top is there
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cpu_quota(root) == 0.5
    assert usable_cores(root) == (1, 1)  # half a processor is still one thread


@pytest.mark.parametrize("text", ["-1", "rubbish", ""])
def test_no_quota(tmp_path: Path, text: str) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": text,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "0",
        },
    )
    assert cpu_quota(root) is None
    assert cpu_quota(tmp_path / "nothing here") is None


def test_memory_of_a_limited_group_counts_the_cache_as_free(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/job\n",
            "sys/fs/cgroup/job/memory.max": str(64 * MIB),
            "sys/fs/cgroup/job/memory.high": "max",
            "sys/fs/cgroup/job/memory.current": str(40 * MIB),
            "sys/fs/cgroup/job/memory.stat": f"anon 1\ninactive_file {10 * MIB}\n",
        },
    )
    assert memory(root) == (64 * MIB, 34 * MIB)


def test_memory_of_version_1(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/a/b\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(32 * MIB),
            "sys/fs/cgroup/memory/a/memory.usage_in_bytes": str(40 * MIB),
        },
    )
    assert memory(root) == (32 * MIB, 0)


def test_memory_without_groups_is_the_machines(tmp_path: Path) -> None:
    assert memory(tmp_path)[0] == psutil.virtual_memory().total


def test_nvidia_cards() -> None:
    assert parse_nvidia(NVIDIA) == (
        Gpu("NVIDIA GeForce RTX 4090", "nvidia", 24564 * MIB, 23971 * MIB),
        Gpu("NVIDIA H100 80GB HBM3", "nvidia", 81559 * MIB, 81044 * MIB),
    )


@pytest.mark.parametrize(
    ("visible", "names"),
    [("1", ["H100"]), ("GPU-6f1e", ["4090"]), ("", []), ("-1", []), ("0, 1", ["4090", "H100"])],
)
def test_cards_that_are_hidden_from_us(visible: str, names: list[str]) -> None:
    found = parse_nvidia(NVIDIA, visible)
    assert len(found) == len(names)
    assert all(name in card.name for name, card in zip(names, found, strict=True))


def test_a_chip_that_shares_main_memory() -> None:
    (card,) = parse_nvidia("0, GPU-1, [N/A], [N/A], NVIDIA GB10\n")
    assert card.shared
    assert card.memory_total == memory()[0]


@pytest.mark.parametrize("text", ["", "No devices were found\n", "a,b\n", "x, y, z, 1, 2\n", "\0"])
def test_nvidia_rubbish_is_no_card(text: str) -> None:
    assert parse_nvidia(text) == ()


def test_amd_cards() -> None:
    assert parse_rocm(ROCM) == (
        Gpu("Radeon RX 7900 XT", "amd", 21458059264, 21458059264 - 27856896),
        Gpu("Raphael", "amd", 67108864, None),
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"card0": 3}', '{"card0": {}}', "{}{}"])
def test_amd_rubbish_is_no_card(text: str) -> None:
    assert parse_rocm(text) == ()


def test_amd_card_without_rocm(tmp_path: Path) -> None:
    device = "sys/class/drm/card1/device/"
    root = tree(
        tmp_path,
        {
            device + "vendor": "0x1002\n",
            device + "device": "0x744c\n",
            device + "mem_info_vram_total": f"{20 * GIB}\n",
            device + "mem_info_vram_used": f"{GIB}\n",
            "sys/class/drm/card0/device/vendor": "0x8086\n",
        },
    )
    assert hardware._amd_from_kernel(root) == (
        Gpu("AMD graphics 0x744c", "amd", 20 * GIB, 19 * GIB),
    )


def test_processors() -> None:
    name, sets = parse_cpuinfo(XEON)
    assert name == "Intel(R) Xeon(R) Platinum 8488C"
    assert {"avx2", "avx512", "avx512_bf16", "avx_vnni", "amx", "amx_bf16"} <= set(sets)
    assert parse_cpuinfo(ARM) == ("", ("neon", "dotprod", "sve", "i8mm", "bf16"))
    assert parse_sysctl(APPLE) == ("Apple M2 Pro", ("neon", "dotprod", "i8mm"))
    assert parse_cpuinfo("") == ("", ())


def install(folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)


def test_tools_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "said").write_text(NVIDIA)
    install(tmp_path, "nvidia-smi", f"cat {tmp_path}/said")
    install(tmp_path, "rocm-smi", "echo broken; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [card.vendor for card in gpus()] == ["nvidia", "nvidia"]


def test_a_tool_that_hangs_is_left_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "nvidia-smi", f"echo asked >> {tmp_path}/count; exec sleep 20")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(hardware, "_TOOL_SECONDS", 0.5)
    assert gpus() == ()
    assert gpus() == ()
    assert (tmp_path / "count").read_text().count("asked") == 1


def test_disk(tmp_path: Path) -> None:
    assert disk_free(tmp_path) > 0
    assert disk_free(tmp_path / "not" / "made" / "yet") > 0
    assert disk_free(__file__ + "/below a file") > 0
    assert disk_free("\0") == 0

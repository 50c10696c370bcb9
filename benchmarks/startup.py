"""Start-up: `import workbench` and `workbench --help` against a bare interpreter.

Budgets of the design: 100 ms over the bare interpreter for the import, 300 ms in all for the
help. The rival is `python -c pass` in the same run; commands alternate, so that a noisy
neighbour hits all alike, and the median counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import workbench": [sys.executable, "-c", "import workbench"],
    "workbench --help": [str(Path(sys.executable).parent / "workbench"), "--help"],
}
REPEATS = 15


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    for command in COMMANDS.values():  # caches warm
        seconds(command)
    rounds = [{name: seconds(cmd) for name, cmd in COMMANDS.items()} for _ in range(REPEATS)]
    medians = {name: statistics.median(row[name] for row in rounds) for name in COMMANDS}
    bare = medians["python -c pass"]
    print("| command | median ms | over a bare interpreter | ratio |\n|---|---|---|---|")
    for name, value in medians.items():
        over = (value - bare) * 1000
        print(f"| `{name}` | {value * 1000:.0f} | {over:.0f} ms | {value / bare:.2f} |")


if __name__ == "__main__":
    main()

"""What a model takes and how fast it is: predicted against measured, ours and others'.

    python benchmarks/fit.py [--memory] [--speed] [--quick] [--write]

Without --memory or --speed both are run. `--quick` takes a few small shapes (about a minute);
all of them take some ten minutes on two cores and up to 3 GB of disk and memory at a time.
`--write` puts the tables into docs/benchmarks/fit.md; a part that was not run stays as it was.
"""

from __future__ import annotations

from reports import run

_PARTS = {"Memory": "fit_memory", "Speed": "fit_speed"}
_TITLE = "# Predicted and measured: what models take, how fast they are\n"

if __name__ == "__main__":
    run("fit", __doc__, _TITLE, _PARTS, "a few small shapes")

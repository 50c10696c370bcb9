"""Training against its peers, and the price tag against what happened, on this machine.

    python benchmarks/training.py [--speed] [--price] [--quick] [--write]

Speed: tokens a second, loss and peak memory of our training from scratch and of our LoRA, beside
TRL's SFTTrainer as it comes and plain PyTorch loops in fp32 and in bf16. Each way is a process of
its own; they take turns of a few steps, so that a noisy neighbour hits all alike, and the median
step counts. Price: time and memory as predicted before the start, beside those of the training.

Without --speed or --price both are run. With `--quick` speed takes nine minutes on two
cores, and the price seven. `--write` puts the tables into docs/benchmarks/training.md.
"""

from __future__ import annotations

from reports import run

_PARTS = {"Speed": "training_speed", "Price": "training_price"}
_TITLE = "# Training: speed, memory and the price tag\n"

if __name__ == "__main__":
    run("training", __doc__, _TITLE, _PARTS, "fewer steps and runs")

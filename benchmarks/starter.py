"""The starter's training step against the plain way to write it, in one run, on this machine.

The rival is what one would write first: fp32, AdamW, memory given back after each step. Rounds
alternate, so that a noisy neighbour hits both alike, and the quickest step of each counts. Speed
is only half of it: the losses after the same number of tokens are told as well.

    python benchmarks/starter.py [steps]
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext

from workbench.pretrain._loop import fastest_precision
from workbench.pretrain._model import new_model, next_token_loss
from workbench.pretrain._optimizer import Optimizers, learning_rate
from workbench.pretrain._rows import Stream, tensor
from workbench.pretrain._tokenizer import encode_texts, train_tokenizer
from workbench.starter._corpus import read_corpus
from workbench.work import steady_heap, use_cores

VOCABULARY, DEPTH, CONTEXT, ROWS, ROUND = 4096, 3, 256, 16, 5


class Contestant:
    """A model with its way to be trained. All begin with the same weights and read the same."""

    def __init__(self, optimizer: str, precision: str, heap: bool) -> None:
        import torch

        torch.manual_seed(0)
        self.model = new_model(VOCABULARY, DEPTH, CONTEXT)
        self.ours = Optimizers(self.model) if optimizer == "muon" else None
        self.adam = torch.optim.AdamW(self.model.parameters(), 3e-3, (0.9, 0.95), fused=True)
        self.precision, self.heap = precision, heap
        self.quickest, self.losses = float("inf"), [0.0]

    def run(self, stream: Stream, first: int, count: int, total: int) -> None:
        with steady_heap() if self.heap else nullcontext():
            for step in range(first, first + count):
                began = time.perf_counter()
                loss = next_token_loss(
                    self.model, tensor(stream.draw(step * ROWS, ROWS)), self.precision
                )
                loss.backward()
                self._update(step / total)
                self.quickest = min(self.quickest, time.perf_counter() - began)
                self.losses.append(float(loss.detach()))

    def _update(self, share: float) -> None:
        if self.ours is not None:
            self.ours.step(learning_rate(share), self.precision)
            return
        for group in self.adam.param_groups:
            group["lr"] = 3e-3 * learning_rate(share)
        self.adam.step()
        self.adam.zero_grad()


def main(steps: int = 60) -> None:
    threads = use_cores()
    texts = [source.text for source in read_corpus().training]
    tokens = encode_texts(train_tokenizer(texts, VOCABULARY), texts)
    stream = Stream.pack(tokens, CONTEXT, (0,))
    quicker = fastest_precision(new_model(VOCABULARY, DEPTH, CONTEXT), stream)
    contestants = {
        f"ours (Muon, {quicker}, steady heap)": Contestant("muon", quicker, True),
        f"AdamW, {quicker}": Contestant("adam", quicker, False),
        "AdamW, fp32": Contestant("adam", "fp32", False),
    }
    for first in range(0, steps, ROUND):
        for contestant in contestants.values():
            contestant.run(stream, first, min(ROUND, steps - first), steps)
    slowest = list(contestants.values())[-1].quickest
    print(f"{threads} threads, {steps} steps of {ROWS * CONTEXT} tokens\n")
    print("| way | tokens/s | ratio | loss at the end |\n|---|---|---|---|")
    for name, one in contestants.items():
        speed, last = ROWS * CONTEXT / one.quickest, sum(one.losses[-5:]) / 5
        print(f"| {name} | {speed:.0f} | {slowest / one.quickest:.2f} | {last:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

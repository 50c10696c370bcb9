"""Learning itself: settings, examples as rows of tokens, the loss, updates, checkpoints."""

from workbench.learn._core import (
    VALIDATED,
    arguments,
    evaluate_every,
    learn,
    out_of_memory,
    resumed,
    rows_of,
    run_from,
    steps_of,
)
from workbench.learn._curve import Curve
from workbench.learn._encode import Counts, Encoded, Encoder, encode, template_for, tokenizer_of
from workbench.learn._keep import newest, place, prune, seal
from workbench.learn._network import Network, chosen_precision, load_network, recompute
from workbench.learn._presets import presets, settings_of
from workbench.learn._rows import Rows, pack
from workbench.learn._settings import Settings
from workbench.learn._speed import token_operations
from workbench.learn._watch import Watch, watched

__all__ = [
    "VALIDATED",
    "Counts",
    "Curve",
    "Encoded",
    "Encoder",
    "Network",
    "Rows",
    "Settings",
    "Watch",
    "arguments",
    "chosen_precision",
    "encode",
    "evaluate_every",
    "learn",
    "load_network",
    "newest",
    "out_of_memory",
    "pack",
    "place",
    "presets",
    "prune",
    "recompute",
    "resumed",
    "rows_of",
    "run_from",
    "seal",
    "settings_of",
    "steps_of",
    "template_for",
    "token_operations",
    "tokenizer_of",
    "watched",
]

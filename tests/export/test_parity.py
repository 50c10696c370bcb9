"""The parity gate passes a faithful file and refuses every damaged one, saying where they part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export.hf_tiny import write_tokenizer
from tiny import CHATML

from workbench.engines import Engine
from workbench.errors import TrainingError
from workbench.export import LIMITS, Parity, parity, write_adapter, write_gguf
from workbench.export._look import divergence_of
from workbench.gguf import QUANTISATIONS

TEXTS = [
    "import os\n\n\ndef main():\n    for name in sorted(os.listdir('.')):\n        print(name)\n",
    "<|im_start|>user\nReturn the length of a list.<|im_end|>\n<|im_start|>assistant\nlen(x)",
    "Ünïcödé – naïve ☃ 你好",
    "",
]
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


def test_a_faithful_file_passes(engine: Engine, model_folder: Path, tmp_path: Path) -> None:
    files = write_gguf(model_folder, tmp_path, ["F16", "Q8_0", "BF16"])
    report = parity(model_folder, files, TEXTS, conversations=[CHAT])
    assert report.ok, report.why
    assert [row.kind for row in report.rows] == ["F16", "Q8_0", "BF16"]
    for row in report.rows:
        assert row.template_equal and row.tokens_equal and not row.why
        assert row.kl is not None and 0 <= row.kl <= LIMITS[row.kind].kl
        assert row.perplexity == pytest.approx(row.reference_perplexity, rel=0.03)
        assert row.reference_perplexity and row.reference_perplexity > 20
    assert report.places > 30 and report.texts >= 4
    assert report.worst is not None
    assert json.loads(json.dumps(report.to_json()))["ok"] is True
    assert engine.models() == [], "nothing is left behind"


def test_without_texts_and_without_a_template(engine: Engine, folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config.pop("chat_template", None)
    path.write_text(json.dumps(config))
    report = parity(folder, write_gguf(folder, tmp_path / "gguf", ["F16"]), [])
    assert report.ok, report.why
    assert report.rows[0].template_equal is None


def _weights(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return damage


def _scale(name: str, factor: float) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        tensors[name] = tensors[name] * np.float32(factor)

    return change


def _swap_rows(tensors: dict[str, Any]) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    tensors[name] = np.ascontiguousarray(tensors[name][::-1])


def _template(text: str) -> Callable[[Path], None]:
    return lambda folder: write_tokenizer(folder, text)


def _config(**values: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return damage


def _other_tokens(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    one, two = "Ġthe", "Ġa"
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    path.write_text(json.dumps(tokenizer))


DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "rows in another order": (_weights(_swap_rows), "choice"),
    "a weak tensor": (_weights(_scale("model.layers.1.mlp.down_proj.weight", 0.5)), "choice"),
    "a slightly wrong norm": (_weights(_scale("model.norm.weight", 1.1)), "likelihood"),
    "another rope base": (_config(rope_parameters={"rope_type": "default", "rope_theta": 500.0}),
                          "choice"),
    "another turn": (_template(CHATML.replace("<|im_end|>", " <|im_end|>")), "template"),
    "no prompt for the answer": (_template(CHATML.partition("{% if add_gen")[0]), "template"),
    "other tokens": (_other_tokens, "tokens"),
}  # fmt: skip


@pytest.fixture
def original(model_folder: Path) -> Path:
    return model_folder


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused(
    name: str, engine: Engine, original: Path, folder: Path, tmp_path: Path
) -> None:
    damage, what = DAMAGED[name]
    damage(folder)
    report = parity(original, write_gguf(folder, tmp_path / "gguf", ["F16"]), TEXTS)
    [row] = report.rows
    assert not report.ok and row.why
    assert report.worst is not None and report.worst.what == what, row.why
    assert repr(report.worst.found) in report.why and f"F16: {row.why}" == report.why
    assert row.template_equal is (what != "template")
    assert row.tokens_equal is (what != "tokens")
    assert engine.models() == []


def test_numbers_that_are_none_and_files_that_are_no_model(
    engine: Engine, model_folder: Path, tmp_path: Path
) -> None:
    path = write_gguf(model_folder, tmp_path, ["F32"])["F32"]
    content = bytearray(path.read_bytes())
    content[-4000:] = b"\xff" * 4000  # of 32 bits: not a number
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(content)
    none = tmp_path / "none.gguf"
    none.write_bytes(b"GGUF but no more")
    report = parity(model_folder, {"F32": bad, "F16": none}, TEXTS[:1])
    assert [row.ok for row in report.rows] == [False, False]
    assert "cannot use the file" in report.rows[1].why
    assert engine.models() == []


def test_an_adapter_is_compared_on_its_base(
    engine: Engine, model_folder: Path, lora_folder: Path, tmp_path: Path
) -> None:
    from workbench.export import merge

    merged = merge(model_folder, lora_folder, tmp_path / "merged")
    files = write_gguf(model_folder, tmp_path, ["F16"])
    adapter = write_adapter(model_folder, lora_folder, tmp_path / "adapter.gguf")
    report = parity(merged, files, TEXTS, adapter=adapter)
    assert report.ok, report.why
    assert not parity(merged, files, TEXTS).ok, "the base alone is another model"


def test_folders_that_cannot_be_a_reference(engine: Engine, folder: Path, tmp_path: Path) -> None:
    files = write_gguf(folder, tmp_path / "gguf", ["F16"])
    write_tokenizer(folder, "{{ raise_exception('never') }}")
    with pytest.raises(TrainingError, match=r"cannot write a plain question.*never"):
        parity(folder, files, TEXTS)
    write_tokenizer(folder, "{% if broken")
    with pytest.raises(TrainingError, match="cannot write a plain question"):
        parity(folder, files, TEXTS)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"tokenizer in .* cannot be read"):
        parity(folder, files, TEXTS)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"no tokenizer\.json"):
        parity(folder, files, TEXTS)


def test_the_divergence_never_exceeds_that_over_all_tokens() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        p, q = (random.dirichlet(np.full(200, 0.3)) + 1e-12 for _ in range(2))
        whole = float(np.sum(p * np.log(p / q)))
        likely = {str(i): float(p[i]) for i in range(200)}
        found = {str(i): float(q[i]) for i in np.argsort(-q)[:20]}
        assert 0 < divergence_of(likely, found) <= whole + 1e-9
    assert divergence_of({"a": 1.0}, {"a": 1.0}) == 0
    assert divergence_of({"a": 1.0}, {"b": 0.9}) == pytest.approx(np.log(10))
    assert divergence_of({"a": 0.5}, {"a": 0.0}) > 5


def test_every_kind_has_its_limits() -> None:
    assert set(LIMITS) == set(QUANTISATIONS)
    order = sorted(LIMITS.values(), key=lambda one: one.kl)
    assert [one.top1 for one in order] == sorted((one.top1 for one in order), reverse=True)
    assert Parity((), 0, 0).worst is None

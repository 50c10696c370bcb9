"""Stored models: what is broken is told for each model, and mended where its bytes are here."""

from __future__ import annotations

from pathlib import Path

from doctor_tools import blob, examine, mend, verdict

from workbench import settings
from workbench.engines import connect


def test_damaged_models(engine: str) -> None:
    file = blob("tiny/latest")
    content = bytearray(file.read_bytes())

    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert verdict(examine(), "model files") is True, "the sizes are right"
    (item,) = examine(thorough=True)["model files"]
    assert item.ok is False and "was changed" in item.message and "tiny:latest" in item.message
    assert item.action == "repair files" and item.about == "tiny:latest" and item.safe

    file.write_bytes(content[:-10])
    (item,) = examine()["model files"]
    assert item.ok is False and f"{len(content) - 10} of {len(content)} bytes" in item.message

    file.unlink()
    (item,) = examine()["model files"]
    assert item.ok is False and "is missing" in item.message


def test_hostile_manifests() -> None:
    folder = settings.models_folder() / "manifests/registry.ollama.ai/library/bad"
    folder.mkdir(parents=True)
    texts = ("{", "[]", '{"config": {"digest": "../../x", "size": 1}, "layers": []}', "\x00\xff",
             '{"config": 1, "layers": 2}', '{"layers": [{}]}', "[" * 100_000)  # fmt: skip
    for number, text in enumerate(texts):
        (folder / f"t{number}").write_text(text)
    items = examine()["model files"]
    assert [item.ok for item in items] == [False] * len(texts)
    assert all("manifest is damaged" in item.message for item in items)
    assert items[0].command == "workbench models rm --yes bad:t0" and not items[0].action


def test_a_broken_file_is_mended_from_a_training(engine: str, tiny_gguf: Path) -> None:
    file = blob("tiny/latest")
    file.write_bytes(b"\0" * file.stat().st_size)
    (item,) = examine(thorough=True)["model files"]
    kept = settings.home() / "trainings" / "run" / "gguf" / "F32.gguf"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(tiny_gguf.read_bytes())
    done = mend(item)
    assert done.done and "copied from" in done.words
    assert verdict(examine(thorough=True), "model files") is True
    assert mend(item).words == "tiny:latest is whole."
    with connect() as client:
        assert client.generate("tiny", "def", options={"num_predict": 2}).metrics.eval_count == 2


def test_what_is_left_over_is_a_note() -> None:
    blobs = settings.models_folder() / "blobs"
    blobs.mkdir(parents=True)
    (blobs / ("sha256-" + "a" * 64)).write_bytes(b"nobody's")
    (blobs / "notes.txt").write_text("mine")
    good, *left = examine()["model files"]
    assert good.ok is True and [item.ok for item in left] == [None, None]
    assert "named by no model" in left[0].message
    assert (blobs / "notes.txt").exists()


def test_a_folder_that_cannot_be_read() -> None:
    folder = settings.models_folder() / "manifests" / "registry.ollama.ai"
    folder.mkdir(parents=True)
    folder.chmod(0o000)
    try:
        (item,) = examine()["model files"]
        assert item.ok is False and mend(item).done
        assert verdict(examine(), "model files") is True
    finally:
        folder.chmod(0o700)

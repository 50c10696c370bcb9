"""Folders of models: GGUF files, parts, Hugging Face folders, and everything that is broken."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import write_tiny_llama

from workbench.cards import Card, _disk, on_disk
from workbench.catalogue import Catalogue, gather, network_for
from workbench.fit import Load, memory

CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "vocab_size": 100,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


def one(folder: Path | str) -> Card:
    (card,), problems = on_disk([folder])
    assert problems == ()
    return card


def checkpoint(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    tensors = {"model.embed_tokens.weight": np.zeros((100, 64), np.float16)}
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_a_file_tells_all_by_its_header(tiny_gguf: Path) -> None:
    card = one(tiny_gguf.parent)
    assert (card.name, card.path, card.origins) == ("tiny", tiny_gguf, ("disk",))
    assert card.context == 512 and card.quantisation == "F32" and card.installed is None
    assert card.download == tiny_gguf.stat().st_size and card.capabilities == ("completion",)
    assert card.parameters and card.size_class == "tiny" and card.categories == ("general",)
    assert card.architecture and card.architecture.layers == 2
    assert card.network and card.network.from_file
    assert card.sources["context"] == "the file's header"
    assert one(tiny_gguf) == card
    network = network_for(card)
    assert network is card.network and memory(network, Load()).ram.value > card.download


def test_an_embedding_file_is_one(tiny_embedding_gguf: Path) -> None:
    card = one(tiny_embedding_gguf)
    assert card.capabilities == ("embedding",) and card.categories == ("embedding",)


def test_what_a_file_does_not_tell_is_missing(tiny_gguf: Path) -> None:
    card = one(tiny_gguf)
    assert card.license is None and card.publisher is None and card.hf_repo is None
    assert card.released is None and card.scores == () and card.active_parameters is None


def test_metadata_names_licence_publisher_and_repository(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "x-Q4_0.gguf", "llama")
    writer.add_license("apache-2.0")
    writer.add_organization("Someone")
    writer.add_source_repo_url("https://huggingface.co/someone/x")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    card = one(tmp_path)
    assert (card.license, card.publisher, card.hf_repo) == ("Apache-2.0", "Someone", "someone/x")
    assert card.architecture is None and card.network is None and card.notes  # says why
    assert network_for(card) is None


def split(source: Path, folder: Path) -> list[Path]:
    """The model of `source` in two parts, as llama.cpp splits: metadata in the first."""
    reader = gguf.GGUFReader(source)
    half = len(reader.tensors) // 2
    paths = []
    for number, tensors in enumerate((reader.tensors[:half], reader.tensors[half:]), 1):
        path = folder / f"big-Q8_0-{number:05}-of-00002.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        if number == 1:
            for key in ("block_count", "embedding_length", "context_length"):
                value = int(reader.fields[f"llama.{key}"].parts[-1][0])
                writer.add_uint32(f"llama.{key}", value)
            writer.add_feed_forward_length(128)
            writer.add_head_count(4)
            writer.add_head_count_kv(2)
        for tensor in tensors:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        paths.append(path)
    return paths


def test_parts_are_one_model(tiny_gguf: Path, tmp_path: Path) -> None:
    paths = split(tiny_gguf, tmp_path)
    card, whole = one(tmp_path), one(tiny_gguf)
    assert card.name == "big-Q8_0" and card.path == paths[0]
    assert card.parameters == whole.parameters and card.architecture and whole.architecture
    shape, same = card.architecture, whole.architecture
    assert (shape.layers, shape.width, shape.kv_heads) == (same.layers, same.width, same.kv_heads)
    assert shape.vocabulary == same.vocabulary
    assert card.download == sum(path.stat().st_size for path in paths)
    paths[1].unlink()
    cards, (problem,) = on_disk([tmp_path])
    assert cards == () and "2 parts" in problem


def test_broken_files_are_problems_and_hide_nothing(tiny_gguf: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_gguf, tmp_path / "good.gguf")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "text.gguf").write_text("no model at all, only some words")
    (tmp_path / "cut.gguf").write_bytes(tiny_gguf.read_bytes()[:-1000])
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.gguf").mkdir()
    os.mkfifo(tmp_path / "pipe.gguf")
    asked = [tmp_path, tmp_path / "missing", "no\0folder", "~nobody-of-this-name/models"]
    cards, problems = on_disk(asked)
    assert [card.name for card in cards] == ["good"]
    for name in ("empty.gguf", "text.gguf", "cut.gguf", "missing", "no\\x00folder", "nobody"):
        assert sum(name in problem for problem in problems) == 1, name
    assert len(problems) == 6


def test_links_lead_neither_out_nor_in_circles(tiny_gguf: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    (asked / "deep").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(tiny_gguf, outside / "secret.gguf")
    shutil.copy(tiny_gguf, asked / "deep" / "mine.gguf")
    (asked / "out").symlink_to(outside)
    (asked / "out.gguf").symlink_to(outside / "secret.gguf")
    (asked / "deep" / "circle").symlink_to(asked)
    (asked / "self").symlink_to(asked / "self")
    checkpoint(outside / "hf")
    (asked / "hf").mkdir()
    for name in ("config.json", "model.safetensors"):
        (asked / "hf" / name).symlink_to(outside / "hf" / name)
    (asked / "again.gguf").symlink_to(asked / "deep" / "mine.gguf")
    card = one(asked)
    assert card.name in {"again", "mine"}  # one file, found once
    cards, (problem,) = on_disk([asked / "self"])
    assert cards == () and "not a folder" in problem


def test_a_link_that_was_asked_for_is_followed(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tiny_gguf.parent)
    assert one(tmp_path / "link").name == "tiny"


def test_huge_trees_are_cut_and_said_so(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path.joinpath(*(["d"] * (_disk.DEEPEST + 3)))
    deep.mkdir(parents=True)
    shutil.copy(tiny_gguf, tmp_path / "d" / "top.gguf")
    shutil.copy(tiny_gguf, deep / "bottom.gguf")
    cards, (problem,) = on_disk([tmp_path])
    assert [card.name for card in cards] == ["top"] and "too deeply" in problem
    for number in range(30):
        (tmp_path / f"{number}.txt").touch()
    monkeypatch.setattr(_disk, "MOST_ENTRIES", 10)
    _, problems = on_disk([tmp_path])
    assert any("more than 10 entries" in problem for problem in problems)


def test_projectors_and_adapters_are_no_models(tmp_path: Path) -> None:
    for name, architecture, kind in (("mmproj", "clip", None), ("lora", "llama", "adapter")):
        writer = gguf.GGUFWriter(tmp_path / f"{name}.gguf", architecture)
        if kind:
            writer.add_type(kind)
        writer.add_tensor("v.weight", np.zeros((4, 4), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    assert on_disk([tmp_path]) == ((), ())


def test_a_hugging_face_folder_tells_its_shape(tmp_path: Path) -> None:
    cache = tmp_path / "models--Someone--Nice-1B" / "snapshots" / "abc"
    card = one(checkpoint(cache).parent)
    assert (card.name, card.hf_repo) == ("Nice-1B", "Someone/Nice-1B")
    assert card.parameters == 6400 and card.context == 2048 and card.quantisation == "F16"
    shape = card.architecture
    assert shape and (shape.name, shape.layers, shape.width, shape.tied) == ("llama", 2, 64, True)
    assert shape.kv_heads == (2, 2) and shape.key_size == (16, 16) and shape.context == 2048
    assert card.path == cache and network_for(card)


def test_an_unknown_family_has_no_shape_but_a_card(tmp_path: Path) -> None:
    card = one(checkpoint(tmp_path / "odd", model_type="nobody-knows"))
    assert card.architecture is None and card.parameters == 6400 and network_for(card) is None
    assert any("nobody-knows" in note for note in card.notes)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": -1},
        {"num_hidden_layers": "two"},
        {"hidden_size": 1e308},
        {"vocab_size": None},
        {"num_attention_heads": 0},
        {"num_key_value_heads": [1]},
        {"max_position_embeddings": float("nan")},
        {"model_type": ["llama"]},
    ],
)
def test_an_absurd_config_gives_no_shape(tmp_path: Path, changes: dict[str, object]) -> None:
    card = one(checkpoint(tmp_path / "odd", **changes))
    assert card.parameters == 6400
    assert card.context is None if "max_position_embeddings" in changes else not card.architecture


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe", b'{"a": 1' + b" " * 10]
)
def test_a_broken_config_is_a_problem(tmp_path: Path, content: bytes) -> None:
    checkpoint(tmp_path / "odd")
    (tmp_path / "odd" / "config.json").write_bytes(content)
    cards, (problem,) = on_disk([tmp_path])
    assert cards == () and "config.json" in problem


def test_a_pipe_among_weights_is_not_waited_for(tmp_path: Path) -> None:
    checkpoint(tmp_path / "odd")
    os.mkfifo(tmp_path / "odd" / "more.safetensors")
    assert one(tmp_path).parameters == 6400


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (10).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (60).to_bytes(8, "little")
        + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(60),
        (60).to_bytes(8, "little")
        + b'{"a":{"dtype":"F32","shape":[-9],"data_offsets":[0,0]}}'.ljust(60),
    ],
)
def test_broken_weights_are_a_problem(tmp_path: Path, content: bytes) -> None:
    checkpoint(tmp_path / "odd")
    (tmp_path / "odd" / "model.safetensors").write_bytes(content)
    cards, (problem,) = on_disk([tmp_path])
    assert cards == () and "model.safetensors" in problem


def test_gather_has_files_beside_shipped_cards(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    catalogue = gather(folders=[tiny_gguf.parent, tmp_path])
    assert isinstance(catalogue, Catalogue) and catalogue.get("tiny").path == tiny_gguf
    assert len(catalogue.problems) == 1 and "bad.gguf" in catalogue.problems[0]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "m.gguf", context=512)
    assert one(path).context == 512
    write_tiny_llama(path, context=1024)
    os.utime(path, ns=(1, 1))
    assert one(path).context == 1024

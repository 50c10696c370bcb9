"""create: from a model, from GGUF files, from a Hugging Face folder; what is refused, and how."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from library_tools import Scheduler, create, until, upload
from tiny import write_tiny_llama

from workbench.gguf import read_header
from workbench.library import Library


@pytest.fixture
async def digest(client: httpx.AsyncClient, tiny_gguf: Path) -> str:
    """The tiny model, uploaded."""
    return await upload(client, tiny_gguf.read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small Llama in Hugging Face's format, with a tokenizer and a LoRA adapter beside it."""
    return write_checkpoint(tmp_path / "checkpoint")


def write_checkpoint(folder: Path) -> Path:
    import torch
    from safetensors.torch import save_file
    from tiny import CHATML, vocabulary
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokens, merges = vocabulary()
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|bos|>", "<|im_end|>", "<|im_start|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": "<|bos|>", "eos_token": "<|im_end|>", "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    adapter = folder / "adapter"
    adapter.mkdir()
    name = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    save_file(
        {name.format(n, side): torch.ones(shape) * 0.01
         for n in range(2) for side, shape in (("A", (4, 64)), ("B", (64, 4)))},
        adapter / "adapter_model.safetensors",
    )  # fmt: skip
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]})
    )
    return folder


async def files(client: httpx.AsyncClient, folder: Path) -> dict[str, str]:
    return {
        path.name: await upload(client, path.read_bytes())
        for path in folder.iterdir()
        if path.is_file()
    }


async def refused(client: httpx.AsyncClient, fields: dict[str, Any]) -> str:
    response = await client.post("/api/create", json={"model": "refused", **fields})
    assert response.status_code == 400
    return str(response.json()["error"])


def statuses(lines: list[dict[str, Any]]) -> list[str]:
    return [line["status"].partition(" sha256:")[0] for line in lines]


async def test_a_gguf_file_becomes_a_model(
    client: httpx.AsyncClient, digest: str, library: Library
) -> None:
    lines = await create(client, "New:one", files={"sub/a.gguf": digest}, system="Be kind.")
    assert statuses(lines) == [
        "parsing GGUF", "using existing layer", "creating new layer", "writing manifest", "success",
    ]  # fmt: skip
    model = library.find("new:ONE")
    assert (model.name.display(), model.system) == ("New:one", "Be kind.")
    assert model.model_path == library.blob(digest)
    assert model.config["model_format"] == "gguf"


async def test_a_model_from_another_inherits_merges_and_replaces(
    client: httpx.AsyncClient, digest: str, library: Library
) -> None:
    await create(
        client, "base", files={"a.gguf": digest}, template="{{ .Prompt }}!", system="old",
        license="MIT", parameters={"top_k": 1, "temperature": 0.5, "stop": ["a"]},
        messages=[{"role": "user", "content": "old"}],
    )  # fmt: skip
    lines = await create(
        client, "child", **{"from": "BASE"}, system="new", license=["MIT", "Apache"],
        parameters={"top_k": 2.0, "unknown": 5, "stop": ["b"]},
        messages=[{"role": "assistant", "content": "new"}],
    )  # fmt: skip
    assert lines[-1] == {"status": "success"}
    child = library.find("child")
    assert child.template == "{{ .Prompt }}!"
    assert child.system == "new"
    assert child.licenses == ("MIT", "Apache")
    assert child.parameters == {"top_k": 2, "temperature": 0.5, "stop": ["b"]}
    assert [turn.content for turn in child.messages] == ["new"]
    assert child.details["parent_model"] == "BASE"
    assert library.find("base").system == "old"


async def test_replacing_a_model_unloads_its_old_file(
    client: httpx.AsyncClient, digest: str, library: Library, scheduler: Scheduler, tmp_path: Path
) -> None:
    await create(client, "m", files={"a.gguf": digest})
    old = library.find("m").model_path
    other = write_tiny_llama(tmp_path / "other.gguf", seed=7)
    await create(client, "M", files={"a.gguf": await upload(client, other.read_bytes())})
    assert scheduler.unloaded == [old]
    assert not old.exists()
    assert library.find("m").model_path.read_bytes() == other.read_bytes()


async def test_quantising(client: httpx.AsyncClient, digest: str, library: Library) -> None:
    lines = await create(client, "small", files={"a.gguf": digest}, quantize="q8_0")
    progress = [line for line in lines if line["status"] == "quantizing F32 model to Q8_0"]
    assert progress[-1]["completed"] <= progress[-1]["total"]
    assert progress[-1]["digest"] == digest
    small = library.find("small")
    assert small.details["quantization_level"] == "Q8_0"
    assert read_header(small.model_path).file_type == "Q8_0"
    error = await refused(client, {"from": "small", "quantize": "Q4_0"})
    assert "only supported for F16, BF16 and F32 models, and this one is Q8_0" in error


async def test_a_hugging_face_folder_becomes_a_model(
    client: httpx.AsyncClient, folder: Path, library: Library
) -> None:
    uploaded = await files(client, folder)
    lines = await create(client, "hf", files=uploaded, quantize="Q4_K_M")
    assert statuses(lines)[0] == "converting model"
    assert lines[-1] == {"status": "success"}
    model = library.find("hf")
    assert model.header.architecture == "llama"
    assert model.details["quantization_level"] == "Q4_K_M"
    assert "<|im_start|>" in model.header.metadata["tokenizer.chat_template"]
    assert not list(library.blobs.folder.glob("tmp-*"))


async def test_an_adapter_is_put_on_a_model(
    client: httpx.AsyncClient, folder: Path, library: Library
) -> None:
    await create(client, "hf", files=await files(client, folder))
    adapter = await files(client, folder / "adapter")
    lines = await create(client, "tuned", **{"from": "hf"}, adapters=adapter)
    assert "converting adapter" in statuses(lines)
    assert lines[-1] == {"status": "success"}
    [path] = library.find("tuned").adapter_paths
    assert read_header(path).metadata["general.type"] == "adapter"
    digest = "sha256:" + path.name.removeprefix("sha256-")
    lines = await create(client, "again", **{"from": "hf"}, adapters={"a.gguf": digest})
    assert lines[-1] == {"status": "success"}
    assert library.find("again").adapter_paths == (path,)
    await create(client, "once", **{"from": "again"}, adapters={"a.gguf": digest})
    assert library.find("once").adapter_paths == (path,)
    two = {"a.gguf": digest, "b.gguf": digest}
    error = await refused(client, {"from": "hf", "adapters": two})
    assert error == "only one adapter is currently supported"
    wrong = {"a.gguf": "sha256:" + library.find("hf").model_path.name.removeprefix("sha256-")}
    assert await refused(client, {"from": "hf", "adapters": wrong}) == "this is no adapter"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "neither 'from' or 'files' was specified"),
        ({"files": {}}, "no files provided to convert"),
        ({"files": {"/etc/passwd": "D"}}, "file path must be relative"),
        ({"files": {"../a.gguf": "D"}}, "file path must be relative"),
        ({"files": {"a/../../b.gguf": "D"}}, "file path must be relative"),
        ({"files": {"C:\\a.gguf": "D"}}, "file path must be relative"),
        ({"files": {"C:a.gguf": "D"}}, "file path must be relative"),
        ({"files": {"a\0.gguf": "D"}}, "file path must be relative"),
        ({"files": {"": "D"}}, "file path must be relative"),
        ({"files": {".": "D"}}, "file path must be relative"),
        ({"files": {"a.gguf": "sha256:no"}}, "invalid digest format"),
        ({"files": {"a.gguf": 5}}, "invalid digest format"),
        ({"files": {"a.gguf": "sha256:" + "0" * 64}},
         f"blob sha256:{'0' * 64} was not uploaded; upload it first"),
        ({"files": {"a.bin": "TEXT"}}, "unknown type"),
        ({"files": {"a.gguf": "TEXT"}}, "supplied file was not in GGUF format"),
        ({"files": {"m-00001-of-00002.gguf": "D"}},
         "a GGUF in several parts is not supported; join it with llama-gguf-split"),
        ({"files": {"a.gguf": "D", "b.gguf": "D"}},
         "files must hold one model, beside projectors and adapters"),
        ({"files": {"a.gguf": "D"}, "quantize": "Q9"}, "quantize must be one of"),
        ({"files": {"a.gguf": "D"}, "template": "{{ if }}"}, "template error: line 1:"),
        ({"files": {"a.gguf": "D"}, "parameters": {"top_k": "x"}},
         'option "top_k" must be of type integer'),
        ({"files": {"a.gguf": "D"}, "messages": [{"role": "x"}]}, "each message must be"),
        ({"files": {"a.gguf": "D"}, "license": [1]}, "license must be"),
        ({"files": [1]}, 'json: cannot use array as "files" of type object'),
        ({"from": "../x"}, "invalid model name"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_it_begins(
    client: httpx.AsyncClient, digest: str, library: Library, fields: Any, message: str
) -> None:
    text = await upload(client, b"not a model at all")
    if isinstance(fields.get("files"), dict):
        names = {"D": digest, "TEXT": text}
        fields = fields | {"files": {k: names.get(v, v) for k, v in fields["files"].items()}}
    for stream in (True, False):
        response = await client.post("/api/create", json={"model": "m", "stream": stream, **fields})
        assert response.status_code == 400
        assert message in response.json()["error"]
    assert library.installed() == []


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def counts(content: bytes) -> bytes:
    return content[:8] + b"\xff" * 8 + content[16:]


def strings(content: bytes) -> bytes:
    return content[:24] + b"\xff" * 7 + b"\x7f" + content[32:]


@pytest.mark.parametrize("harm", [cut, counts, strings, lambda content: content[:20]])
async def test_a_hostile_gguf_gets_one_sentence(
    client: httpx.AsyncClient, tiny_gguf: Path, library: Library, harm: Any
) -> None:
    digest = await upload(client, harm(tiny_gguf.read_bytes()))
    response = await client.post("/api/create", json={"model": "m", "files": {"a.gguf": digest}})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error.startswith("a.gguf cannot be used: ")
    assert "\n" not in error
    assert library.installed() == []
    assert not list(library.blobs.folder.glob("tmp-*"))


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
async def test_an_incomplete_folder_is_refused(
    client: httpx.AsyncClient, folder: Path, library: Library, missing: str
) -> None:
    uploaded = await files(client, folder)
    del uploaded[missing]
    lines = await create(client, "hf", files=uploaded)
    assert missing in lines[-1]["error"] or "tokenizer" in lines[-1]["error"]
    assert library.installed() == []
    assert not list(library.blobs.folder.glob("tmp-*"))


async def test_files_that_cannot_lie_side_by_side(
    client: httpx.AsyncClient, digest: str, library: Library
) -> None:
    both = {"a.safetensors": digest, "a.safetensors/b": digest}
    lines = await client.post("/api/create", json={"model": "m", "files": both})
    assert lines.status_code == 400
    assert "cannot be used" in lines.json()["error"]


async def test_the_stored_files_are_never_changed(
    client: httpx.AsyncClient, folder: Path, library: Library
) -> None:
    """The converter reads links to the blobs; they must come out as they went in."""
    uploaded = await files(client, folder)
    before = {d: library.blob(d).stat().st_mtime_ns for d in uploaded.values()}
    await create(client, "hf", files=uploaded)
    for digest, stamp in before.items():
        assert library.blob(digest).stat().st_mtime_ns == stamp


async def test_a_client_that_leaves_stops_the_work(
    url: str, tmp_path: Path, library: Library
) -> None:
    big = write_tiny_llama(tmp_path / "big.gguf", layers=8, width=512)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        digest = await upload(client, big.read_bytes())
        body = {"model": "m", "files": {"a.gguf": digest}, "quantize": "Q4_K_M"}
        async with client.stream("POST", "/api/create", json=body) as response:
            async for line in response.aiter_lines():
                if "quantizing" in line:
                    break
    await until(lambda: not list(library.blobs.folder.glob("tmp-*")))
    assert library.installed() == []


async def test_others_are_answered_while_it_works(url: str, tmp_path: Path) -> None:
    big = write_tiny_llama(tmp_path / "big.gguf", layers=8, width=512)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        digest = await upload(client, big.read_bytes())
        body = {"model": "m", "files": {"a.gguf": digest}, "quantize": "Q8_0"}
        task = asyncio.create_task(client.post("/api/create", json=body))
        answers = 0
        while not task.done():
            assert (await client.get("/api/tags")).status_code == 200
            answers += 1
        assert answers > 2
        assert '"success"' in (await task).text

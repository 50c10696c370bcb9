"""tags, show, copy, delete, blobs: the protocol's answers, texts and statuses."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from library_tools import Scheduler, create, until, upload

from workbench.library import Library
from workbench.protocol import digest_of, parse_modelfile


@pytest.fixture
async def model(client: httpx.AsyncClient, tiny_gguf: Path) -> str:
    """A model with every kind of text; its name."""
    digest = await upload(client, tiny_gguf.read_bytes())
    await create(
        client, "Me/Model:v1", files={"tiny.gguf": digest}, template="{{ .System }}{{ .Prompt }}",
        system='Say "hi"\nor not.', license=["MIT", "second"],
        parameters={"temperature": 0.5, "num_ctx": 256, "stop": ["<|im_end|>", "é"]},
        messages=[{"role": "user", "content": "Hello"}],
    )  # fmt: skip
    return "Me/Model:v1"


async def test_nothing_is_installed_at_first(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/tags")).json() == {"models": []}


async def test_tags_list_what_is_installed(
    client: httpx.AsyncClient, model: str, library: Library
) -> None:
    [line] = (await client.get("/api/tags")).json()["models"]
    installed = library.find(model)
    assert line["name"] == line["model"] == model
    assert (line["size"], line["digest"]) == (installed.size, installed.digest)
    assert line["capabilities"] == ["completion"]
    assert line["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": line["details"]["parameter_size"],
        "quantization_level": "F32",
        "context_length": 512,
        "embedding_length": 64,
    }
    assert line["details"]["parameter_size"].endswith("K")


async def test_show_tells_everything(
    client: httpx.AsyncClient, model: str, library: Library
) -> None:
    shown = (await client.post("/api/show", json={"model": "me/MODEL:V1"})).json()
    assert shown["license"] == "MIT\nsecond"
    assert shown["template"] == "{{ .System }}{{ .Prompt }}"
    assert shown["system"] == 'Say "hi"\nor not.'
    assert sorted(shown["parameters"].splitlines()) == [
        "num_ctx                        256",
        'stop                           "<|im_end|>"',
        'stop                           "é"',
        "temperature                    0.5",
    ]
    assert shown["messages"] == [{"role": "user", "content": "Hello"}]
    assert shown["capabilities"] == ["completion"]
    assert "context_length" not in shown["details"]
    info = shown["model_info"]
    assert info["general.architecture"] == "llama"
    assert info["llama.context_length"] == 512
    assert info["general.parameter_count"] > 100_000
    assert info["tokenizer.ggml.tokens"] is None
    assert not {"general.name", "tokenizer.chat_template"} & info.keys()
    first = shown["tensors"][0]
    assert (first["name"], first["type"], first["shape"]) == (
        "token_embd.weight",
        "F32",
        [64, 1000],
    )
    assert "projector_info" not in shown
    assert "renderer" not in shown
    again = parse_modelfile(shown["modelfile"])
    assert again.from_ == (str(library.find(model).model_path),)
    assert again.system == shown["system"]
    assert again.parameters["stop"] == ["<|im_end|>", "é"]


async def test_show_verbose_has_the_arrays(client: httpx.AsyncClient, model: str) -> None:
    body = {"name": model, "verbose": True, "system": "Other."}
    shown = (await client.post("/api/show", json=body)).json()
    tokens = shown["model_info"]["tokenizer.ggml.tokens"]
    assert (len(tokens), tokens[0]) == (1000, "<|bos|>")
    assert shown["system"] == "Other."


async def test_a_model_without_a_template_shows_that_of_its_file(
    client: httpx.AsyncClient, tiny_gguf: Path
) -> None:
    await create(client, "m", files={"a.gguf": await upload(client, tiny_gguf.read_bytes())})
    shown = (await client.post("/api/show", json={"model": "m"})).json()
    assert "{% for message in messages %}" in shown["template"]
    assert "system" not in shown
    assert "license" not in shown


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "show", {"model": ""}, 400, "model is required"),
        ("POST", "show", {}, 400, "model is required"),
        ("POST", "show", {"model": "../../x"}, 400, "invalid model name"),
        ("POST", "show", {"model": "None"}, 404, "model 'None:latest' not found"),
        ("POST", "copy", {"source": "", "destination": "a"}, 400, 'source "" is invalid'),
        ("POST", "copy", {"source": "../x", "destination": "a"}, 400, 'source "../x" is invalid'),
        ("POST", "copy", {"source": "a", "destination": "/"}, 400, 'destination "/" is invalid'),
        ("POST", "copy", {"source": "A", "destination": "b"}, 404, 'model "A" not found'),
        ("DELETE", "delete", {"model": ""}, 400, 'name "" is invalid'),
        ("DELETE", "delete", {"model": "a/b/c/d/e"}, 400, 'name "a/b/c/d/e" is invalid'),
        ("DELETE", "delete", {"name": "Gone"}, 404, "model 'Gone' not found"),
        ("POST", "create", {"model": "a@b", "from": "x"}, 400, "invalid model name"),
        ("POST", "create", {"from": "x"}, 400, "invalid model name"),
        ("POST", "pull", {"model": "a:b:c"}, 400, "invalid model name"),
        ("POST", "pull", {}, 400, "invalid model name"),
        ("POST", "pull", {"model": "http://example.com/a/b"}, 400,
         "insecure protocol http; allow it with insecure or use https"),
    ],
)  # fmt: skip
async def test_errors_have_the_protocols_status_and_text(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, message: str
) -> None:
    response = await client.request(method, f"/api/{path}", json=body)
    assert (response.status_code, response.json()) == (status, {"error": message})


async def test_copy_and_delete(
    client: httpx.AsyncClient, model: str, library: Library, scheduler: Scheduler
) -> None:
    path = library.find(model).model_path
    body = {"source": model, "destination": "other"}
    response = await client.post("/api/copy", json=body)
    assert (response.status_code, response.content) == (200, b"")
    response = await client.request("DELETE", "/api/delete", json={"model": model})
    assert (response.status_code, response.content) == (200, b"")
    assert (path.exists(), scheduler.unloaded) == (True, [])
    await client.request("DELETE", "/api/delete", json={"model": "OTHER"})
    assert (path.exists(), scheduler.unloaded) == (False, [path])
    assert list(library.blobs.folder.iterdir()) == []


async def test_a_blob_is_taken_once_and_found(client: httpx.AsyncClient, library: Library) -> None:
    content = b"x" * 9_000_000
    digest = digest_of(content)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    assert (await client.head(f"/api/blobs/{digest}")).status_code == 404
    assert (await client.post(f"/api/blobs/{digest}", content=pieces())).status_code == 201
    assert (await client.head(f"/api/blobs/{digest}")).status_code == 200
    assert (await client.head(f"/api/blobs/{digest.replace(':', '-')}")).status_code == 200
    assert (await client.post(f"/api/blobs/{digest}", content=pieces())).status_code == 200
    assert library.blob(digest).read_bytes() == content
    assert len(list(library.blobs.folder.iterdir())) == 1


async def test_a_blob_with_another_digest_leaves_nothing(
    client: httpx.AsyncClient, library: Library
) -> None:
    wrong = digest_of(b"expected")
    response = await client.post(f"/api/blobs/{wrong}", content=b"got")
    right = digest_of(b"got")
    assert response.status_code == 400
    assert response.json() == {"error": f'digest mismatch, expected "{wrong}", got "{right}"'}
    assert list(library.blobs.folder.iterdir()) == []


@pytest.mark.parametrize("digest", ["sha256:abc", "x", "sha256:" + "z" * 64, "..%2Fx"])
async def test_a_bad_digest_is_refused(client: httpx.AsyncClient, digest: str) -> None:
    assert (await client.head(f"/api/blobs/{digest}")).status_code in {400, 404}
    response = await client.post(f"/api/blobs/{digest}", content=b"x")
    assert response.status_code in {400, 404}
    assert response.status_code == 404 or "invalid digest format" in response.text


async def test_the_empty_blob(client: httpx.AsyncClient) -> None:
    digest = "sha256:" + hashlib.sha256().hexdigest()
    assert (await client.post(f"/api/blobs/{digest}", content=b"")).status_code == 201


async def test_a_broken_upload_leaves_nothing(url: str, library: Library) -> None:
    parts = urlsplit(url)
    digest = digest_of(b"whole")
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(
            f"POST /api/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 1000000\r\n\r\nwho".encode()
        )
        await until(lambda: any(library.blobs.folder.iterdir()))
    await until(lambda: not any(library.blobs.folder.iterdir()))


async def test_a_full_upload_does_not_stop_other_requests(url: str, tmp_path: Path) -> None:
    """While a client uploads slowly, others are answered."""
    content = b"y" * 2_000_000
    gate = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield content[:1_000_000]
        await gate.wait()
        yield content[1_000_000:]

    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        post = client.post(f"/api/blobs/{digest_of(content)}", content=slowly())
        task = asyncio.create_task(post)
        assert (await client.get("/api/tags")).status_code == 200
        gate.set()
        assert (await task).status_code == 201

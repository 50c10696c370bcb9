"""The official Python client, unmodified, against our routes on a real server."""

from __future__ import annotations

from pathlib import Path

import ollama
import pytest
from library_tools import serving
from registry_server import RegistryServer

from workbench.library import Library


def test_the_official_client_manages_models(url: str, tiny_gguf: Path, library: Library) -> None:
    client = ollama.Client(host=url)
    assert client.list().models == []
    digest = client.create_blob(tiny_gguf)
    steps = [
        step.status
        for step in client.create(
            "tiny:one", files={"tiny.gguf": digest}, system="Be kind.", license=["MIT"],
            template="{{ .Prompt }}", parameters={"temperature": 0.1, "stop": ["x"]},
            messages=[{"role": "user", "content": "Hi"}], stream=True,
        )
    ]  # fmt: skip
    assert steps[-1] == "success"
    assert client.create("tiny:two", from_="tiny:one", system="Be short.").status == "success"
    listed = client.list().models
    assert [model.model for model in listed] == ["tiny:two", "tiny:one"]
    assert listed[0].size == library.find("tiny:two").size
    assert listed[0].modified_at is not None
    assert listed[0].details is not None
    assert (listed[0].details.format, listed[0].details.family) == ("gguf", "llama")
    shown = client.show("tiny:two")
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.capabilities == ["completion"]
    assert "SYSTEM Be short." in (shown.modelfile or "")
    assert client.copy("tiny:two", "me/three").status == "success"
    assert client.delete("tiny:two").status == "success"
    assert {model.model for model in client.list().models} == {"tiny:one", "me/three:latest"}


def test_its_errors_have_the_protocols_texts(url: str) -> None:
    client = ollama.Client(host=url)
    for call in (lambda: client.show("nothing"), lambda: client.delete("nothing:latest")):
        with pytest.raises(
            ollama.ResponseError, match="model 'nothing:latest' not found"
        ) as caught:
            call()
        assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match=r'source "\.\./x" is invalid'):
        client.copy("../x", "y")
    with pytest.raises(ollama.ResponseError, match="neither 'from' or 'files' was specified"):
        client.create("x")


def test_it_pulls_with_progress(url: str, tiny_gguf: Path, library: Library) -> None:
    registry = RegistryServer()
    registry.add("me/model:v1", tiny_gguf.read_bytes(), system="From afar.")
    with serving(registry.app) as host:
        name = host.removeprefix("http://") + "/me/model:v1"
        client = ollama.Client(host=url)
        steps = list(client.pull(name, stream=True))
        assert steps[0].status == "pulling manifest"
        assert steps[-1].status == "success"
        assert any(step.total == tiny_gguf.stat().st_size == step.completed for step in steps)
        assert client.pull(name).status == "success"
        with pytest.raises(ollama.ResponseError, match="file does not exist"):
            client.pull(name + "x")
    assert library.find(name).system == "From afar."

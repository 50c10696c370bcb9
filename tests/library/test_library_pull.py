"""pull, against a real registry that cuts, flips, stalls and refuses."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from library_tools import QUICK, serving, until
from registry_server import RegistryServer
from tiny import write_tiny_llama

from workbench.embedded._stream import events_of
from workbench.errors import EngineError
from workbench.library import Library, Puller
from workbench.protocol import Layer, Manifest, ModelName, digest_of


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model of several parts: 800 kB and more in parts of 200 kB."""
    path = tmp_path_factory.mktemp("weights") / "m.gguf"
    return write_tiny_llama(path, layers=3, width=96).read_bytes()


@pytest.fixture
def puller(library: Library) -> Puller:
    return Puller(library, QUICK)


async def pull(puller: Puller, name: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    await puller.pull(ModelName.parse(name), lines.append)
    return lines


def pulling(puller: Puller, name: ModelName) -> AsyncGenerator[dict[str, Any], None]:
    return events_of(lambda emit: puller.pull(name, emit))


def leftovers(library: Library) -> list[str]:
    return [
        p.name for p in library.blobs.folder.iterdir() if "partial" in p.name or "tmp" in p.name
    ]


async def test_a_pull_brings_the_whole_model(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes
) -> None:
    sizes = registry.add("me/model:v1", weights, system="Be kind.", params={"top_k": 7})
    lines = await pull(puller, f"{host}/me/model:v1")
    words = list(dict.fromkeys(line["status"] for line in lines))
    shorts = [f"pulling {digest.removeprefix('sha256:')[:12]}" for digest in sizes]
    assert words == ["pulling manifest", *shorts, "verifying sha256 digest", "writing manifest",
                     "success"]  # fmt: skip
    model_digest = digest_of(weights)
    progress = [line for line in lines if line.get("digest") == model_digest]
    assert {line["total"] for line in progress} == {len(weights)}
    assert [line.get("completed", 0) for line in progress] == sorted(
        line.get("completed", 0) for line in progress
    )
    assert progress[-1]["completed"] == len(weights)
    model = library.find(f"{host}/Me/model:V1")
    assert (model.system, model.parameters) == ("Be kind.", {"top_k": 7})
    assert model.model_path.read_bytes() == weights
    assert "sha256:" + model.digest == digest_of(registry.manifests["me/model:v1"])
    starts = sorted(start for digest, start, _ in registry.asked if digest == model_digest)
    assert len(starts) > 3
    assert registry.sent(model_digest) == len(weights)
    assert leftovers(library) == []


async def test_what_is_here_is_not_fetched_again(
    registry: RegistryServer, host: str, puller: Puller, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    await pull(puller, f"{host}/a/b:c")
    registry.asked.clear()
    lines = await pull(puller, f"{host}/a/b:c")
    assert registry.asked == []
    cached = [line for line in lines if line.get("digest") == digest_of(weights)]
    assert [line["completed"] for line in cached] == [len(weights)]


@pytest.mark.parametrize("seed", range(4))
async def test_a_cut_at_a_random_byte_is_resumed_there(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes, seed: int
) -> None:
    sizes = registry.add("a/b:c", weights)
    draw = random.Random(seed)
    cuts = [draw.randrange(1, 200_000) for _ in range(4)]
    registry.cuts = list(cuts)
    assert (await pull(puller, f"{host}/a/b:c"))[-1] == {"status": "success"}
    digest = digest_of(weights)
    parts = [(start, count) for asked, start, count in registry.asked if asked == digest]
    begins = [start for start, _ in parts]
    assert len(begins) == len(set(begins))  # no byte of a part was asked for from its start again
    assert registry.sent(digest) < len(weights) + len(cuts) * 16_384
    assert library.find(f"{host}/a/b:c").model_path.read_bytes() == weights
    assert set(sizes) == {f"sha256:{p.name[7:]}" for p in library.blobs.folder.iterdir()}


async def test_a_failed_pull_is_resumed_by_the_next(
    registry: RegistryServer, host: str, library: Library, weights: bytes
) -> None:
    """Each part gets half and then nothing, until the pull gives up; another one ends it."""
    registry.add("a/b:c", weights)
    digest, name = digest_of(weights), f"{host}/a/b:c"
    registry.cuts = [70_000] * 5 + [0] * 40
    with pytest.raises(EngineError, match=r"does not deliver .* what has come is kept"):
        await pull(Puller(library, QUICK), name)
    assert library.installed() == []
    assert leftovers(library)
    before = registry.sent(digest)
    assert before > 60_000
    registry.cuts, registry.asked = [], []
    assert (await pull(Puller(library, QUICK), name))[-1] == {"status": "success"}
    assert registry.sent(digest) <= len(weights) - before + 5 * 16_384
    assert any(start % 200_000 for _, start, _ in registry.asked)
    assert library.find(name).model_path.read_bytes() == weights
    assert leftovers(library) == []


PULLS = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from library_tools import QUICK
from workbench.library import Library
from workbench.library import Puller
from workbench.protocol import ModelName
async def main():
    puller = Puller(Library(Path(sys.argv[1])), QUICK)
    await puller.pull(ModelName.parse(sys.argv[2]), print)
asyncio.run(main())
"""


async def test_a_killed_pull_is_resumed_by_the_next(
    registry: RegistryServer, host: str, library: Library, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.pause = 0.03
    name, digest = f"{host}/a/b:c", digest_of(weights)
    here = str(Path(__file__).parent)
    arguments = [sys.executable, "-c", PULLS, str(library.root), name, here]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    await until(lambda: registry.sent(digest) > len(weights) // 3)
    assert process.poll() is None
    process.kill()
    process.wait()
    registry.pause, registry.asked = 0.0, []
    assert library.installed() == []
    await pull(Puller(library, QUICK), name)
    assert library.find(name).model_path.read_bytes() == weights
    assert registry.sent(digest) < len(weights) * 3 // 4
    assert leftovers(library) == []


@pytest.mark.parametrize("harm", ["[]", "{", '{"N":0,"Offset":5,"Size":-1,"Completed":0}', "size"])
async def test_a_state_that_makes_no_sense_starts_anew(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes, harm: str
) -> None:
    registry.add("a/b:c", weights)
    partial = library.blob(digest_of(weights)).name + "-partial"
    state = {"N": 0, "Offset": 0, "Size": len(weights), "Completed": len(weights)}
    text = json.dumps(state) if harm == "size" else harm
    (library.blobs.folder / partial).write_bytes(b"x")
    (library.blobs.folder / f"{partial}-0").write_text(text)
    await pull(puller, f"{host}/a/b:c")
    assert library.find(f"{host}/a/b:c").model_path.read_bytes() == weights
    assert leftovers(library) == []


async def test_a_flipped_byte_is_found_and_fetched_again(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.flips = True
    with pytest.raises(EngineError, match="digest mismatch, file must be downloaded again: want"):
        await pull(puller, f"{host}/a/b:c")
    assert library.installed() == []
    assert list(library.blobs.folder.iterdir()) == []
    registry.flips = False
    await pull(puller, f"{host}/a/b:c")
    path = library.find(f"{host}/a/b:c").model_path
    content = bytearray(weights)
    content[-5] ^= 16
    path.write_bytes(content)  # now on the disk
    await pull(puller, f"{host}/a/b:c")
    assert path.read_bytes() == weights


async def test_a_server_that_stalls_is_asked_again(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.stalls = 1
    await pull(puller, f"{host}/a/b:c")
    assert library.find(f"{host}/a/b:c").model_path.read_bytes() == weights


async def test_a_server_without_ranges_will_do(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.ranges = False
    registry.cuts = [50_000]
    await pull(puller, f"{host}/a/b:c")
    assert library.find(f"{host}/a/b:c").model_path.read_bytes() == weights


@pytest.mark.parametrize("statuses", [[500, 503, 429], [502], [429, 429]])
async def test_passing_trouble_is_waited_out(
    registry: RegistryServer, host: str, puller: Puller, weights: bytes, statuses: list[int]
) -> None:
    registry.add("a/b:c", weights)
    registry.statuses = statuses
    assert (await pull(puller, f"{host}/a/b:c"))[-1] == {"status": "success"}


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([404], "pull model manifest: file does not exist"),
        ([403], "an account or a token is needed"),
        ([418], "status 418"),
        ([500] * 9, "status 500"),
    ],
)
async def test_lasting_trouble_is_said(
    registry: RegistryServer, host: str, puller: Puller, weights: bytes, statuses: list[int],
    message: str,
) -> None:  # fmt: skip
    registry.add("a/b:c", weights)
    registry.statuses = statuses
    with pytest.raises(EngineError, match=message):
        await pull(puller, f"{host}/a/b:c")


async def test_nobody_answers(puller: Puller) -> None:
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9 does not deliver"):
        await pull(puller, "127.0.0.1:9/a/b")


async def test_a_challenge_is_answered_with_a_token(
    registry: RegistryServer, host: str, puller: Puller, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.token = "secret"
    assert (await pull(puller, f"{host}/a/b:c"))[-1] == {"status": "success"}


@pytest.mark.parametrize("realm", ["http://example.com/token", "ftp://x", "http://[", "/token"])
async def test_a_token_is_not_fetched_in_the_open(
    registry: RegistryServer, host: str, puller: Puller, weights: bytes, realm: str
) -> None:
    registry.add("a/b:c", weights)
    registry.token, registry.realm = "secret", realm
    with pytest.raises(EngineError, match="asks for a token in a way that is not safe"):
        await pull(puller, f"{host}/a/b:c")


async def test_a_token_does_not_follow_a_redirect(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store = RegistryServer()
    registry.add("org/repo:latest", weights)
    store.blobs = registry.blobs
    with serving(store.app) as url:
        registry.elsewhere = url
        await pull(puller, "hf.co/org/repo")
    assert library.find("hf.co/org/repo").model_path.read_bytes() == weights
    assert registry.headers[0]["authorization"] == "Bearer hf_secret"
    assert store.headers
    assert not any("authorization" in headers for headers in store.headers)


@pytest.mark.parametrize(
    "name", ["h:x/a/b", "h:1:2/a/b", "127.0.0.1:99999/a/b", "localhost:/a/b", "http://_/a/b"]
)
async def test_a_host_that_cannot_be_is_said(puller: Puller, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        await pull(puller, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["nonsense", "file:///etc", "http://[", "://"])
async def test_an_endpoint_that_cannot_be_is_said(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(EngineError):
        await pull(puller, "hf.co/a/b:c")


async def test_pulls_of_the_same_blob_share_a_download(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes
) -> None:
    registry.add("a/one:x", weights)
    registry.add("a/two:x", weights, system="another")
    registry.pause = 0.01
    await asyncio.gather(pull(puller, f"{host}/a/one:x"), pull(puller, f"{host}/a/two:x"))
    assert registry.sent(digest_of(weights)) == len(weights)
    assert len(library.installed()) == 2


async def test_a_download_stops_when_the_last_who_waits_leaves(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.pause = 0.02
    name, digest = ModelName.parse(f"{host}/a/b:c"), digest_of(weights)
    async with aclosing(pulling(puller, name)) as one, aclosing(pulling(puller, name)) as two:
        async for _ in one:
            if registry.sent(digest) > 50_000:
                break
        for _ in range(3):
            await anext(two)
        await one.aclose()
        before = registry.sent(digest)
        async for _ in two:  # it goes on for the other one
            if registry.sent(digest) > before + 50_000:
                break
    sent = registry.sent(digest)
    await asyncio.sleep(0.3)
    assert registry.sent(digest) <= sent + 8 * 16_384
    assert sent < len(weights)
    registry.pause = 0.0
    registry.asked.clear()
    await pull(puller, str(name.display()))
    assert registry.sent(digest) < len(weights) - 60_000
    assert library.find(name.display()).model_path.read_bytes() == weights


def _manifest(kind: str, size: int | None = None, content: bytes = b"x") -> bytes:
    layer = Layer(kind, digest_of(content), len(content) if size is None else size)
    return Manifest(layer, (layer,)).render()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"<html>", "this is not a manifest"),
        (b"[" * 100_000, "this is not a manifest"),
        (_manifest("tensor"), "not one GGUF file"),
        (_manifest("model", 2**62), "are needed and"),
        (_manifest("model", -1), "this is not a manifest"),
        (_manifest("model").replace(b"sha256:", b"sha256:../../"), "this is not a manifest"),
        (_manifest("model"), "cannot be used"),
        (b"x" * 17_000_000, "too large"),
    ],
)
async def test_a_hostile_manifest_installs_nothing(
    registry: RegistryServer, host: str, puller: Puller, library: Library, manifest: bytes,
    message: str,
) -> None:  # fmt: skip
    registry.manifests["a/b:c"] = manifest
    registry.blobs[digest_of(b"x")] = b"x"
    with pytest.raises(EngineError, match=message):
        await pull(puller, f"{host}/a/b:c")
    assert library.installed() == []
    assert leftovers(library) == []


async def test_the_route_tells_errors_in_a_line_or_a_status(
    client: httpx.AsyncClient, host: str
) -> None:
    body = {"model": f"{host}/no/such:model"}
    streamed = await client.post("/api/pull", json=body)
    assert streamed.status_code == 200
    assert [json.loads(line) for line in streamed.text.splitlines()] == [
        {"status": "pulling manifest"},
        {"error": "pull model manifest: file does not exist"},
    ]
    whole = await client.post("/api/pull", json={**body, "stream": False})
    assert (whole.status_code, whole.json()) == (
        500, {"error": "pull model manifest: file does not exist"},
    )  # fmt: skip


async def test_create_pulls_a_base_that_is_missing(
    registry: RegistryServer, host: str, client: httpx.AsyncClient, weights: bytes, library: Library
) -> None:
    registry.add("a/b:c", weights, system="old")
    body = {"model": "child", "from": f"{host}/a/b:c", "template": "{{ .Prompt }}"}
    answer = (await client.post("/api/create", json=body)).text
    words = [json.loads(line)["status"] for line in answer.splitlines()]
    assert words[0] == "pulling manifest"
    assert words.count("success") == 1
    child = library.find("child")
    assert (child.system, child.template) == ("old", "{{ .Prompt }}")


async def test_a_client_that_leaves_stops_the_pull(
    registry: RegistryServer, host: str, url: str, weights: bytes
) -> None:
    registry.add("a/b:c", weights)
    registry.pause = 0.05
    digest = digest_of(weights)
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        body = {"model": f"{host}/a/b:c"}
        async with client.stream("POST", "/api/pull", json=body) as response:
            async for _ in response.aiter_lines():
                if registry.sent(digest) > 30_000:
                    break
    last, same = -1, 0
    for _ in range(100):
        same = same + 1 if registry.sent(digest) == last else 0
        last = registry.sent(digest)
        if same == 6:
            break
        time.sleep(0.05)
    assert same == 6
    assert last < len(weights)


async def test_the_hub_as_a_registry(
    registry: RegistryServer, host: str, puller: Puller, library: Library, weights: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("WORKBENCH_HF_ENDPOINT", f"http://{host}/")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    registry.add("org/Repo-GGUF:Q4_K_M", weights)
    await pull(puller, "hf.co/org/Repo-GGUF:Q4_K_M")
    assert library.find("hf.co/org/repo-gguf:q4_k_m").model_path.read_bytes() == weights
    assert {headers["authorization"] for headers in registry.headers} == {"Bearer hf_x"}


@pytest.mark.parametrize(
    ("tag", "file"),
    [
        ("Q8_0", "sub/tiny-Q8_0.gguf"),
        ("q4_0", "tiny-Q4_0.gguf"),
        ("latest", "tiny-Q4_0.gguf"),
        ("tiny-f32.gguf", "tiny-F32.gguf"),
    ],
)
async def test_the_hub_by_its_files(
    registry: RegistryServer, host: str, puller: Puller, library: Library,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tag: str, file: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
    paths = ["sub/tiny-Q8_0.gguf", "tiny-Q4_0_4_8.gguf", "tiny-Q4_0.gguf", "tiny-F32.gguf"]
    for seed, path in enumerate(paths):
        model = write_tiny_llama(tmp_path / "x.gguf", seed=seed, width=32)
        registry.files[path] = model.read_bytes()
    registry.files["mmproj-Q8_0.gguf"] = b"not a model"
    lines = await pull(puller, f"huggingface.co/org/repo:{tag}")
    assert lines[-1] == {"status": "success"}
    model_path = library.find(f"huggingface.co/org/repo:{tag}").model_path
    assert model_path.read_bytes() == registry.files[file]


async def test_the_hub_has_no_such_file(
    registry: RegistryServer, host: str, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
    registry.files["a-Q8_0.gguf"] = b"x"
    with pytest.raises(EngineError, match=r"no GGUF file fits the tag Q2_K; .* a-Q8_0\.gguf"):
        await pull(puller, "hf.co/org/repo:Q2_K")

"""The folder of models: what is whole stays whole, what is damaged is said, what is used stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import EngineError, InvalidRequest, ModelNotFound
from workbench.library import Library
from workbench.protocol import Layer, Manifest, ModelName, digest_of


def install(library: Library, name: str, gguf: Path, **texts: Any) -> Manifest:
    """A model of a GGUF file and some layers of text, written directly."""
    content = gguf.read_bytes()
    layers = [Layer("model", library.blobs.add(content), len(content))]
    for kind, value in texts.items():
        data = (value if isinstance(value, str) else json.dumps(value)).encode()
        layers.append(Layer(kind, library.blobs.add(data), len(data)))
    config = json.dumps({"model_family": "llama"}).encode()
    manifest = Manifest(Layer("config", library.blobs.add(config), len(config)), tuple(layers))
    library.write_manifest(ModelName.parse(name), manifest)
    return manifest


def blobs(library: Library) -> set[str]:
    return {path.name.replace("sha256-", "sha256:") for path in library.blobs.folder.iterdir()}


def test_a_model_is_found_with_all_that_it_has(library: Library, tiny_gguf: Path) -> None:
    manifest = install(
        library, "Some/Model:Tag", tiny_gguf,
        template="{{ .Prompt }}", system="Be kind.", params={"top_k": 3, "stop": ["x"]},
        messages=[{"role": "user", "content": "Hi"}], license="MIT",
    )  # fmt: skip
    found = library.find("some/model:tag")
    assert found.name.display() == "Some/Model:Tag"
    assert found.model_path.read_bytes() == tiny_gguf.read_bytes()
    assert (found.template, found.system, found.licenses) == ("{{ .Prompt }}", "Be kind.", ("MIT",))
    assert found.parameters == {"top_k": 3, "stop": ["x"]}
    assert [(turn.role, turn.content) for turn in found.messages] == [("user", "Hi")]
    assert found.capabilities == ("completion",)
    assert found.details["family"] == "llama"
    assert found.details["quantization_level"] == "F32"
    assert found.details["context_length"] == 512
    assert found.size == manifest.size
    path = library.root / "manifests/registry.ollama.ai/Some/Model/Tag"
    assert found.digest == digest_of(path).removeprefix("sha256:")
    assert found.modified_at.tzinfo is not None


def test_an_embedding_model_is_known_by_its_pooling(
    library: Library, tiny_embedding_gguf: Path
) -> None:
    install(library, "embed", tiny_embedding_gguf)
    assert library.find("embed").capabilities == ("embedding",)


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}", {"completion", "tools"}),
        ("{{ .Prompt }}<gap>{{ .Suffix }}", {"completion", "insert"}),
        ("{{ range .Messages }}{{ .Thinking }}{{ end }}", {"completion", "thinking"}),
        ("{% if tools %}{% endif %}{{ messages }}<think></think>",
         {"completion", "tools", "thinking"}),
    ],
)  # fmt: skip
def test_the_template_tells_what_a_model_can(
    library: Library, tiny_gguf: Path, template: str, found: set[str]
) -> None:
    install(library, "m", tiny_gguf, template=template)
    assert set(library.find("m").capabilities) == found


def test_the_list_has_the_newest_first_and_skips_what_is_damaged(
    library: Library, tiny_gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("first", "second", "third"):
        install(library, name, tiny_gguf, system=name)
    manifests = library.root / "manifests/registry.ollama.ai/library"
    for age, name in enumerate(("third", "first", "second")):
        os.utime(manifests / name / "latest", (1e9 - age, 1e9 - age))
    (manifests / "junk").mkdir()
    (manifests / "junk" / "latest").write_text("{")
    (manifests / ".hidden").mkdir()
    (manifests / ".hidden" / "latest").write_text("not a name")
    names = [model.name.model for model in library.installed()]
    assert names == ["third", "first", "second"]
    library.installed()
    assert [r.message for r in caplog.records if "junk" in r.message] == [
        "junk:latest is damaged and left out: this is not a manifest of a model"
    ]


@pytest.mark.parametrize("harm", ["gone", "cut", "manifest", "config"])
def test_a_damaged_model_says_so_and_can_be_deleted(
    library: Library, tiny_gguf: Path, harm: str
) -> None:
    manifest = install(library, "m", tiny_gguf)
    blob = library.blob(manifest.layers[0].digest)
    path = library.root / "manifests/registry.ollama.ai/library/m/latest"
    if harm == "gone":
        blob.unlink()
    elif harm == "cut":
        blob.write_bytes(blob.read_bytes()[:-1])
    elif harm == "manifest":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        library.blob(manifest.config.digest).write_text("[]" + " " * (manifest.config.size - 2))
    with pytest.raises(EngineError, match="model 'm' is damaged"):
        library.find("m")
    library.delete("m")
    with pytest.raises(ModelNotFound, match=r"^model 'm' not found$"):
        library.find("m")
    assert not any(name.startswith("sha256:") for name in blobs(library))


@pytest.mark.parametrize("name", ["../../x", "a/b/c/d/e", "a\0b", "x@sha256", "x" * 500])
def test_hostile_names_reach_no_file(library: Library, name: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid model name"):
        library.find(name)
    with pytest.raises(InvalidRequest, match="is invalid"):
        library.delete(name)
    with pytest.raises(InvalidRequest, match=r"^destination "):
        library.copy("x", name)


def test_an_existing_spelling_stays(library: Library, tiny_gguf: Path) -> None:
    install(library, "Model", tiny_gguf, system="old")
    install(library, "mODEL", tiny_gguf, system="new")
    models = library.installed()
    assert [(model.name.display(), model.system) for model in models] == [("Model:latest", "new")]


def test_copies_share_blobs_until_the_last_is_gone(library: Library, tiny_gguf: Path) -> None:
    manifest = install(library, "one", tiny_gguf, system="only here")
    library.copy("ONE", "two:x")
    assert library.find("two:x").digest == library.find("one").digest
    library.delete("one")
    assert library.find("two:x").system == "only here"
    library.delete("two:x")
    assert not blobs(library) & {layer.digest for layer in manifest.all}
    assert not any((library.root / "manifests").iterdir())


def test_replacing_removes_what_only_the_old_one_used(library: Library, tiny_gguf: Path) -> None:
    old = install(library, "m", tiny_gguf, system="old text")
    new = install(library, "m", tiny_gguf, system="new text")
    assert old.layers[1].digest not in blobs(library)
    assert {layer.digest for layer in new.all} <= blobs(library)


def test_what_unfinished_work_holds_is_not_removed(library: Library, tiny_gguf: Path) -> None:
    manifest = install(library, "m", tiny_gguf, system="text")
    digests = [layer.digest for layer in manifest.all]
    with library.hold(digests[:1]) as keep:
        keep(digests[1])
        library.delete("m")
        assert set(digests) & blobs(library) == set(digests[:2])
    install(library, "m", tiny_gguf, system="text")
    library.delete("m")
    assert not set(digests) & blobs(library)


def test_a_manifest_is_not_written_over_missing_blobs(library: Library, tiny_gguf: Path) -> None:
    manifest = install(library, "m", tiny_gguf)
    library.delete("m")
    with pytest.raises(EngineError, match="is missing or cut"):
        library.write_manifest(ModelName.parse("m"), manifest)


def test_sweeping_takes_old_leftovers_only(library: Library, tiny_gguf: Path) -> None:
    install(library, "m", tiny_gguf)
    before = blobs(library)
    folder = library.blobs.folder
    for name in ("tmp-old", "tmp-new", "sha256-" + "a" * 64 + "-partial",
                 "sha256-" + "a" * 64 + "-partial-0", "sha256-" + "b" * 64):  # fmt: skip
        (folder / name).write_text("x")
    (folder / "tmp-folder").mkdir()
    (folder / "tmp-folder" / "inside").write_text("x")
    (folder / "tmp-busy").mkdir()
    (folder / "tmp-busy" / "inside").write_text("x")
    old = time.time() - 3700
    for path in [*folder.iterdir(), folder / "tmp-folder" / "inside"]:
        if path.name not in {"tmp-new"}:
            os.utime(path, (old, old))
    library.sweep()
    left = {path.name for path in folder.iterdir() if path.name.replace("-", ":", 1) not in before}
    assert left == {"tmp-new", "tmp-busy", "sha256-" + "a" * 64 + "-partial",
                    "sha256-" + "a" * 64 + "-partial-0", "sha256-" + "b" * 64}  # fmt: skip


def test_writers_at_once_leave_whole_models(library: Library, tiny_gguf: Path) -> None:
    """Creates, copies and deletes in eight threads: every model that is listed is whole."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                with library.hold([digest_of(tiny_gguf)]):
                    install(library, f"m{number}", tiny_gguf, system=f"{number} {turn}")
                    library.copy(f"m{number}", f"copy{number}")
                library.delete(f"m{number}")
        except EngineError as error:
            if "missing or cut" not in str(error):  # a text that another thread just removed
                errors.append(error)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for model in library.installed():
        assert model.model_path.read_bytes() == tiny_gguf.read_bytes()


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_library import install
from workbench.library import Library
library = Library(Path(sys.argv[1]))
print("ready", flush=True)
for turn in range(10**6):
    install(library, "m", Path(sys.argv[2]), system=f"{turn}")
    library.copy("m", f"copy{turn % 3}")
    if turn % 3 == 2:
        library.delete("copy0")
"""


def test_a_kill_at_any_moment_leaves_before_or_after(tmp_path: Path, tiny_gguf: Path) -> None:
    root = tmp_path / "models"
    here = str(Path(__file__).parent)
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(root), str(tiny_gguf), here], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.037 * round_)
        assert process.poll() is None
        process.kill()
        process.wait()
        process.stdout.close()
        library = Library(root)
        names = list((root / "manifests").glob("*/*/*/*"))
        assert len(library.installed()) == len(names)
        for blob in library.blobs.folder.glob("sha256-*"):
            assert digest_of(blob).removeprefix("sha256:") == blob.name.removeprefix("sha256-")
    install(library, "m", tiny_gguf, system="afterwards")
    assert library.find("m").system == "afterwards"

"""What is seen by names, sizes and permissions: whatever may lie in a library's folder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from integrity_tools import install, kinds, manifest_of, only

from workbench.integrity import look, verify
from workbench.library import Library

Files = dict[str, dict[str, Path]]


def test_a_missing_file(library: Library, files: Files) -> None:
    files["one:latest"]["system"].unlink()
    fault = only(look(library))
    assert fault.kind == "missing" and fault.affects == ("one:latest",)
    assert fault.repair is not None and "registry.ollama.ai" in fault.repair.words


@pytest.mark.parametrize("size", [0, 1, 10_239, 10_241, 50_000])
def test_a_file_of_another_size(library: Library, files: Files, size: int) -> None:
    with files["one:latest"]["model"].open("rb+") as file:
        file.truncate(size)
    fault = only(look(library))
    assert fault.kind == "truncated" and f"{size} of 10240 bytes" in fault.what
    assert kinds(verify(library)) == ["truncated"]


def test_manifests_that_are_none(library: Library, files: Files) -> None:
    folder = manifest_of(library, "bad:x").parent
    folder.mkdir(parents=True)
    texts = ("{", "[]", '{"config": {"digest": "../../x", "size": 1}, "layers": []}', "\x00\xff",
             '{"config": 1, "layers": 2}', '{"layers": [{}]}', "[" * 100_000, "")  # fmt: skip
    for number, text in enumerate(texts):
        (folder / f"t{number}").write_text(text)
    with (folder / "huge").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    report = verify(library)
    assert kinds(report) == ["manifest"] * (len(texts) + 1) and not report.ok
    assert {fault.affects for fault in report.faults} >= {("bad:t0",), ("bad:huge",)}
    assert all(fault.repair is None for fault in report.faults)
    files["three:latest"]["config"].with_name("sha256-" + "a" * 64).touch()
    assert "orphan" not in kinds(verify(library)), "one that cannot be read may name it"
    assert "bad:t0" in report.models and "bad:t0" not in report.digests


def test_a_manifest_of_two_model_files(library: Library, files: Files) -> None:
    path = manifest_of(library, "three")
    record = json.loads(path.read_bytes())
    record["layers"] *= 2
    path.write_text(json.dumps(record))
    assert "2 model files" in only(look(library)).what


def test_a_manifest_that_lies_about_a_size(library: Library, files: Files) -> None:
    path = manifest_of(library, "two:v2")
    record = json.loads(path.read_bytes())
    record["layers"][0]["size"] -= 1
    path.write_text(json.dumps(record))
    fault = only(verify(library))
    assert fault.kind == "manifest" and fault.affects == ("two:v2",)


def test_a_deleted_manifest_leaves_orphans(library: Library, files: Files) -> None:
    manifest_of(library, "three").unlink()
    report = verify(library)
    assert kinds(report) == ["orphan", "orphan"] and report.ok
    own = files["three:latest"].values()
    assert {fault.path for fault in report.faults} == set(own)
    assert "manifest was deleted" in report.faults[0].words


def test_a_model_in_the_trash_keeps_its_blobs(library: Library, files: Files) -> None:
    trash = library.root / "trash" / "1" / "three"
    trash.parent.mkdir(parents=True)
    manifest_of(library, "three").rename(trash)
    assert look(library).faults == ()


def test_what_is_no_file_of_a_library(library: Library, files: Files) -> None:
    blobs, manifests = library.blobs.folder, library.root / "manifests"
    os.mkfifo(blobs / ("sha256-" + "a" * 64))
    (blobs / ("sha256-" + "b" * 64)).mkdir()
    (blobs / ("sha256-" + "C" * 64)).write_bytes(b"")
    (blobs / "notes\udcff.txt").write_text("mine")
    (manifests / ".DS_Store").write_text("")
    (manifests / "registry.ollama.ai" / "library" / "x").write_text("")
    (manifests / "registry.ollama.ai" / "library" / "one" / "a" / "b").mkdir(parents=True)
    report = verify(library)
    assert kinds(report) == ["foreign"] * 7 and report.ok
    assert all(fault.words.encode() for fault in report.faults), "all can be printed"


def test_a_pipe_in_the_place_of_a_file(library: Library, files: Files) -> None:
    for path in (files["one:latest"]["system"], manifest_of(library, "three")):
        path.unlink()
        os.mkfifo(path)
    report = verify(library)
    assert [fault.affects for fault in report.faults if fault.harmful] == [("one:latest",)]
    assert kinds(report).count("foreign") == 2


def test_downloads_that_were_broken_off(library: Library, files: Files) -> None:
    blobs = library.blobs.folder
    name = "sha256-" + "a" * 64
    (blobs / f"{name}-partial").write_bytes(b"x" * 5000)
    (blobs / f"{name}-partial-0").write_text("{}")
    (blobs / f"{name}-partial-12").write_text("{}")
    (blobs / "tmp-new").write_text("somebody works on it")
    (blobs / "tmp-old").mkdir()
    long_ago = time.time() - 7200
    os.utime(blobs / "tmp-old", (long_ago, long_ago))
    report = look(library)
    assert kinds(report) == ["partial", "partial"] and report.ok
    assert {fault.path.name for fault in report.faults if fault.path} == {
        f"{name}-partial",
        "tmp-old",
    }


def test_links_are_not_followed(library: Library, files: Files, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = files["one:latest"]["system"]
    victim.rename(outside / "blob")
    victim.symlink_to(outside / "blob")
    manifest = manifest_of(library, "three")
    manifest.rename(outside / "manifest")
    manifest.symlink_to(outside / "manifest")
    (library.root / "manifests" / "elsewhere").symlink_to(outside)
    (library.blobs.folder / ("sha256-" + "d" * 64)).symlink_to("/etc/passwd")
    report = verify(library)
    links = {fault.affects for fault in report.faults if fault.kind == "symlink"}
    assert links == {("one:latest",), ("three:latest",)}
    assert kinds(report).count("foreign") == 2
    assert "three:latest" not in report.digests


def test_permissions(library: Library, files: Files) -> None:
    files["one:latest"]["model"].chmod(0o200)
    files["three:latest"]["config"].chmod(0o666)
    report = verify(library)
    found = {fault.path: fault for fault in report.faults if fault.kind == "permissions"}
    assert "cannot be read" in found[files["one:latest"]["model"]].what
    assert found[files["three:latest"]["config"]].affects == ("three:latest",)
    assert not report.ok


def test_a_folder_that_cannot_be_read(library: Library, files: Files) -> None:
    folder = library.root / "manifests" / "registry.ollama.ai"
    folder.chmod(0o000)
    try:
        report = look(library)
    finally:
        folder.chmod(0o700)
    assert "permissions" in kinds(report) and not report.ok


def test_upper_and_lower_case_of_a_name(library: Library) -> None:
    install(library, "Qwen:Q4", b"weights")
    assert look(library, names=["qwen:q4"]).models == ("Qwen:Q4",)

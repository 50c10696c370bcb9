"""Mending: by the bytes of the digest or not at all, beside and renamed, and nothing deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from integrity_tools import flip, install, manifest_of, only
from library.registry_server import RegistryServer

from workbench import settings
from workbench.integrity import Fault, Repair, look, repair, verify
from workbench.library import Library
from workbench.protocol import digest_of
from workbench.types import Progress

Files = dict[str, dict[str, Path]]


def training_with(content: bytes, name: str = "Q8_0") -> Path:
    """A training's GGUF file."""
    path = settings.home() / "trainings" / "abc" / "gguf" / f"{name}.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_a_copy_from_a_training(library: Library, files: Files, damage: str) -> None:
    victim = files["one:latest"]["model"]
    good = victim.read_bytes()
    training_with(bytes(len(good)), "A_same_size")
    kept = training_with(good)
    {
        "flipped": lambda: flip(victim, 9),
        "truncated": lambda: os.truncate(victim, 9),
        "missing": victim.unlink,
    }[damage]()
    fault = only(verify(library))
    assert fault.kind == damage
    outcome = repair(fault)
    assert outcome.done and str(kept) in outcome.words
    assert victim.read_bytes() == good and verify(library).faults == ()
    assert victim.stat().st_ino != kept.stat().st_ino, "a change of one is none of the other"


def test_a_file_of_the_same_size_and_other_bytes_is_not_taken(
    library: Library, files: Files
) -> None:
    victim = install(library, "127.0.0.1:9/me/mine", b"precious" * 1000)["model"]
    flip(victim)
    broken = victim.read_bytes()
    training_with(b"PRECIOUS" * 1000)
    outcome = repair(only(verify(library)))
    assert not outcome.done and "No training" in outcome.words
    assert victim.read_bytes() == broken
    assert {path.name for path in library.blobs.folder.glob("tmp-*")} == set()


def test_fetched_by_its_digest_though_the_tag_has_moved(
    library: Library, registry: RegistryServer, host: str
) -> None:
    weights = os.urandom(50_000)
    registry.add("me/model:v1", weights)
    victim = install(library, f"{host}/me/model:v1", weights)["model"]
    registry.add("me/model:v1", b"a new version")  # the old blob is there by its digest
    before = manifest_of(library, f"{host}/me/model:v1").read_bytes()
    flip(victim, 40_000)
    told: list[Progress] = []
    outcome = repair(only(verify(library)), progress=told.append)
    assert outcome.done and "by its digest" in outcome.words
    assert digest_of(victim) == victim.name.replace("-", ":")
    assert manifest_of(library, f"{host}/me/model:v1").read_bytes() == before
    assert told and told[-1].completed == told[-1].total == len(weights)
    assert verify(library).faults == ()


def test_fetched_from_where_its_base_came(
    library: Library, registry: RegistryServer, host: str
) -> None:
    weights = b"of the base" * 500
    registry.add("me/base:v1", weights)
    victim = install(library, "mine", weights)["model"]
    victim.unlink()
    fault = only(look(library))
    own = Fault(fault.kind, fault.path, fault.what, fault.affects, fault.repair, fault.digest,
                fault.size, (f"{host}/me/base:v1", "mine:latest"), fault.root)  # fmt: skip
    assert repair(own).done and victim.read_bytes() == weights


def test_a_registry_that_lies_changes_nothing(
    library: Library, registry: RegistryServer, host: str
) -> None:
    weights = os.urandom(9_000)
    registry.add("me/model:v1", weights)
    registry.flips = True
    victim = install(library, f"{host}/me/model:v1", weights)["model"]
    victim.unlink()
    outcome = repair(only(look(library)))
    assert not outcome.done and "digest mismatch" in outcome.words
    assert "Get" in outcome.words and not victim.exists()


def test_a_repair_that_is_broken_off_goes_on(
    library: Library, registry: RegistryServer, host: str
) -> None:
    class Enough(Exception):
        pass

    def stop(step: Progress) -> None:
        if step.completed:
            raise Enough

    weights = os.urandom(3 << 20)
    registry.add("me/model:v1", weights)
    registry.pause = 0.002
    victim = install(library, f"{host}/me/model:v1", weights)["model"]
    victim.unlink()
    fault = only(look(library))
    with pytest.raises(Enough):
        repair(fault, progress=stop)
    assert not victim.exists()
    assert repair(fault).done and victim.read_bytes() == weights


def test_a_foreign_file_goes_aside(library: Library, files: Files) -> None:
    foreign = library.blobs.folder / "notes.txt"
    foreign.write_text("mine")
    outcome = repair(only(look(library)))
    assert outcome.done and not foreign.exists()
    (moved,) = (library.root / "quarantine").iterdir()
    assert moved.read_text() == "mine" and moved.name in outcome.words
    assert verify(library).faults == ()


def test_permissions_are_put_right(library: Library, files: Files) -> None:
    victim = files["one:latest"]["model"]
    victim.chmod(0o206)
    assert repair(only(look(library))).done
    assert victim.stat().st_mode & 0o777 == 0o604
    assert verify(library).faults == ()


def test_a_link_becomes_a_file(library: Library, files: Files, tmp_path: Path) -> None:
    blob, manifest = files["one:latest"]["system"], manifest_of(library, "three")
    for path in (blob, manifest):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    for fault in look(library).faults:
        outcome = repair(fault)
        assert outcome.done and "a file of its own" in outcome.words
    assert not blob.is_symlink() and not manifest.is_symlink()
    assert verify(library).faults == () and (tmp_path / blob.name).exists()


def test_a_link_to_other_bytes_goes_aside(library: Library, files: Files, tmp_path: Path) -> None:
    blob = files["one:latest"]["system"]
    good = blob.read_bytes()
    (tmp_path / "secret").write_bytes(b"x" * len(good))
    blob.unlink()
    blob.symlink_to(tmp_path / "secret")
    training_with(good)
    outcome = repair(only(look(library)))
    assert outcome.done and "quarantine" in outcome.words and "copied" in outcome.words
    assert blob.read_bytes() == good and (tmp_path / "secret").read_bytes() == b"x" * len(good)


def test_a_manifest_cannot_be_made_again_and_that_is_said(library: Library, files: Files) -> None:
    manifest_of(library, "three").write_text("{")
    damaged = [fault for fault in look(library).faults if fault.harmful]
    (outcome,) = map(repair, damaged)
    assert not outcome.done and "cannot be made again" in outcome.words
    assert all(path.exists() for path in files["three:latest"].values())


def test_a_fault_of_somewhere_else_is_refused(library: Library, tmp_path: Path) -> None:
    for path in (tmp_path / "x", library.blobs.folder / ".." / "x", library.root / "x"):
        path.write_text("not yours")
        fault = Fault("foreign", path, "", repair=Repair("aside", ""), root=library.root)
        assert not repair(fault).done and path.exists()


def test_what_is_right_by_now_is_left(library: Library, files: Files) -> None:
    victim = files["three:latest"]["model"]
    good = victim.read_bytes()
    flip(victim)
    fault = only(verify(library))
    library.blobs.add(good)
    inode = victim.stat().st_ino
    assert repair(fault).done and victim.stat().st_ino == inode

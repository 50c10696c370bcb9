"""The very models of a release are brought into an engine, and nobody's model is lost."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from library.registry_server import RegistryServer
from releases.release_tools import digest
from sync.sync_tools import create, installed, pull, run
from tiny import write_tiny_llama

from workbench.engines import Engine
from workbench.releases import describe, find, make
from workbench.sync import Synced, plan_sync, sync


def test_what_is_here_is_left(clean: Engine) -> None:
    release = make("v1", describe(clean, {"primary": "one", "embedding": "embed"}))
    found = plan_sync(clean, release)
    assert [(step.action, step.state) for step in found.steps] == [("none", "here")] * 2
    assert found.todo == () and found.version == "v1"
    assert [step.outcome for step in run(clean, release)] == ["here", "here"]


def test_exactly_this_version_is_pulled(
    clean: Engine, registry: tuple[RegistryServer, str], tiny_gguf: Path
) -> None:
    server, host = registry
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="From afar.")
    name = f"{host}/me/model:v1"
    pull(clean, name)
    clean.copy(name, "mine")
    release = make("v1", describe(clean, {"primary": name, "fallback": "mine"}, pulled=["mine"]))
    named, mine = release.members
    release = replace(release, members=(named, replace(mine, how={"from": name})))
    for one in (name, "mine"):
        clean.delete(one)
    found = plan_sync(clean, release)
    assert [(s.action, s.state) for s in found.steps] == [("pull", "missing")] * 2
    assert host in found.steps[0].words and found.todo == found.steps
    steps = list(sync(clean, found))
    assert [s.outcome for s in steps if isinstance(s, Synced)] == ["done", "done"]
    assert any(not isinstance(s, Synced) and s.total for s in steps), "progress in bytes"
    assert installed(clean)[name] == installed(clean)["mine:latest"] == named.digest
    assert plan_sync(clean, release).todo == ()


def test_a_moved_tag_is_told_and_not_taken(
    clean: Engine, registry: tuple[RegistryServer, str], tiny_gguf: Path
) -> None:
    server, host = registry
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="The old one.")
    name = f"{host}/me/model:v1"
    old = pull(clean, name)
    release = make("v1", describe(clean, {"primary": name}))
    clean.delete(name)
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="The new one.")
    (ended,) = run(clean, release)
    assert ended.outcome == "refused" and "has moved" in ended.words and old[:12] in ended.words
    names = installed(clean)
    assert name not in names, "the role has no other version"
    (kept,) = (one for one in names if one.startswith(f"{name}-"))
    assert kept in ended.words and names[kept].startswith(kept[-12:])
    clean.copy(kept, name)  # now the new one is there, as a person may have it
    (again,) = run(clean, release)
    assert again.outcome == "refused" and installed(clean)[name] == names[kept]
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="The old one.")
    (back,) = run(clean, release)
    assert back.outcome == "done" and installed(clean)[name] == old
    assert installed(clean)[kept] == names[kept], "what had the name is kept"


def test_a_moved_tag_leaves_what_had_the_name(
    clean: Engine, registry: tuple[RegistryServer, str], tiny_gguf: Path
) -> None:
    server, host = registry
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="The wanted one.")
    name = f"{host}/me/model:v1"
    pull(clean, name)
    release = make("v1", describe(clean, {"primary": name}))
    clean.delete(name)
    own = create(clean, name, from_="one", system="My own.")
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="Moved.")
    (step,) = plan_sync(clean, release).steps
    assert step.state == "differs" and own[:12] in step.words
    (ended,) = run(clean, release)
    assert ended.outcome == "refused" and installed(clean)[name] == own
    server.manifests.clear()
    (gone,) = run(clean, release)
    assert gone.outcome == "refused" and "could not be had" in gone.words
    assert installed(clean)[name] == own
    assert not [one for one in installed(clean) if one.endswith(own[:12])]


def test_another_name_of_the_same_is_copied(clean: Engine) -> None:
    (one,) = describe(clean, {"primary": "one"})
    own = create(clean, "main:v1", from_="two", system="Mine.")
    release = make("v1", [replace(one, model="main:v1")])
    (step,) = plan_sync(clean, release).steps
    assert (step.action, step.origin, step.state) == ("copy", "one:latest", "differs")
    (ended,) = run(clean, release)
    assert ended.outcome == "done" and installed(clean)["main:v1"] == one.digest
    assert installed(clean)[f"main:v1-{own[:12]}"] == own and own[:12] in ended.words


def test_made_again_from_its_base(clean: Engine, tmp_path: Path) -> None:
    create(clean, "base:x", files=write_tiny_llama(tmp_path / "x.gguf", seed=5), system="Base.",
           parameters={"seed": 3, "stop": ["x"]}, license=["MIT"])  # fmt: skip
    create(clean, "child:x", from_="base:x", system="Child.", license=["own"],
           parameters={"temperature": 0.5}, messages=[{"role": "user", "content": "Hi"}],
           )  # fmt: skip
    create(clean, "grandchild:x", from_="child:x", template="{{ .Prompt }}")
    release = make("v1", describe(clean, {"primary": "grandchild:x", "fallback": "child:x"}))
    wanted = {one.model: one.digest for one in release.members}
    for name in wanted:
        clean.delete(name)
    found = plan_sync(clean, release)
    assert [(step.model, step.action) for step in found.steps] == [
        ("child:x", "make"), ("grandchild:x", "make"),
    ]  # fmt: skip
    assert found.steps[0].roles == ("fallback",), "the base is a member as well"
    ended = run(clean, release)
    assert [step.outcome for step in ended] == ["done", "done"], ended
    assert {name: installed(clean)[name] for name in wanted} == wanted
    assert not [name for name in installed(clean) if name.startswith("in-the-making")]
    create(clean, "base:x", from_="one", system="Another.")
    for name in wanted:
        clean.delete(name)
    refused = plan_sync(clean, release)
    assert {step.action for step in refused.steps} == {"by hand"}
    assert "not here" in refused.steps[-1].words


def test_quantised_again(clean: Engine) -> None:
    create(clean, "small:q", from_="one", quantize="Q8_0", system="Small.")
    (one,) = describe(clean, {"primary": "small:q"})
    assert one.source == "made" and one.how["quantize"] == one.quantisation == "Q8_0"
    clean.delete("small:q")
    (ended,) = run(clean, make("v1", [one]))
    assert ended.outcome == "done" and installed(clean)["small:q"] == one.digest


def test_made_but_not_the_same(clean: Engine) -> None:
    create(clean, "child:y", from_="one", system="Child.")
    (one,) = describe(clean, {"primary": "child:y"})
    clean.delete("child:y")
    release = make("v1", [replace(one, digest=digest("of another engine"))])
    (ended,) = run(clean, release)
    assert ended.outcome == "refused" and "came out as" in ended.words
    names = installed(clean)
    assert "child:y" not in names and f"child:y-{one.digest[:12]}" in names


def test_a_base_is_pulled_first(
    clean: Engine, registry: tuple[RegistryServer, str], tiny_gguf: Path
) -> None:
    server, host = registry
    server.add("me/base:v1", tiny_gguf.read_bytes(), system="Base.")
    name = f"{host}/me/base:v1"
    pull(clean, name)
    create(clean, "child:z", from_=name, system="Child.")
    release = make("v1", describe(clean, {"primary": "child:z"}))
    for one in ("child:z", name):
        clean.delete(one)
    found = plan_sync(clean, release)
    assert [(s.roles, s.action) for s in found.steps] == [((), "pull"), (("primary",), "make")]
    assert [step.outcome for step in run(clean, release)] == ["done", "done"]
    assert installed(clean)["child:z"] == release.members[0].digest


KILLED = """
import sys
from workbench.engines import Engine
from workbench.releases import find
from workbench.sync import sync
for step in sync(Engine(sys.argv[1]), find("v1")):
    print(step, flush=True)
"""


def test_a_kill_in_the_middle_loses_no_model(
    clean: Engine, registry: tuple[RegistryServer, str], tiny_gguf: Path
) -> None:
    server, host = registry
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="The wanted one.")
    name = f"{host}/me/model:v1"
    wanted = pull(clean, name)
    make("v1", describe(clean, {"primary": name}))
    for lines in (1, 2, 3):
        own = create(clean, name, from_="two", system=f"My own, number {lines}.")
        command = [sys.executable, "-c", KILLED, clean.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        assert own in installed(clean).values()
    release = find("v1")
    assert run(clean, release)[0].outcome in {"done", "here"}
    assert installed(clean)[name] == wanted and own in installed(clean).values()

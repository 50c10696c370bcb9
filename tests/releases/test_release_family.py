"""Which model came from which, and which of two releases answers better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.kept_runs import kept_run
from releases.release_tools import digest, member

from workbench import bench, lineage
from workbench.data import writing
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.examples import Example
from workbench.releases import ancestry, compare, describe, diff, make, set_alias


def trained(name: str, base: str) -> None:
    """A training in the store that made `name` of `base`."""
    with writing("notes", "text", recipe={}) as draft:
        draft.add(Example("text", {"text": name}))
    run = lineage.begin("finetune", name, dataset=draft.made, settings={}, base=base,
                        base_digest=digest(base) if base else "")  # fmt: skip
    lineage.note(run, digest=digest(name))


def test_the_family_of_a_model() -> None:
    trained("b", "a")
    trained("c", "b")
    trained("stranger", "x")
    how = {
        "from": "b",
        "from_digest": digest("b"),
        "modelfile": "FROM b",
        "base_origin": {"source": "trained", "how": {"base": "a", "base_digest": digest("a")}},
    }
    make("v1", [member(model="b-kind", source="made", how=how)])
    tuned = {"from": "b-kind", "from_digest": digest("b-kind"), "study": "s1", "trial": 2}
    make("v2", [member(model="b-kind:tuned", source="tuned", how=tuned)])
    found = ancestry("c")
    names = {one.id: one.names[0] for one in found.nodes}
    assert sorted(names.values()) == ["a", "b", "b-kind", "b-kind:tuned", "c"]
    ways = {(names[e.source], names[e.target], e.by) for e in found.edges}
    assert ways == {
        ("a", "b", "training"), ("b", "c", "training"), ("b", "b-kind", "create"),
        ("b-kind", "b-kind:tuned", "study"),
    }  # fmt: skip
    place = {one.id: at for at, one in enumerate(found.nodes)}
    assert all(place[edge.source] < place[edge.target] for edge in found.edges)
    assert names[found.model] == "c" and all(one.installed is None for one in found.nodes)
    by_name = {one.names[0]: one for one in found.nodes}
    assert by_name["b-kind:tuned"].releases == ("v2",) and by_name["b"].at
    for other in ("primary", digest("c"), f"sha256:{digest('c')}", "b-kind:tuned"):
        assert ancestry(other).nodes == found.nodes
    assert found.to_json()["nodes"][0]["names"] == ("a",)
    set_alias("candidate", "elsewhere", digest("elsewhere"))
    (alone,) = ancestry("candidate").nodes
    assert alone.names == ("elsewhere",) and ancestry("candidate").edges == ()
    with pytest.raises(ReleaseError, match=r"strang.*stranger"):
        ancestry("strangr")


def test_a_circle_ends() -> None:
    trained("b", "a")
    trained("a", "b")
    assert {one.names[0] for one in ancestry("a").nodes} == {"a", "b"}


def test_the_engine_tells_what_was_created(engine: Engine) -> None:
    for name, base in (("kid:f", "one"), ("kid:g", "kid:f")):
        for _ in engine.create(name, from_=base, system=name):
            pass
    try:
        found = ancestry("kid:f", engine)
    finally:
        for name in ("kid:f", "kid:g"):
            engine.delete(name)
    names = {one.id: one.names[0] for one in found.nodes}
    assert [(names[e.source], names[e.target]) for e in found.edges] == [
        ("one:latest", "kid:f"), ("kid:f", "kid:g"),
    ] or len(found.edges) == 2  # fmt: skip
    assert all(one.installed for one in found.nodes)
    (one,) = describe(engine, {"primary": "one"})
    assert one.digest in names


def run(model: str, share: float, count: int = 100, **more: object) -> str:
    """A finished run of the member's version."""
    values = [float(n < share * count) for n in range(count)]
    kept = kept_run(model, {"t": values}, **more)  # type: ignore[arg-type]
    bench.note_run(kept, digest=digest(model))
    return kept.id


def test_better_undecided_same_unmeasured() -> None:
    make("v1", [member(model="a"), member("fallback", "z")])
    make("v2", [member(model="b"), member("fallback", "z")])
    missing = compare("v1", "v2")
    assert missing.verdict == "unmeasured" and missing.difference is None
    assert missing.commands == ("workbench bench run a b --suite SUITE",)
    first = run("a", 0.4)
    half = compare("v1", "v2")
    assert half.verdict == "unmeasured" and "b has no finished run on mine" in half.words
    second = run("b", 0.9)
    run("b", 0.1, seed=1)  # newer, and other questions
    run("b", 0.2, options={"temperature": 2.0})
    found = compare("v1", "v2")
    assert (found.verdict, found.runs, found.suite) == ("better", (first, second), "mine")
    assert found.difference is not None and found.difference.value == pytest.approx(0.5)
    assert "b is better than a by 50.0 points" in found.words
    turned = compare("v2", "v1")
    assert turned.verdict == "worse" and turned.models == ("b", "a")
    assert compare("v1", "v2", "fallback").verdict == "same"
    assert compare("v1", "v2", suite="other").verdict == "unmeasured"
    assert all(one.what != "score" for one in diff("v1", "v2").rows[0].changes)
    later = diff("v1", "v2", since=True).rows[0].words
    assert "mine 40 %" in later and "→ 90 %" in later, "measured after they were made"
    make("v3", [member(model="a", embedding=64)])
    assert "vectors" in compare("v2", "v3").words
    with pytest.raises(ReleaseError, match="no model of the role 'embedding'"):
        compare("v1", "v2", "embedding")


def test_near_scores_are_not_told_apart() -> None:
    old = make("v1", [member(model="a")])
    new = replace(old, version="v2", members=(member(model="b"),))
    run("a", 0.5, 20)
    run("b", 0.55, 20)
    found = compare(old, new)
    assert found.verdict == "undecided" and "cannot be told apart" in found.words

"""Texts that are put in are found by what they say, changed, taken out."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select
from vectors.conftest import sentence

from workbench.engines import Engine
from workbench.errors import EngineUnreachable, VectorError
from workbench.store import StoredVector, session
from workbench.vectors import Collection, collection, collections, drop, reembed, switch


def vectors() -> int:
    with session(read_only=True) as opened:
        return opened.scalar(select(func.count()).select_from(StoredVector)) or 0


def test_the_nearest_come_first(notes: Collection, engine: Engine) -> None:
    found = notes.search(sentence(7), 5)
    assert len(found) == 5 and found[0].key == "n7" and found[0].text == sentence(7)
    assert found[0].about == {"number": 7} and found[0].score == pytest.approx(1, abs=1e-3)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True) and scores[1] < 0.9999
    texts = [sentence(n) for n in range(40)]
    every = np.array(engine.embed("embed", [*texts, sentence(7)]).vectors)
    wanted = np.argsort(-(every[:-1] @ every[-1]), kind="stable")[:5]
    assert [one.key for one in found] == [f"n{n}" for n in wanted]
    assert scores == pytest.approx(sorted(every[:-1] @ every[-1])[:-6:-1], abs=1e-3)


def test_texts_of_a_batch_do_not_mix(engine: Engine) -> None:
    for _ in engine.create("slots", from_="third", parameters={"num_parallel": 4}):
        pass
    texts = ["apple tree", "a bank beside a river", "import os", *map(sentence, range(13))]
    together = engine.embed("slots", texts).vectors
    for text, vector in zip(texts, together, strict=True):
        assert vector == pytest.approx(engine.embed("slots", text).vectors[0], abs=2e-3)
    engine.delete("slots")


def test_only_what_is_new_or_changed_is_embedded(notes: Collection) -> None:
    assert notes.add([("n1", sentence(1), {"seen": True})]) == 0
    assert notes.search(sentence(1), 1)[0].about == {"seen": True}
    assert notes.add([("n1", "import os", {}), ("n2", sentence(2), {}), ("new", "x = 1", {})]) == 2
    assert notes.search("import os", 1)[0].key == "n1"
    assert notes.search(sentence(1), 1)[0].key != "n1"
    assert notes.stats().texts == 41 == vectors()


def test_of_equal_keys_the_last_counts(notes: Collection) -> None:
    notes.add([("same", "first", {}), ("same", "second", {})])
    assert notes.search("second", 1)[0].key == "same"
    notes.add((("same", f"text {n}", {}) for n in range(5)), batch=2)
    assert notes.search("text 4", 1)[0].text == "text 4" and notes.stats().texts == 41


def test_what_is_taken_out_is_not_found(notes: Collection) -> None:
    assert notes.remove(["n3", "n4", "nobody"]) == 2
    assert {"n3", "n4"}.isdisjoint(one.key for one in notes.search(sentence(3), 100))
    assert vectors() == 38 and notes.remove(f"n{n}" for n in range(1000)) == 38
    assert notes.search("anything") == [] and vectors() == 0


def test_what_it_knows_of_itself(notes: Collection) -> None:
    told = notes.stats()
    assert (told.name, told.texts, told.bytes) == ("notes", 40, 40 * 64 * 4)
    assert told.characters == sum(len(sentence(n)) for n in range(40))
    made = told.in_use
    assert (made.number, made.model, made.dimensions) == (1, "embed:latest", 64)
    assert made.complete and made.vectors == 40 and len(made.digest) == 64
    assert collections() == ["notes"]
    drop("notes")
    assert collections() == [] and vectors() == 0
    with pytest.raises(VectorError, match="There is no collection 'notes'"):
        notes.search("x")


def test_it_is_opened_by_its_name(notes: Collection, engine: Engine) -> None:
    assert collection("notes").search(sentence(5), 1)[0].key == "n5"  # the engine in use
    assert collection("notes", model="EMBED:latest", engine=engine).stats().texts == 40
    with pytest.raises(VectorError, match=r"no collection 'absent' yet\. Name the"):
        collection("absent")
    with pytest.raises(VectorError, match="no model absent in the engine"):
        collection("absent", model="absent", engine=engine)
    with pytest.raises(VectorError, match=r"Did you mean notes\?"):
        Collection("note").stats()


def test_another_model_is_refused(engine: Engine) -> None:
    for _ in engine.create("moving", from_="third", parameters={"num_ctx": 100}):
        pass
    made = collection("memory", model="moving", engine=engine)
    made.add([("a", "text", {})])
    with pytest.raises(
        VectorError,
        match=r"made by moving:latest .* and embed:latest is another model .digest differs",
    ):
        collection("memory", model="embed", engine=engine)
    engine.copy("moving", "kept")
    engine.copy("embed", "moving")  # the name means another model now
    assert made.search("text", 1)[0].key == "a", "the model is still there under another name"
    engine.delete("kept")
    for call in (lambda: made.search("text"), lambda: made.add([("b", "more", {})])):
        with pytest.raises(VectorError, match="moving:latest is another model now"):
            call()
    engine.delete("moving")
    with pytest.raises(VectorError, match="moving:latest is not in the engine"):
        made.search("text")
    assert made.stats().texts == 1


class Meddling(Engine):
    """Does something each time while texts are being embedded."""

    def __init__(self, url: str, action: Any) -> None:
        super().__init__(url, kind="embedded")
        self._action = action

    def embed(self, *given: Any, **more: Any) -> Any:
        made = Engine.embed(self, *given, **more)
        self._action()
        return made


def test_a_model_that_changes_at_work_leaves_no_vector(engine: Engine, live_engine: str) -> None:
    for _ in engine.create("moving", from_="third", parameters={"num_ctx": 99}):
        pass
    made = collection("memory", model="moving", engine=engine)
    with (
        Meddling(live_engine, lambda: engine.copy("embed", "moving")) as meddling,
        pytest.raises(VectorError, match="digest differs"),
    ):
        Collection("memory", meddling).add([("a", "text", {})])
    engine.delete("moving")
    assert made.stats().texts == 0 == vectors()


def test_a_switch_meanwhile_has_texts_embedded_again(
    notes: Collection, engine: Engine, live_engine: str
) -> None:
    reembed(None, "notes", "other", engine)
    switched: list[int] = []

    def once() -> None:
        if not switched:
            switched.append(switch("notes", 2))

    with Meddling(live_engine, once) as meddling:
        meddled = Collection("notes", meddling)
        assert meddled.add([("late", "a late text", {})]) == 1
    assert switched == [1] and notes.stats().in_use.complete
    assert notes.stats().in_use.dimensions == 32
    assert notes.search("a late text", 1)[0].key == "late"


def test_many_at_once(notes: Collection) -> None:
    def work(part: int) -> None:
        notes.add([(f"k{n}", f"text {n} of {part}", {"part": part}) for n in range(12)], batch=4)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes.stats().texts == 52 == vectors()
    for one in notes.search("text 3 of 2", 100):
        if one.key.startswith("k"):
            assert one.text.endswith(str(one.about["part"]))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (("", "text", {}), "cannot be the key"),
        (("k" * 129, "text", {}), "cannot be the key"),
        (("a\x00b", "text", {}), "cannot be the key"),
        ((7, "text", {}), "cannot be the key"),
        (("k", " \n ", {}), "The text of 'k' cannot be embedded"),
        (("k", b"text", {}), "The text of 'k' cannot be embedded"),
        (("k", "x" * 1_000_001, {}), "Cut it into parts"),
        (("k", "text", ["no"]), "must be a mapping"),
        (("k", "text", {"a": "x" * 100_001}), "is too much"),
        (("k", "text"), r"\(key, text, about\)"),
        (None, r"\(key, text, about\)"),
    ],
)
def test_what_cannot_be_kept_is_refused(notes: Collection, item: Any, words: str) -> None:
    with pytest.raises(VectorError, match=words):
        notes.add([item])
    assert notes.stats().texts == 40


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "x" * 129, "a\n"])
def test_bad_names_are_refused(engine: Engine, name: str) -> None:
    with pytest.raises(VectorError, match="cannot name a collection"):
        collection(name, model="embed", engine=engine)
    assert collections() == []


def test_texts_of_any_kind(notes: Collection, engine: Engine) -> None:
    odd = {"nul": "a\x00b", "half": "half \ud800 letter", "long": "word " * 20_000, "emoji": "🙂"}
    assert notes.add((key, text, {"at": float("nan")}) for key, text in odd.items()) == 4
    assert notes.add((key, text, {"at": float("nan")}) for key, text in odd.items()) == 0
    assert notes.search("🙂", 1)[0].key == "emoji"
    with pytest.raises(VectorError, match="the query"):
        notes.search("  ")


def test_more_than_one_request_carries(notes: Collection) -> None:
    texts = [(f"long-{n}", f"{n} " + "word " * 190_000, {}) for n in range(6)]
    assert notes.add(texts) == 6 and notes.stats().in_use.complete
    assert notes.search(texts[4][1], 1)[0].key == "long-4"


def test_no_engine(notes: Collection) -> None:
    with Engine("http://127.0.0.1:9") as nobody, pytest.raises(EngineUnreachable):
        Collection("notes", nobody).search("x")

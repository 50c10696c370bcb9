"""A real training from its record to its card: trained, exported, deployed, compared."""

from __future__ import annotations

import math
from pathlib import Path

from train.lessons import Place, lesson, lessons

from workbench.engines import connect
from workbench.examples import render, template_of
from workbench.jobs import JobContext, Report
from workbench.lineage import Training, find, graph, note
from workbench.train import compare, gain, run_export, run_training
from workbench.train._gain import control, held_out
from workbench.train._manage import is_ours
from workbench.train._score import Scorer


def test_the_model_is_in_the_engine_and_answers(here: Place, tuned: Training) -> None:
    with connect() as engine:
        digests = {model.name: model.digest for model in engine.models()}
        answer = engine.generate("tuned", "Hello", options={"num_predict": 4}).text
    assert digests["tuned:latest"] == tuned.digest and digests["grown:latest"]
    assert answer
    assert tuned.ended_at is not None and tuned.export is not None
    assert {"train_loss", "seconds", "steps"} <= set(tuned.measured)
    kinds = [node.kind for node in graph(tuned).nodes]
    assert kinds.count("training") == 2 and kinds[-1] == "model"


def test_the_card_says_what_was_gained(here: Place, tuned: Training) -> None:
    card = tuned.card
    assert card is not None
    target, known = card["target"], card["control"]
    assert (target["set"], target["n"], known["set"]) == ("validation", 20, "control")
    assert target["difference"]["verdict"] == "better"
    assert target["better"] + target["worse"] + target["same"] == 20
    assert card["size"]["tuned"] > 0 and card["speed"]["tuned"]["median"] > 0
    assert any("held-out" in words for words in card["words"])
    first = find(here.grown).card
    assert first is not None and first["target"]["difference"] is None and first["base"] == ""


def test_a_job_that_is_done_does_nothing_twice(
    here: Place, tuned: Training, tmp_path: Path
) -> None:
    told: list[Report] = []
    result = run_training(JobContext("again", tmp_path, report=told.append), tuned.id)
    assert result["digest"] == tuned.digest and result["words"]
    assert all(one.fraction is None or one.fraction >= 0.8 for one in told)
    assert [one.fraction for one in told] == sorted(one.fraction or 0.8 for one in told)


def test_other_kinds_are_written_again(here: Place, tuned: Training, tmp_path: Path) -> None:
    job = JobContext("export", tmp_path)
    out = tmp_path / "out"
    made = run_export(job, tuned.id, ["F16"], False, tuned.name, folder=str(out))
    assert "F16" in made["export"]["files"]
    assert [path.name for path in out.iterdir()] == ["tuned-F16.gguf"]
    second = run_export(job, tuned.id, ["F16"], True, "second", "Be brief.")
    assert second["digest"] and second["digest"] != tuned.digest
    kept = find("tuned")
    assert (kept.id, kept.digest) == (tuned.id, tuned.digest)
    assert kept.export is not None and kept.export["deployed"] == "Q8_0"
    assert kept.export["also"] == {"second:latest": second["digest"]}
    with connect() as engine:
        assert is_ours(kept, "second", engine) and not is_ours(kept, "grown", engine)
        assert not is_ours(kept, "nobody", engine)


def test_trainings_are_compared(here: Place, tuned: Training) -> None:
    card = compare(tuned, tuned)
    assert card.target is not None and card.target.difference is not None
    assert card.target.difference.value == 0 and card.target.same == card.target.n
    assert find(tuned.id).card == tuned.card


def test_without_a_held_out_part_no_gain_is_claimed(here: Place, tuned: Training) -> None:
    whole = lessons("whole", validation=False)
    run = note(tuned, card=None)
    from workbench.store import StoredTraining, session

    with session() as opened:
        row = opened.query(StoredTraining).filter_by(id=run.id).one()
        row.dataset, row.dataset_name = whole.digest, whole.name
    card = gain(run)
    assert card.target is None and card.control is not None
    assert "cannot be told" in card.notes[0]
    with session() as opened:
        row = opened.query(StoredTraining).filter_by(id=run.id).one()
        row.dataset, row.dataset_name = tuned.dataset, tuned.dataset_name
        row.card = dict(tuned.card or {})


def test_only_answers_are_scored(here: Place, tuned: Training) -> None:
    folder = tuned.folder / "model"
    template = template_of(folder)
    text = render(lesson(3), template)
    with Scorer(folder) as scorer:
        one = scorer.score(text)
        short = Scorer(folder, context=4)
        assert short.score(text) is None
    assert one is not None and one.size == len(text.text[slice(*text.spans[0])].encode())
    assert len(one.tokens) == len(one.logprobs) and one.loss > 0
    assert math.isclose(one.bits * one.size * math.log(2), one.loss * len(one.tokens))
    split, examples = held_out(tuned)
    assert split == "validation" and len(examples) == 20
    assert {example.form for example in control()} == {"text", "conversation"}

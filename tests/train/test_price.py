"""What a training will take is said before it begins, and what cannot fit is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recipes.lessons import rows, write_tiny_folder

from workbench import data, hardware
from workbench.bases import Base, find_base
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.examples import Form
from workbench.learn import Settings
from workbench.lineage import begin, note
from workbench.pretrain import base_settings
from workbench.price import price
from workbench.price._probe import TooMuch, probe
from workbench.train._submit import Plan

SETTINGS = Settings(batch=4, context=128, epochs=2.0, packing=False, precision="fp32")
TRAIN = """
import json, sys
from pathlib import Path
from workbench.jobs import JobContext
from workbench.recipes import finetune
from workbench.work import peak_memory
measured = finetune(JobContext("here", Path(sys.argv[2])), training=sys.argv[1])
print(json.dumps({**measured, "memory": peak_memory()}))
"""


def lessons(form: Form = "conversation", count: int = 40) -> Dataset:
    with data.writing(f"some-{form}", form, recipe={"kind": "test"}) as draft:
        for example in rows(form, count):
            draft.add(example, "train")
    return draft.made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers and 64 features."""
    return write_tiny_folder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose probes several tests use."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def base(
    folder: Path, home: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Base]:
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    yield find_base(str(folder))


def finished(
    dataset: Dataset, ratio: float, number: int, kind: str, predicted: dict[str, Any]
) -> None:
    """A training in the store that took `ratio` times what was predicted."""
    run = begin(
        "finetune", "x", dataset=dataset, settings={"seed": number},
        price={"predicted": {**predicted, "kind": kind}},
    )  # fmt: skip
    note(
        run,
        measured={
            "seconds": ratio * predicted["seconds"],
            "peak_memory_bytes": ratio * predicted["memory"],
            "steps": predicted["steps"],
        },
    )


def test_a_probe_foretells_memory_steps_and_tokens(base: Base) -> None:
    dataset = lessons()
    priced = price("finetune", SETTINGS, base, dataset)
    assert priced.fits and priced.seconds_low < priced.seconds < priced.seconds_high
    assert "tried here" in priced.basis

    run = begin(
        "finetune", "x", dataset=dataset, settings=SETTINGS.to_json(), base=str(base.folder),
        price=priced.to_json(),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, run.id, str(run.folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured = json.loads(done.stdout.splitlines()[-1])
    assert priced.steps == measured["steps"]
    assert priced.tokens == pytest.approx(measured["tokens"], rel=0.05)
    assert priced.memory == pytest.approx(measured["memory"], rel=0.1)
    assert "in fp32" in priced.basis and measured["precision"] == "fp32"


def test_other_sizes_are_computed_from_what_was_tried(base: Base, home: Path) -> None:
    dataset = lessons()
    tried = price("finetune", SETTINGS, base, dataset)
    kept = (home / "probes.json").read_text("utf-8")
    longer = price("finetune", replace(SETTINGS, epochs=4.0), base, dataset)
    assert longer.steps == 2 * tried.steps
    assert longer.seconds > tried.seconds
    assert longer.basis.partition(",")[0] == tried.basis.partition(",")[0]
    wider = price("finetune", replace(SETTINGS, batch=8), base, dataset, measure=False)
    assert "other sizes" in wider.basis
    assert wider.memory_high / wider.memory_low > tried.memory_high / tried.memory_low
    assert (home / "probes.json").read_text("utf-8") == kept  # nothing was tried for any of them


def test_earlier_trainings_correct_and_narrow_the_price(
    base: Base, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(home / "probes.json", mine)  # what was tried, and no training
    monkeypatch.setenv("WORKBENCH_HOME", str(mine))
    dataset = lessons()
    before = price("finetune", SETTINGS, base, dataset)
    facts = dict(before.predicted)

    def width(one: Any) -> float:
        return float(one.seconds_high / one.seconds_low)

    finished(dataset, 4.0, 0, "finetune full auto", facts)  # of another kind
    assert price("finetune", SETTINGS, base, dataset).seconds == pytest.approx(before.seconds)
    for number in range(12):
        finished(dataset, 1.5 + 0.01 * (number % 3), number, facts["kind"], facts)
        if number == 0:
            once = price("finetune", SETTINGS, base, dataset)
    often = price("finetune", SETTINGS, base, dataset)
    assert before.seconds < once.seconds < often.seconds
    assert width(once) > width(often)
    assert often.seconds == pytest.approx(1.5 * before.seconds, rel=0.1)
    assert often.memory == pytest.approx(1.5 * before.memory, rel=0.1)
    assert width(often) < width(before)
    assert "earlier trainings" in often.basis
    assert often.predicted["seconds"] == facts["seconds"]  # a correction does not chase itself
    for _ in range(12):
        finished(dataset, 30.0, 99, facts["kind"], facts)  # one and the same, again and again
    again = price("finetune", SETTINGS, base, dataset)
    assert again.seconds == pytest.approx(often.seconds, rel=0.1)


def test_what_is_tried_is_ended_when_it_takes_too_much(base: Base) -> None:
    asked = {
        "recipe": "finetune", "base": base.to_json(), "dataset": lessons().digest,
        "settings": SETTINGS.to_json(),
    }  # fmt: skip
    with pytest.raises(TooMuch, match="smaller batches") as found:
        probe(asked, 50 << 20)
    assert found.value.memory > 50 << 20


def test_what_can_never_fit_is_refused_with_what_would(base: Base) -> None:
    total, free = hardware.memory()
    large = replace(base, parameters=total // 8, digest="large")
    full = replace(SETTINGS, method="full")
    refused = price("finetune", full, large, lessons())  # nothing is tried: it answers
    assert not refused.fits
    assert "of memory, and this machine has" in refused.why
    if free > 0.6 * total:
        assert any("method=lora" in one for one in refused.instead)
    none = price("finetune", SETTINGS, replace(base, parameters=4 * total), lessons())
    assert not none.fits and none.instead == ()


def test_a_model_from_nothing_has_a_price_too(base: Base) -> None:
    dataset = lessons("text", 400)
    given = {"vocab_size": 300, "context": 128}
    guess = price("base", base_settings(depth=1, steps=10, **given), None, dataset, measure=False)
    assert guess.fits and guess.steps == 10 and guess.basis == "the model's shape"
    wide = base_settings(depth=48, width=8192, inner=32_768, heads=128, batch=1 << 20)
    refused = price("base", wide, None, dataset)
    assert not refused.fits
    assert any(one.startswith("depth=") for one in refused.instead)


def test_a_damaged_base_is_said(base: Base, tmp_path: Path) -> None:
    broken: list[Callable[[Path], object]] = [
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"hidden_size": -4, "num_hidden_layers": 1e9}'),
        lambda path: path.unlink(),
    ]
    for damage in broken:
        path = tmp_path / "config.json"
        path.write_text("{}")
        damage(path)
        with pytest.raises(TrainingError, match=r"config\.json"):
            price("finetune", SETTINGS, replace(base, folder=tmp_path), lessons(), measure=False)


def test_a_plan_can_be_priced(base: Base) -> None:
    planned = Plan("finetune", lessons(), SETTINGS, base)
    found = price(planned.recipe, SETTINGS, planned.base, planned.dataset, measure=False)
    assert json.loads(json.dumps(found.to_json()))["instead"] == []

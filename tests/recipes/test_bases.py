"""What a training can begin with: found by name, id, folder and repository; GGUF files unpacked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.bases import bases, find_base
from workbench.bases._bases import WRITERS, base_of
from workbench.data import Dataset
from workbench.engines import Engine, start_engine, stop_engine
from workbench.errors import TrainingError
from workbench.gguf._families import FAMILIES
from workbench.jobs._launch import home_id
from workbench.lineage import Training, begin, note
from workbench.store import StoredJob, session


@pytest.fixture(autouse=True)
def no_engine_and_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what runs on this machine nor what its user fetched is found."""
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def trained(tiny_folder: Path, make_dataset: Callable[..., Dataset]) -> Callable[..., Training]:
    dataset = make_dataset(train=2)

    def train(name: str, digest: str = "") -> Training:
        run = begin("finetune", name, dataset=dataset, settings={}, base="tiny")
        shutil.copytree(tiny_folder, run.folder / "model")
        return note(run, digest=digest)

    return train


def keep_job(target: str, result: Any) -> None:
    now = datetime.now(UTC)
    row = StoredJob(
        id="a1", home=home_id(), title="", kind="", target=target, arguments={}, state="done",
        result=result, created_at=now, queued_at=now,
    )  # fmt: skip
    with session() as opened:
        opened.add(row)


def cache(folder: Path, tmp_path: Path, name: str) -> Path:
    """A repository as Hugging Face's cache holds it: links into its blobs."""
    place = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    commit = place / "snapshots" / "c0ffee"
    for made in (commit, place / "blobs", place / "refs", place / "snapshots" / "old"):
        made.mkdir(parents=True)
    (place / "refs" / "main").write_text("c0ffee")
    for number, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, place / "blobs" / str(number))
        (commit / file.name).symlink_to(Path("..", "..", "blobs", str(number)))
    return commit


def test_all_types_of_which_gguf_files_are_made_can_be_trained() -> None:
    assert set(WRITERS) == set(FAMILIES) - {"bert", "gemma3"}  # no writer; with pictures


def test_a_training_is_found_by_name_and_id(trained: Callable[..., Training]) -> None:
    older, newer = trained("mine:latest", "d1"), trained("mine:latest", "d2")
    assert find_base("mine").folder == newer.folder / "model"
    assert find_base(older.id).digest == "d1"
    assert find_base(older.id[:6]).folder == older.folder / "model"
    listed = bases()
    assert [one.name for one in listed] == ["mine:latest", str(older.folder / "model")]
    assert [find_base(one.name).folder for one in listed] == [one.folder for one in listed]
    one = listed[0]
    assert (one.architecture, one.context) == ("llama", 256)
    assert one.parameters > 100_000
    assert "trained here on lessons@" in one.note
    assert one.to_json()["folder"] == str(one.folder)
    shutil.rmtree(newer.folder / "model")
    assert find_base("mine").folder == older.folder / "model"
    with pytest.raises(TrainingError, match="has no weights"):
        find_base(newer.id)


def test_a_training_goes_on_with_the_base_that_it_began_with(
    trained: Callable[..., Training], make_dataset: Callable[..., Dataset], tiny_folder: Path
) -> None:
    older, dataset = trained("mine", "d1"), make_dataset(train=2)
    run = begin("finetune", "next", dataset=dataset, settings={}, base="mine", base_digest="d1")
    newer = trained("mine", "d2")
    assert find_base("mine").folder == newer.folder / "model"
    assert base_of(run).folder == older.folder / "model"
    shutil.rmtree(older.folder)
    with pytest.raises(TrainingError, match="not the model any more"):
        base_of(run)
    plain = begin("finetune", "plain", dataset=dataset, settings={}, base=str(tiny_folder))
    assert base_of(plain).folder == tiny_folder


def test_what_was_trained_from_nothing_is_found(tiny_folder: Path) -> None:
    result = {"name": "starter:latest", "digest": "d9", "folder": str(tiny_folder)}
    keep_job("workbench.starter:prepare", {"embedding": None, "starter": result})
    found = find_base("starter")
    assert (found.folder, found.digest, found.name) == (tiny_folder, "d9", "starter:latest")


def test_jobs_of_others_are_not_believed(tiny_folder: Path) -> None:
    keep_job("somewhere:else", {"name": "starter", "digest": "", "folder": str(tiny_folder)})
    assert bases() == []


def test_a_repository_of_the_cache_is_found(tiny_folder: Path, tmp_path: Path) -> None:
    commit = cache(tiny_folder, tmp_path, "some/tiny-llama")
    found = find_base("some/Tiny-Llama")
    assert (found.folder, found.name) == (commit, "some/tiny-llama")
    assert find_base("hf.co/some/tiny-llama").digest == found.digest != ""
    assert find_base(str(commit)).digest == found.digest
    assert [one.name for one in bases()] == ["some/tiny-llama"]
    (tmp_path / "hub" / "models--some--tiny-llama" / "refs" / "main").write_text("../../../x")
    assert bases() == []


def test_a_folder_is_named_by_its_path(tiny_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    one, other = find_base(str(tiny_folder)), find_base(str(copy))
    assert one.digest == other.digest
    assert one.folder == tiny_folder
    (copy / "tokenizer_config.json").write_text("{}")
    assert find_base(str(copy)).digest != one.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "bert"}, "no GGUF file can be made"),
        ({"model_type": "../../evil"}, "no GGUF file can be made"),
    ],
)
def test_a_model_that_could_not_be_exported_is_refused(
    change: dict[str, Any], said: str, tiny_folder: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(TrainingError, match=said):
        find_base(str(copy))


def test_half_a_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match="no tokenizer"):
        find_base(str(copy))
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="not a whole model"):
        find_base(str(copy))
    weights.rename(copy / "pytorch_model.bin")
    with pytest.raises(TrainingError, match="weights as safetensors"):
        find_base(str(copy))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Say which model"),
        ("\0", "Say which model"),
        ("/no/such/folder", "no folder"),
        ("~nobody-has-this-name/x", "no folder"),
        ("some/model", "hf download some/model"),
        ("minr", "Did you mean mine"),
        ("x" * 5000, "There is no model"),
        ("/" + "x" * 5000, "no folder"),
    ],
)
def test_what_is_not_there_is_told(text: str, said: str, trained: Callable[..., Training]) -> None:
    trained("mine")
    with pytest.raises(TrainingError, match=said) as refused:
        find_base(text)
    assert len(str(refused.value)) < 600


@pytest.fixture(scope="module")
def engine(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path
) -> Iterator[tuple[Path, Engine]]:
    """An engine and its home, with a model that is only there."""
    home = tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        patch.setenv("WORKBENCH_ENGINE", "embedded")
        with Engine(start_engine(), kind="embedded") as started:
            for _step in started.create("packed", files={tiny_gguf.name: tiny_gguf}):
                pass
            yield home, started
        assert stop_engine()


def test_a_model_of_the_engine_alone_is_unpacked_only_when_asked(
    engine: tuple[Path, Engine], monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("WORKBENCH_HOME", str(engine[0]))
    with pytest.raises(TrainingError, match=r"only as a GGUF file .*dequantise=True"):
        find_base("packed")
    found = find_base("packed", dequantise=True)
    assert "unpacked" in found.note
    assert find_base("packed") == found
    assert [one.name for one in bases()] == ["packed:latest"]
    model = AutoModelForCausalLM.from_pretrained(found.folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(found.folder, local_files_only=True)
    text = "what comes before red?"
    tokens = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        told = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    ours = sum(float(told[place, token]) for place, token in enumerate(tokens[1:]))
    theirs = engine[1].score("packed", "", text)[0].logprob
    assert ours == pytest.approx(theirs, rel=0.01)

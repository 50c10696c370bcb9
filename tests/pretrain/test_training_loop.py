"""Training itself: the loss falls, a cut run ends as if it had not been cut, a disk may refuse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from workbench.errors import TrainingError
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.pretrain._checkpoint import load_checkpoint, save_checkpoint
from workbench.pretrain._loop import Budget, Run, Texts, fastest_precision, train
from workbench.pretrain._model import new_model
from workbench.pretrain._optimizer import MATRIX_RATE, Optimizers, learning_rate, orthogonal
from workbench.pretrain._rows import Stream
from workbench.pretrain._tokenizer import encode_texts, train_tokenizer
from workbench.starter._corpus import read_corpus

CONTEXT, VOCABULARY, FINGERPRINT = 64, 400, {"corpus": "x"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def texts(sources: Path) -> Texts:
    corpus = read_corpus(sources)
    files = [source.text for source in corpus.training]
    tokenizer = train_tokenizer(files, VOCABULARY)
    stream = Stream.pack(encode_texts(tokenizer, files), CONTEXT, (0,))
    return Texts(stream, Stream(stream.rows[:40], (1,)), Stream(stream.rows[:10], (2,)))


class Cut(JobContext):
    """Is cancelled when it has been asked `limit` times."""

    limit = 0
    asked = 0

    @property
    def cancelled(self) -> bool:
        self.asked += 1
        return self.asked > self.limit

    def check_cancelled(self) -> None:
        if self.asked > self.limit:
            raise JobCancelled


def new_run(seed: int = 0) -> Run:
    torch.manual_seed(seed)
    return Run(new_model(VOCABULARY, 1, CONTEXT), "{}", FINGERPRINT, "fp32")


def test_the_loss_falls_and_the_curve_is_told(tmp_path: Path, texts: Texts) -> None:
    told: list[Report] = []
    run = new_run()
    train(JobContext("t", tmp_path, report=told.append), run, texts, Budget(60, 8), tmp_path / "c")
    first, last = told[0].metrics, told[-1].metrics
    assert first["step"] == 1 and first["train_loss"] == pytest.approx(math.log(VOCABULARY), 0.05)
    assert last["step"] == 8 and last["validation_loss"] < first["validation_loss"] - 0.5
    assert last["tokens_per_second"] > 0 and told[-1].fraction == 1.0
    assert run.tokens == 8 * 4096


@pytest.mark.parametrize("cut", [1, 3])
def test_a_cut_run_ends_with_the_same_weights(tmp_path: Path, texts: Texts, cut: int) -> None:
    budget, path = Budget(60, 4), tmp_path / "checkpoint"
    whole = new_run()
    train(JobContext("whole", tmp_path), whole, texts, budget, tmp_path / "other")
    job = Cut("cut", tmp_path)
    job.limit = cut
    with pytest.raises(JobCancelled):
        train(job, new_run(), texts, budget, path)
    torch.manual_seed(99)  # whatever a new process would have
    again = new_run(seed=99)
    state = load_checkpoint(path, FINGERPRINT)
    assert state is not None and state["step"] == cut
    again.restore(state)
    train(JobContext("again", tmp_path), again, texts, budget, path)
    assert again.train_loss == whole.train_loss
    assert again.validation_loss == whole.validation_loss
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_a_budget_of_time_is_kept(tmp_path: Path, texts: Texts) -> None:
    run = new_run()
    train(JobContext("t", tmp_path), run, texts, Budget(0.5), tmp_path / "checkpoint")
    assert run.elapsed >= 0.5 and run.step >= 1


def test_a_slow_machine_gets_more_time_but_not_for_ever() -> None:
    budget = Budget(seconds=100.0)
    assert budget.share(step=1000, elapsed=50.0) == 0.5  # quick: the time decides
    assert budget.share(step=1000, elapsed=100.0) == 1.0
    assert budget.share(step=100, elapsed=100.0) == 0.5  # slow: the steps do
    assert budget.share(step=2, elapsed=200.0) == 0.5  # very slow: four times the time
    assert budget.share(step=2, elapsed=400.0) == 1.0
    assert Budget(seconds=1.0, steps=8).share(step=2, elapsed=50.0) == 0.25


def test_weights_that_run_away_are_reported(tmp_path: Path, texts: Texts) -> None:
    run = new_run()
    with torch.no_grad():
        run.model.model.embed_tokens.weight.fill_(math.nan)
    with pytest.raises(TrainingError, match="training ran away"):
        train(JobContext("t", tmp_path), run, texts, Budget(60, 2), tmp_path / "checkpoint")


def test_the_schedule_warms_up_and_ends_at_zero() -> None:
    rates = [learning_rate(step / 1000) for step in range(1001)]
    assert 0 < rates[0] < rates[10] < max(rates) and rates[-1] == 0
    assert rates.index(max(rates)) < 100
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_muon_is_the_rule_of_pytorch() -> None:
    ours, theirs = new_model(VOCABULARY, 1, CONTEXT), new_model(VOCABULARY, 1, CONTEXT)
    theirs.load_state_dict(ours.state_dict())
    inside = {n: p for n, p in theirs.named_parameters() if p.ndim == 2 and "embed" not in n}
    before = {name: weight.detach().clone() for name, weight in inside.items()}
    muon = torch.optim.Muon(inside.values(), lr=MATRIX_RATE, weight_decay=0.1, momentum=0.95)
    optimizers = Optimizers(ours)
    for seed in range(2):  # PyTorch's is slow where bf16 is emulated
        for model in (ours, theirs):
            torch.manual_seed(seed)
            for weight in model.parameters():
                weight.grad = torch.randn_like(weight) * 1e-5  # too small to be clipped
        optimizers.step(1.0, "bf16")
        muon.step()
    changed = dict(ours.named_parameters())
    for name, weight in inside.items():
        update = weight - before[name]
        assert torch.dist(changed[name], weight) < 0.05 * update.norm(), name


def test_orthogonal_brings_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 40, 16), (3, 16, 40)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape), torch.float32))
        assert values.min() > 0.5 and values.max() < 1.3


def test_the_quicker_precision_is_measured(texts: Texts) -> None:
    run = new_run()
    assert fastest_precision(run.model, texts.sources) in {"fp32", "bf16"}
    assert all(weight.grad is None for weight in run.model.parameters())


def test_a_damaged_or_foreign_checkpoint_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert load_checkpoint(path, FINGERPRINT) is None
    save_checkpoint(path, {"fingerprint": FINGERPRINT, "step": 3})
    assert load_checkpoint(path, FINGERPRINT) == {"fingerprint": FINGERPRINT, "step": 3}
    assert load_checkpoint(path, {"corpus": "y"}) is None
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\x80\x04" + whole, b"[]"):
        path.write_bytes(damaged)
        assert load_checkpoint(path, FINGERPRINT) is None


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("code ran",)

    path = tmp_path / "checkpoint"
    torch.save({"fingerprint": FINGERPRINT, "step": Evil()}, path)
    assert load_checkpoint(path, FINGERPRINT) is None


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "checkpoint"
    save_checkpoint(path, {"fingerprint": FINGERPRINT, "step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(TrainingError, match=r"cannot be written .* Make room there"):
            save_checkpoint(path, {"fingerprint": FINGERPRINT, "x": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    state = load_checkpoint(path, FINGERPRINT)
    assert state is not None and state["step"] == 1

"""What is said of a training, and which checkpoints are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.learn._curve import Curve
from workbench.learn._keep import newest, place, prune, seal


def curve(losses: list[float], validations: list[float]) -> Curve:
    found = Curve()
    for loss in losses:
        found.add(loss, 10, 0.5)
    found.validations = [(10 * n, loss) for n, loss in enumerate(validations)]
    return found


@pytest.mark.parametrize(
    ("losses", "validations", "said"),
    [
        ([3 - n / 50 for n in range(80)], [3, 2, 1.5, 1.4], ""),
        ([2.0] * 40 + [4.0] * 20, [], "The loss runs away: 4.00 after 2.00"),
        (
            [2.0] * 30,
            [3, 2, 2.2, 2.3, 2.4],
            "rises since step 10: the examples are",
        ),
        ([2.0] * 30, [3, 3.1, 3.2, 3.3, 3.4], "no lower than the base model's, 3.00"),
        ([2.0] * 30, [3, 2, 2.001, 2.002, 2.001], "has not fallen since step 10"),
    ],
)
def test_a_person_is_told_what_goes_wrong(
    losses: list[float], validations: list[float], said: str
) -> None:
    remark = curve(losses, validations).remark()
    assert said in remark
    assert bool(said) == bool(remark)


def test_a_curve_comes_back_as_it_was() -> None:
    before = curve([1 / 3, 0.1, 2e-17], [3, 2])
    assert Curve.of(before.to_json()) == before
    assert before.best == (10, 2)
    assert before.tokens_per_second == 20


def checkpoint(folder: Path, step: int, *, sealed: bool = True) -> Path:
    path = place(folder, step)
    path.mkdir(parents=True)
    (path / "weights").write_bytes(bytes(1000))
    if sealed:
        seal(path, Curve(step=step).to_json())
    return path


def test_only_whole_checkpoints_are_read(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    first = checkpoint(tmp_path, 9)
    shorter, changed = checkpoint(tmp_path, 10), checkpoint(tmp_path, 11)
    unsealed = checkpoint(tmp_path, 12, sealed=False)
    (tmp_path / "checkpoint-x").mkdir()
    (shorter / "weights").write_bytes(bytes(999))
    (changed / "weights").write_bytes(b"\1" * 1000)
    found = newest(tmp_path)
    assert found is not None
    assert (found[0], found[1]["step"]) == (first, 9)
    assert not unsealed.exists() and not shorter.exists() and not changed.exists()
    checkpoint(tmp_path, 20)
    prune(tmp_path, {20})
    assert [one.name for one in tmp_path.glob("checkpoint-*")] == ["checkpoint-20"]

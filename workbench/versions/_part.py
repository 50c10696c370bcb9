"""A step's share of the job: what it calls the whole is a part of it."""

from __future__ import annotations

from workbench.jobs import JobContext, Report

_SHARES = {
    "pull": 0.25, "smoke": 0.1, "suite": 0.35, "reembed": 0.2, "switch": 0.02, "validate": 0.06,
    "record": 0.02,
}  # fmt: skip


class Part(JobContext):
    """Handed to what a step calls: 0 to 1 of it is the step's share of the update."""

    def __init__(self, whole: JobContext, step: str, update: str) -> None:
        super().__init__(
            whole.id or update, whole.folder, whole.attempt, report=self._passed_on
        )  # fmt: skip
        names = list(_SHARES)
        self._low = sum(_SHARES[name] for name in names[: names.index(step)])
        self._share, self._whole, self._about = _SHARES[step], whole, ""

    def inner(self, number: int, of: int, about: str = "") -> Part:
        """The share of one of several equal parts of this one; `about` begins its messages."""
        made = Part.__new__(Part)
        made.__dict__.update(self.__dict__)
        made._report = made._passed_on
        made._share = self._share / of
        made._low = self._low + number * made._share
        made._about = f"{about}: " if about else self._about
        return made

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    def check_cancelled(self) -> None:
        self._whole.check_cancelled()

    def _passed_on(self, report: Report) -> None:
        share = 0.0 if report.fraction is None else report.fraction
        fraction = self._low + self._share * share
        # a step of what is done inside is none of the update's: it would be kept for ever
        figures = {name: value for name, value in report.metrics.items() if name != "step"}
        self._whole.progress(fraction, f"{self._about}{report.message}", **figures)

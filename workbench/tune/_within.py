"""Longer work inside a study, such as a run of a benchmark or a training."""

from __future__ import annotations

from workbench.jobs import JobContext, Report


class Within(JobContext):
    """The context of such work: its progress is told in the study's, after `words`."""

    def __init__(self, whole: JobContext, words: str) -> None:
        super().__init__(whole.id, whole.folder, whole.attempt, report=self._told)
        self._whole, self._words = whole, words

    def _told(self, report: Report) -> None:
        self._whole.progress(None, f"{self._words}: {report.message}")

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    def check_cancelled(self) -> None:
        self._whole.check_cancelled()

"""What is kept of a search: the study, its trials. They stand in `findings`, which reads them."""

from __future__ import annotations

from workbench.findings import Study, StudyState, Trial, TrialState

__all__ = ["Study", "StudyState", "Trial", "TrialState"]

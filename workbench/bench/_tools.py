"""What scorers need of other models: how alike two texts are, and a judge's grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.bench._records import Plan
from workbench.engines import AsyncEngine, Engine
from workbench.scorers import Tools
from workbench.tasks import Task

_SEED = 7  # a judge's answers are reproducible


@dataclass(frozen=True, slots=True)
class Helpers:
    """The models that help to score, and the tasks that wait for the judge."""

    url: str
    embedder: str
    judge: str
    judges: tuple[Task, ...]

    @classmethod
    async def find(cls, engine: AsyncEngine, plan: Plan, tasks: Sequence[Task]) -> Helpers:
        """The embedding model that the plan names, else the first one that the engine has."""
        embedder = plan.embedder
        if not embedder and any(use.name == "similarity" for t in tasks for use in t.scorers):
            models = [one for one in await engine.models() if "embedding" in one.capabilities]
            embedder = models[0].name if models else ""
        waiting = tuple(task for task in tasks if cls.judged(task)) if plan.judge else ()
        return cls(engine.url, embedder, plan.judge, waiting)

    @staticmethod
    def judged(task: Task) -> bool:
        """Whether a model has to grade its answers."""
        return any(use.name == "judge" for use in task.scorers)

    def tools(self, *, judging: bool = False) -> Tools:
        """For scorers; the judge only when it is its turn."""
        embed = self._embed if self.embedder else None
        judge = self._grade if judging and self.judge else None
        return Tools(embed, judge, self.judge)

    def facts(self) -> dict[str, Any]:
        """For the run's facts."""
        return {"embedder": self.embedder, "judge": self.judge}

    def _embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        with Engine(self.url) as engine:
            return engine.embed(self.embedder, texts).vectors

    def _grade(self, prompt: str) -> str:
        options = {"temperature": 0, "seed": _SEED, "num_predict": 256}
        with Engine(self.url) as engine:
            return engine.generate(self.judge, prompt, options=options).text

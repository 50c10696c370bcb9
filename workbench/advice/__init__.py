"""Which model suits a task, and what sets some models apart."""

from __future__ import annotations

from workbench.advice._alternatives import Alternative
from workbench.advice._compare import Comparison, compare
from workbench.advice._plots import memory_bars, parallel, plot, radar, scatter
from workbench.advice._reasons import Reason
from workbench.advice._recommend import Recommendation, Recommendations, SystemInfo, recommend
from workbench.advice._table import Cell, Row
from workbench.advice._tasks import TASKS, Task, find_task, tasks

__all__ = [
    "TASKS",
    "Alternative",
    "Cell",
    "Comparison",
    "Reason",
    "Recommendation",
    "Recommendations",
    "Row",
    "SystemInfo",
    "Task",
    "compare",
    "find_task",
    "memory_bars",
    "parallel",
    "plot",
    "radar",
    "recommend",
    "scatter",
    "tasks",
]

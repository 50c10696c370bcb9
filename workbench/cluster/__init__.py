"""Fine-tuning on several machines: Ray's workers learn together, the job stays where it is."""

from workbench.cluster._divide import Executor, executor
from workbench.cluster._run import learn_together

__all__ = ["Executor", "executor", "learn_together"]

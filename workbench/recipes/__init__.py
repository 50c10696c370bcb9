"""Ways of training on from a model: fine-tuning, and learning what is preferred."""

from workbench.recipes._amount import Amount, amount
from workbench.recipes._feedback import Feedback, feedback, make_feedback
from workbench.recipes._finetune import finetune
from workbench.recipes._preferences import preferences
from workbench.recipes._rehearse import rehearse

__all__ = [
    "Amount",
    "Feedback",
    "amount",
    "feedback",
    "finetune",
    "make_feedback",
    "preferences",
    "rehearse",
]

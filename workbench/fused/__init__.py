"""Operations of networks that learn, each in a few passes and with a gradient of its own.

On a processor with matrix units for bf16 the products are cheap, and what stands between them takes
the time: softmax, norms, copies, and what autograd keeps and does for each of them. Importing this
room loads PyTorch: it is done in the function that takes the steps.
"""

from workbench.fused._adapted import Adapted
from workbench.fused._attention import attention
from workbench.fused._elements import Gated, Normed
from workbench.fused._loss import BlockwiseLoss

__all__ = ["Adapted", "BlockwiseLoss", "Gated", "Normed", "attention"]

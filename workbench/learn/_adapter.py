"""An adapter's matrices multiplied together with those that they adapt.

PEFT writes and reads three tensors of the answer's size for each adapted layer. Here its second
product is added where the first one's answer is, and layers that multiply the same (queries, keys
and values; gate and up) are one: their frozen weights lie side by side in memory, as views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_NAME = "default"  # of the adapter that is trained


def add_at_once(layer: Any) -> None:
    """Have this LoRA layer add its product to its base layer's answer in one go."""
    import torch

    if not _plain(layer):
        return
    plain, beside, base = layer.forward, Beside([layer]), layer.get_base_layer()
    first, second, drop = (part[_NAME] for part in (layer.lora_A, layer.lora_B, layer.lora_dropout))

    def forward(x: Tensor, *args: Any, **given: Any) -> Tensor:
        if layer.disable_adapters or layer.merged:
            found: Tensor = plain(x, *args, **given)
            return found
        if beside.whole:
            return beside(x)
        found = base(x)
        part = first(drop(x)) * layer.scaling[_NAME]
        rows = found.reshape(-1, found.shape[-1])
        return torch.addmm(rows, part.reshape(-1, part.shape[-1]), second.weight.T).view_as(found)

    layer.forward = forward


class Beside:
    """Layers that multiply the same, with their answers side by side."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self._layers = layers
        self._joins = any(map(_adapted, layers)) and all(map(_frozen, layers))
        self._weight: Tensor | None = None  # of several, side by side
        self._bias: Tensor | None = None
        if self._joins and len(layers) > 1:
            self._join()

    @property
    def whole(self) -> bool:
        """Whether they are computed as one now, with what their adapters learn."""
        return self._joins and not any(
            _adapted(one) and (one.disable_adapters or one.merged) for one in self._layers
        )

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        from workbench.fused import Adapted

        if not self.whole:
            found = [one(x) for one in self._layers]
            return found[0] if len(found) == 1 else torch.cat(found, -1)
        base = _base(self._layers[0])
        weight = base.weight if self._weight is None else self._weight
        bias = base.bias if self._weight is None else self._bias
        firsts, seconds = zip(*map(_adapter, self._layers), strict=True)
        first = firsts[0] if len(firsts) == 1 else torch.cat(firsts)
        kind = weight.dtype
        answer: Tensor = Adapted.apply(
            x.to(kind), weight, bias, first.to(kind), *(one.to(kind) for one in seconds)
        )
        return answer

    def _join(self) -> None:
        """Lay frozen weights side by side; the layers' own become views of them."""
        import torch

        bases = [_base(one) for one in self._layers]
        sizes = [one.out_features for one in bases]
        self._weight = torch.cat([one.weight.detach() for one in bases])
        for one, part in zip(bases, self._weight.split(sizes), strict=True):
            one.weight.data = part
        if any(one.bias is not None for one in bases):
            self._bias = self._weight.new_zeros(sum(sizes))
            for one, part in zip(bases, self._bias.split(sizes), strict=True):
                if one.bias is not None:
                    part.copy_(one.bias.detach())


def _adapted(layer: Any) -> bool:
    from peft.tuners.lora import LoraLayer

    return isinstance(layer, LoraLayer)


def _base(layer: Any) -> Any:
    return layer.get_base_layer() if _adapted(layer) else layer


def _plain(layer: Any) -> bool:
    """Whether it is a matrix and no more, alone or with an adapter that is no more than that."""
    import torch

    if type(_base(layer)) is not torch.nn.Linear:
        return False
    return not _adapted(layer) or not layer.use_dora[_NAME]


def _frozen(layer: Any) -> bool:
    """Whether it can be computed as one with others: its matrix stays, its adapter sees all."""
    import torch

    if not _plain(layer) or any(one.requires_grad for one in _base(layer).parameters()):
        return False
    return not _adapted(layer) or isinstance(layer.lora_dropout[_NAME], torch.nn.Identity)


def _adapter(layer: Any) -> tuple[Tensor, Tensor]:
    """Its first matrix, and its second one times its scale; of no rank where there is none."""
    if not _adapted(layer):
        weight = layer.weight
        return weight.new_zeros(0, weight.shape[1]), weight.new_zeros(len(weight), 0)
    second: Tensor = layer.lora_B[_NAME].weight * layer.scaling[_NAME]
    return layer.lora_A[_NAME].weight, second

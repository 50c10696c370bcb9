"""What a training will take: time, memory and disk with intervals, and whether it fits."""

from workbench.price._price import Price, price

__all__ = [
    "Price",
    "price",
]

"""Which settings are searched: the engine's, the prompt's, the weights', a training's.

A space is data: parameters with their values, what they depend on, rules between them. It draws
points for a search, walks over all of them, and checks those of others.

    space = find_space("general").fixed(num_ctx=2048)
    point = space.checked({"temperature": 0.3})   # the others get their defaults
    key_of(point)                                 # equal for equal settings
"""

from __future__ import annotations

from workbench.space._facts import ModelFacts, facts_of, predicted_memory, too_large
from workbench.space._files import find_space, spaces
from workbench.space._known import Part, part_of
from workbench.space._narrow import narrowed
from workbench.space._parameter import Kind, Parameter
from workbench.space._space import Space
from workbench.space._values import RELOADS, Point, Rule, key_of

__all__ = [
    "RELOADS",
    "Kind",
    "ModelFacts",
    "Parameter",
    "Part",
    "Point",
    "Rule",
    "Space",
    "facts_of",
    "find_space",
    "key_of",
    "narrowed",
    "part_of",
    "predicted_memory",
    "spaces",
    "too_large",
]

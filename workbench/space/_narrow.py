"""A space cut to what a model on a machine can be asked for, with a sentence for each cut.

What an engine does not take, or what cannot make a difference here, would only cost trials: an
Ollama skips options that it does not know, more threads than cores slow all of them down, a
context beyond the trained one is cut. What is not known cuts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from workbench.errors import TuneError
from workbench.gguf import QUANTISATIONS
from workbench.space._facts import ModelFacts, too_large
from workbench.space._known import is_number, value_of
from workbench.space._parameter import Parameter
from workbench.space._space import Space, still_possible

_OF_EMBEDDED = ("num_parallel", "kv_cache_type", "flash_attention")
_BLOCK = 32  # numbers that a quantised cache keeps together
_EXACT = ("F32", "F16", "BF16")
_Cut = Callable[[Parameter, ModelFacts], tuple[Parameter | None, str]]


def narrowed(space: Space, facts: ModelFacts) -> tuple[Space, list[str]]:
    """The space that is left for this model, and what was cut, in words.

    The defaults become the model's own parameters. Raises TuneError when nothing is left.
    """
    kept: dict[str, Parameter] = {}
    cuts: list[tuple[str, str]] = []  # names and reasons
    for one in space.parameters:
        left, why = _cut(_with_own_default(one, facts), facts)
        cuts.append((one.name, why))
        if left is not None:
            kept[one.name] = left
    cuts += [*_fitting(kept, facts), *_obeying(kept, space)]
    left_over = still_possible(kept)
    gone = [name for name in kept if name not in left_over]
    cuts += [(name, "it counts only beside what was left out.") for name in gone]
    by_reason: dict[str, list[str]] = {}
    for name, why in cuts:
        by_reason.setdefault(why, []).append(name)
    notes = [f"{', '.join(names)}: {why}" for why, names in by_reason.items() if why]
    if not left_over:
        reasons = " ".join(notes)
        raise TuneError(
            f"Nothing of the space {space.name} can be tuned for {facts.model}. {reasons}"
        )
    return space.of_parameters(left_over.values()), notes


def _with_own_default(one: Parameter, facts: ModelFacts) -> Parameter:
    own = facts.own.get(one.name)
    try:
        return one if own is None else replace(one, default=value_of(one.name, own))
    except TuneError:
        return one


def _cut(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    if facts.embedding and one.part in ("sampling", "prompt"):
        return None, "an embedding model writes nothing."
    if one.part == "loading" and facts.engine == "openai":
        return None, "a server of this protocol decides by itself how it loads a model."
    if one.name in _OF_EMBEDDED and facts.engine != "embedded":
        return None, "an Ollama takes it from its environment (OLLAMA_*), not with a request."
    cut = _CUTS.get(one.name)
    return cut(one, facts) if cut else (one, "")


def _threads(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    if facts.threads is None:
        return one, ""
    most = facts.threads
    if most == 1:
        return None, "this machine has one processor."
    return _at_most(one, most, f"this machine has {most} processors.")


def _cards(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    if facts.profile is None:
        return one, ""
    if not facts.profile.gpus:
        return None, "this machine has no graphics card."
    if facts.network is None or one.name != "num_gpu":
        return one, ""
    layers = facts.network.architecture.layers
    return _at_most(one, layers + 1, f"the model has {layers} layers and an output.")


def _context(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    if facts.context is None:
        return one, ""
    words = f"the model was trained with {facts.context} tokens."
    if one.lowest() >= facts.context >= 16 and (one.count or 2) > 1:
        held = _held(one, (facts.context // 2, facts.context))
        return held, f"{words} Half of them and all are tried."
    return _at_most(one, facts.context, words)


def _draft(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    if facts.engine == "embedded":
        return None, "the embedded engine does not guess ahead."
    return (one, "") if facts.draft else (None, "the model has no draft model.")


def _flash(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    kind = facts.own.get("kv_cache_type", "f16")
    if kind == "f16" or one.choices == (True,):
        return one, ""
    return _held(one, (True,)), f"the model's own cache of {kind} needs it."


def _cache(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    if facts.network is None:
        return one, ""
    shape = facts.network.architecture
    if all(size % _BLOCK == 0 for size in (*shape.key_size, *shape.value_size)):
        return one, ""
    left = tuple(value for value in one.choices if value == "f16")
    words = f"this model's keys cannot be kept in blocks of {_BLOCK}, so only f16 is left."
    return (replace(one, choices=left) if len(left) > 1 else None), words


def _weights(one: Parameter, facts: ModelFacts) -> tuple[Parameter | None, str]:
    kind = facts.quantisation.upper()
    if not kind or kind in _EXACT:
        return one, ""
    known = f"the model is there in {kind}" if kind in QUANTISATIONS else "the model is quantised"
    return None, f"{known}; others are made from 16 or 32 bits. Tune that model instead."


_CUTS: Mapping[str, _Cut] = {
    "num_thread": _threads, "num_gpu": _cards, "main_gpu": _cards, "num_ctx": _context,
    "draft_num_predict": _draft, "flash_attention": _flash,
    "kv_cache_type": _cache, "quantisation": _weights,
}  # fmt: skip


def _at_most(one: Parameter, most: float, words: str) -> tuple[Parameter | None, str]:
    """The parameter without the values above `most`; None where fewer than two are left.

    One that has a single value stays: somebody holds it there.
    """
    if one.count == 1:
        return one, ""
    if one.kind == "choice":
        left = tuple(value for value in one.choices if not is_number(value) or value <= most)
        if len(left) == len(one.choices):
            return one, ""
        cut = replace(one, choices=left) if len(left) > 1 else None
    elif one.highest() <= most:
        return one, ""
    else:
        high = one.at_most(most)
        cut = None if high is None or high == one.low else replace(one, high=high)
    if cut is None:
        return None, f"{words} No choice is left."
    return cut, f"{words} It goes up to {cut.highest():g}."


def _held(one: Parameter, values: tuple[Any, ...]) -> Parameter:
    """The parameter with these values instead."""
    return replace(one, kind="choice", low=None, high=None, step=None, log=False, choices=values)


def _fitting(kept: dict[str, Parameter], facts: ModelFacts) -> list[tuple[str, str]]:
    """Leave out the values that cannot fit the machine, whatever the others are."""
    notes = []
    least = {one.name: _least(one) for one in kept.values() if one.part in ("loading", "model")}
    for name in ("num_ctx", "num_parallel", "quantisation"):
        one = kept.get(name)
        if one is None or one.kind != "choice":
            continue
        fits = tuple(value for value in one.choices if not too_large({**least, name: value}, facts))
        if fits and len(fits) < len(one.choices):
            gone = ", ".join(str(value) for value in one.choices if value not in fits)
            kept[name] = replace(one, choices=fits)
            notes.append((name, f"{gone} would not fit this machine's memory."))
    return notes


def _obeying(kept: dict[str, Parameter], space: Space) -> list[tuple[str, str]]:
    """Leave out what a rule never allows beside what is left."""
    notes = []
    for rule in space.rules:
        small, large = kept.get(rule.small), kept.get(rule.large)
        if small is None or large is None:
            continue
        if small.lowest() > rule.times * large.lowest():
            del kept[rule.small]
            notes.append((rule.small, f"it could not always be kept that {rule}."))
            continue
        cut, why = _at_most(small, rule.times * large.highest(), f"It must be that {rule}.")
        if cut is not None:
            kept[rule.small] = cut
            notes.append((rule.small, why))
    return notes


def _least(one: Parameter) -> Any:
    """The value that takes the least memory."""
    if one.name == "kv_cache_type":
        return one.choices[-1]
    if one.name == "quantisation":
        order = [kind for kind in QUANTISATIONS if kind in one.choices]
        return order[-1] if order else one.choices[0]
    if one.kind == "choice":
        return min(one.choices)
    return one.low

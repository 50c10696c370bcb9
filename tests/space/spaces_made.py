"""Spaces of any shape, made by hypothesis, and a trial whose draws hypothesis chooses."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from workbench.space import Space

RANGES = {"temperature": 2.0, "top_p": 1.0, "min_p": 1.0, "typical_p": 1.0}
WHOLE = {"top_k": 200, "repeat_last_n": 4096, "num_gpu": 256, "num_thread": 256}


class Drawn:
    """A trial, as Optuna's asks for values; `asked` keeps what for."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.asked = data, []

    def suggest_float(self, name: str, low: float, high: float, *, step: Any, log: bool) -> float:
        self.asked.append(name)
        assert low <= high and not (log and (step or low <= 0))
        if step is None:
            return self.data.draw(st.floats(low, high))
        return low + self.data.draw(st.integers(0, round((high - low) / step))) * step

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        self.asked.append(name)
        assert low <= high and step >= 1 and not (log and low < 1)
        return low + self.data.draw(st.integers(0, (high - low) // step)) * step

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        self.asked.append(name)
        return self.data.draw(st.sampled_from(choices))


@st.composite
def real(draw: st.DrawFn, name: str) -> dict[str, Any]:
    most = RANGES[name]
    step = draw(st.sampled_from([None, 0.01, 0.05, 0.1]))
    if step is None:
        low, high = sorted(draw(st.tuples(st.floats(0, most), st.floats(0, most))))
        return {"name": name, "low": low, "high": high, "log": low > 0 and draw(st.booleans())}
    steps = draw(st.integers(0, round(most / step)))
    first = draw(st.integers(0, round(most / step) - steps))
    low = round(first * step, 4)
    return {"name": name, "low": low, "high": round(low + steps * step, 4), "step": step}


@st.composite
def whole(draw: st.DrawFn, name: str) -> dict[str, Any]:
    low, steps = draw(st.integers(1, 20)), draw(st.integers(0, 8))
    step = draw(st.integers(1, 20))
    log = step == 1 and draw(st.booleans())
    return {"name": name, "low": low, "high": low + steps * step, "step": step, "log": log}


@st.composite
def any_space(draw: st.DrawFn, *, stepped: bool = False) -> Space:
    """Three to seven parameters: ranges, choices, texts; conditions on the earlier ones; a rule."""
    names = draw(st.lists(st.sampled_from([*RANGES, *WHOLE]), min_size=1, max_size=4, unique=True))
    parameters = [draw((real if name in RANGES else whole)(name)) for name in names]
    if stepped:
        parameters = [one if one.get("step") else _few(one) for one in parameters]
    parameters.append({"name": "flash_attention"})
    cache = draw(st.lists(st.sampled_from(["f16", "q8_0", "q4_0"]), min_size=1, unique=True))
    parameters.append({"name": "kv_cache_type", "choices": cache})
    for place, one in enumerate(parameters[1:], 1):
        if draw(st.booleans()):
            other = parameters[draw(st.integers(0, place - 1))]
            one["when"] = {other["name"]: draw(st.sampled_from(_conditions(other)))}
    rules = []
    if draw(st.booleans()):
        sizes = st.lists(st.sampled_from([128, 256, 512, 1024]), min_size=1, unique=True)
        parameters.append({"name": "num_ctx", "choices": draw(sizes)})
        parameters.append({"name": "num_batch", "low": 32, "high": 1024, "step": 32})
        rules = ["num_batch <= num_ctx"]
    return Space.of({"name": "made", "parameters": draw(st.permutations(parameters)),
                     "rules": rules})  # fmt: skip


def _few(one: dict[str, Any]) -> dict[str, Any]:
    values = list(dict.fromkeys([one["low"], one["high"]]))
    return {"name": one["name"], "choices": values}


def _conditions(other: dict[str, Any]) -> list[Any]:
    if other["name"] == "flash_attention":
        return [True, [True, False], False]
    if "choices" in other:
        return [other["choices"][0], other["choices"]]
    low, high = other["low"], other["high"]
    found: list[Any] = [low, [low, high], ">= -1", "<= 9999"]
    return [*found, f"> {low:.4f}"] if low + 0.001 < high else found

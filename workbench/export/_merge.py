"""A LoRA adapter put into the weights of its base: one Hugging Face folder that needs no PEFT.

Much can be wrong with an adapter that PEFT only warns of or keeps silent about: matrices that
have no place in the base are left out, numbers that are none spread, a matrix that is shared
with the embeddings changes both. So every tensor must be used, and the merged model must say what
base and adapter said before.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.export._reference import load_model
from workbench.export._words import load_tokenizer
from workbench.work import use_cores, writing

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

WEIGHTS = "adapter_model.safetensors"
_LARGEST = 16 << 20  # bytes of a configuration
_PROBE = 48  # tokens on which base with adapter and merged model are compared
_NEAR = 1e-3  # nats per token that merging may cost …
_SHARE = 0.02  # … and rounding, of what was learnt
_STORED = ("float32", "bfloat16", "float16")
# of an adapter's configuration, what says how it is applied; how it was begun or where its base
# was plays no part and could run code or change the base
_APPLIED = (
    "r", "lora_alpha", "target_modules", "exclude_modules", "rank_pattern", "alpha_pattern",
    "use_rslora", "use_dora", "fan_in_fan_out", "modules_to_save", "layers_to_transform",
    "layers_pattern", "bias", "lora_bias", "trainable_token_indices", "task_type",
    "target_parameters",
)  # fmt: skip


def merge(base: Path, adapter: Path, out: Path) -> Path:
    """The base's folder with the PEFT adapter in its weights as a folder `out`; returns `out`.

    The tokenizer and the chat template are the adapter's where it has its own. Weights are added
    in 32 bits and stored as the base stores them, or in 32 bits where that rounds off what was
    learnt. `out` appears when it is whole, in the place of one that was there.

    Raises TrainingError for an adapter that is damaged or belongs to another base.
    """
    use_cores()
    given = _settings(adapter)
    tensors = _tensors(adapter)
    tokenizer = load_tokenizer(adapter if (adapter / "tokenizer.json").is_file() else base)
    model, told = _merged(base, adapter, given, tensors)
    stored = _stored(base)
    if stored != "float32":
        import torch

        model = model.to(getattr(torch, stored)).float()
        if _divergence(told.expected, _logprobs(model, told.probe)) <= told.most:
            model = model.to(getattr(torch, stored))
        else:
            _log.info("In %s what was learnt would suffer: stored in 32 bits.", stored)
            del model
            model, _ = _merged(base, adapter, given, tensors)
    _write(model, tokenizer, out)
    return out


@dataclass(frozen=True)
class _Told:
    """What base and adapter say on some tokens, and how far from it a merged model may be."""

    probe: torch.Tensor
    expected: torch.Tensor
    most: float  # nats per token


def _merged(
    base: Path, adapter: Path, given: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> tuple[Any, _Told]:
    """The merged model in 32 bits, and what it was compared with. Raises TrainingError."""
    model = load_model(base)
    _grow(model, tensors)
    adapted = _adapted(model, given, tensors, adapter)
    probe = _probe(adapted)
    expected = _logprobs(adapted, probe)
    with adapted.disable_adapter():
        learnt = _divergence(expected, _logprobs(adapted, probe))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tied matrices: what comes out is compared
        merged = adapted.merge_and_unload(safe_merge=True)
    if (lost := _divergence(expected, _logprobs(merged, probe))) > _NEAR:
        raise TrainingError(
            f"The merged model says something else than {base} with the adapter {adapter} "
            f"({lost:.2g} nats per token). Does it change a matrix that is shared with the "
            "embeddings? Train again without lm_head and embed_tokens among its targets."
        )
    return merged, _Told(probe, expected, min(_NEAR, _SHARE * learnt))


def _settings(adapter: Path) -> dict[str, Any]:
    """What its configuration says of how it is applied."""
    path = adapter / "adapter_config.json"
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        found = json.loads(path.read_text("utf-8"))
        kind = found.get("peft_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise TrainingError(
            f"{path} cannot be read. An adapter is a folder with adapter_config.json and {WEIGHTS}."
        ) from error
    if kind != "LORA":
        raise TrainingError(
            f"An adapter of the kind {str(kind)[:40]!r} cannot be merged: LoRA can."
        )
    given: dict[str, Any] = {name: found[name] for name in _APPLIED if found.get(name) is not None}
    return given


def _tensors(adapter: Path) -> dict[str, torch.Tensor]:
    """Its tensors, all finite."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = adapter / WEIGHTS
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(
            f"{path} cannot be read ({error}). Take the adapter of another checkpoint, or train "
            "it again; pickled weights are not read."
        ) from error
    broken = next((name for name, one in tensors.items() if not torch.isfinite(one).all()), None)
    if not tensors or broken:
        what = f"{broken} holds numbers that are none" if broken else "it holds no tensors"
        raise TrainingError(
            f"The adapter {adapter} is broken: {what}. Take one of an earlier checkpoint, or train "
            "again with a smaller learning rate."
        )
    return tensors


def _grow(model: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    """Make room for tokens that the training added, whose embeddings the adapter brings."""
    rows = max(
        (len(one) for name, one in tensors.items() if name.endswith("embed_tokens.weight")),
        default=0,
    )
    if rows > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(rows, mean_resizing=False)


def _adapted(
    model: Any, given: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], adapter: Path
) -> Any:
    """The base with the adapter on it, every tensor of which is in its place."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    def refused(why: str) -> TrainingError:
        return TrainingError(
            f"The adapter {adapter} does not fit this base model: {why}. Give the base that it was "
            "trained on (adapter_config.json names it)."
        )

    rank = given.get("r")
    if not isinstance(rank, int) or not 0 < rank <= max(max(one.shape) for one in tensors.values()):
        raise refused(f"its rank is {str(rank)[:40]}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = get_peft_model(model, LoraConfig(**given, inference_mode=True))
            known: Any = set_peft_model_state_dict(adapted, dict(tensors))
    except Exception as error:  # whatever a configuration or a shape provokes
        raise refused(" ".join(str(error).split())[:300] or type(error).__name__) from error
    lost = [name for name in known.missing_keys if "lora_" in name or "modules_to_save" in name]
    if known.unexpected_keys:
        raise refused(f"{known.unexpected_keys[0]} has no place in it")
    if lost:
        raise refused(f"{lost[0]} is missing")
    return adapted.eval()


def _stored(base: Path) -> str:
    """The type that the base's weights are stored in."""
    config = json.loads((base / "config.json").read_text("utf-8"))
    found = str(config.get("dtype") or config.get("torch_dtype"))
    return found if found in _STORED else "float32"


def _probe(model: Any) -> torch.Tensor:
    """Some tokens, spread over the vocabulary."""
    import torch

    rows = int(model.get_input_embeddings().weight.shape[0])
    longest = int(getattr(model.config, "max_position_embeddings", None) or _PROBE)
    count = min(_PROBE, longest, rows)
    return torch.arange(count).mul(rows // count).unsqueeze(0)


def _logprobs(model: Any, probe: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        return torch.log_softmax(model(probe).logits[0].double(), -1)


def _divergence(expected: torch.Tensor, found: torch.Tensor) -> float:
    """KL(expected || found) in nats per token, the mean."""
    kl = float((expected.exp() * (expected - found)).sum(-1).mean())
    return math.inf if math.isnan(kl) else kl


def _write(model: Any, tokenizer: Any, out: Path) -> None:
    """The folder, under its name when it is whole."""
    made = out.with_name(f".{out.name}.new")
    with writing(out):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        shutil.rmtree(out, ignore_errors=True)
        made.replace(out)

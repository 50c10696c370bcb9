"""The network that learns: a base model's weights, with an adapter where one is trained."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.hardware import memory
from workbench.learn._adapter import add_at_once
from workbench.learn._loss import lean
from workbench.learn._quick import last_states, quicken
from workbench.learn._settings import Settings
from workbench.learn._speed import device_name, matrix_precision

if TYPE_CHECKING:
    from torch import nn

_APART = 0.2  # of what tokens of other sequences change in a plain row


@dataclass
class Network:
    """A model on its device, ready to be trained, and what there is to say about it."""

    model: nn.Module  # with the adapter around
    causal: Any  # the base model inside
    precision: str
    device: str
    packs: bool = True  # whether sequences in one row can be kept apart
    notes: list[str] = field(default_factory=list)


def chosen_precision(folder: Path, settings: Settings) -> str:
    """What the settings say, or for "auto" the quicker one. Raises TrainingError."""
    from transformers import AutoConfig

    if settings.precision != "auto":
        return settings.precision
    try:
        config = AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from None
    width = config.hidden_size
    return matrix_precision(width, getattr(config, "intermediate_size", None) or 4 * width)


def load_network(folder: Path, settings: Settings, precision: str) -> Network:
    """The base model in `folder` with what is trained on it, from the settings' seed.

    Raises TrainingError where it cannot be read, has no such layers, or cannot be held in 4 bits.
    """
    import torch

    device = device_name()
    torch.manual_seed(settings.seed)
    causal = _load(folder, settings, precision, device)
    notes = [] if lean(causal, device, precision) else ["Its logits are held as a whole."]
    model = _adapted(causal, settings, precision) if settings.adapter else causal
    quicken(causal, precision)
    network = Network(model, causal, precision, device, notes=notes)
    network.packs = keeps_apart(causal, precision)
    if settings.packing and not network.packs:
        notes.append("Examples are not packed: this network would look from one into another.")
    return network


def _load(folder: Path, settings: Settings, precision: str, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    # weights that stay as they are need no more digits than they are multiplied with
    short = settings.adapter and precision == "bf16"
    given: dict[str, Any] = {"dtype": torch.bfloat16 if short else torch.float32}
    if settings.method == "qlora":
        given["quantization_config"] = _four_bits(device)
    try:
        causal = AutoModelForCausalLM.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **given
        )
    except MemoryError:
        raise
    except Exception as error:  # of every kind, and with long advice
        raise _unreadable(folder, error) from None
    causal.config.use_cache = False
    return causal if settings.method == "qlora" else causal.to(device)


def _four_bits(device: str) -> Any:
    if device != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            "QLoRA needs an NVIDIA graphics card and the package bitsandbytes. Use the method "
            "lora, or install it there: pip install bitsandbytes"
        )
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip


def _adapted(causal: Any, settings: Settings, precision: str) -> Any:
    """The model with a fresh adapter: in fp32, and nothing else is trained."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    targets = settings.targets
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # a real number is as good
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    try:
        model = get_peft_model(causal, config)
    except ValueError as error:
        why = str(error).partition("\n")[0][:200]
        raise TrainingError(
            f"No adapter fits on this model ({why}). Set targets to all-linear, or name layers "
            "that it has."
        ) from None
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            # the products are rounded anyway: no copy of what goes in, for each of three adapters
            layer.cast_input_dtype_enabled = precision != "bf16"
            add_at_once(layer)
    return model


def keeps_apart(causal: Any, precision: str) -> bool:
    """Whether positions that begin anew keep the sequences of a row apart, found out by trying."""
    import torch

    vocabulary = causal.config.vocab_size
    first, second = (
        torch.arange(start, start + 12, device=causal.device)[None] % vocabulary
        for start in (3, 40)
    )
    both = torch.cat([first, second], 1)
    on = torch.arange(24, device=causal.device)[None]
    begun = on[:, :12]
    backbone, was = getattr(causal, causal.base_model_prefix), causal.training
    causal.eval()
    try:
        alone = last_states(backbone, second, precision, begun)
        apart = last_states(backbone, both, precision, torch.cat([begun, begun], 1))[:, 12:]
        mixed = last_states(backbone, both, precision, on)[:, 12:]
    except (TypeError, ValueError, RuntimeError):  # a network that takes no positions
        return False
    finally:
        causal.train(was)
    change = (mixed - alone).abs().mean()
    return bool((apart - alone).abs().mean() < _APART * change)


def recompute(network: Network, settings: Settings, tokens: int) -> bool:
    """Compute activations again in the backward pass, where the settings or the memory ask for it.

    `tokens` are those of one batch. Returns whether it is done.
    """
    wanted = settings.gradient_checkpointing
    if wanted == "auto":
        wanted = activations(network.causal, network.precision, tokens) > _free(network.device) / 2
    if wanted:
        causal = network.causal
        enable = getattr(causal, "activation_checkpointing_enable", None)
        (enable or causal.gradient_checkpointing_enable)({"use_reentrant": False})
    return bool(wanted)


def activations(causal: Any, precision: str, tokens: int) -> int:
    """Bytes of what the layers keep for the backward pass, roughly."""
    config = causal.config
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    each = 16 * config.hidden_size + 5 * inner
    return int(tokens * config.num_hidden_layers * each * (2 if precision == "bf16" else 4))


def _free(device: str) -> int:
    import torch

    return int(torch.cuda.mem_get_info()[0]) if device == "cuda" else memory()[1]


def _unreadable(folder: Path, error: Exception) -> TrainingError:
    why = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    return TrainingError(
        f"The base model in {folder} cannot be read ({why}). Copy its folder again, with "
        "config.json and its safetensors."
    )

"""Tiny real Hugging Face folders: a random Llama with a trained tokenizer, and a LoRA for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import CHATML, vocabulary

TARGETS = ["q_proj", "v_proj", "down_proj"]


def write_tokenizer(folder: Path, template: str = CHATML) -> None:
    """The tiny models' BPE as Transformers writes it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens, merges = vocabulary()
    pairs = [(first, second) for first, second in (merge.split(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens[:3]])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", pair="<|bos|> $A $B", special_tokens=[("<|bos|>", 0)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|bos|>", eos_token="<|im_end|>"
    )
    fast.chat_template = template
    fast.save_pretrained(folder)


def write_model(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """A random Llama of 2 layers and 64 features with opinions."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "vocab_size": len(vocabulary()[0]), "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 1,
        "initializer_range": 0.2,
    }  # fmt: skip
    torch.manual_seed(seed)
    dtype = changes.pop("dtype", torch.float32)
    model = LlamaForCausalLM(LlamaConfig(**{**sizes, **changes})).to(dtype)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_lora(folder: Path, base: Path, *, size: float = 0.3, **changes: Any) -> Path:
    """A random LoRA for the base, in PEFT's own files."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    given = {"r": 4, "lora_alpha": 8, "target_modules": TARGETS, "task_type": "CAUSAL_LM"}
    adapted = get_peft_model(model, LoraConfig(**{**given, **changes}))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, size)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def write_mute(folder: Path) -> Path:
    """The model changed so that its end always comes next."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor.zero_()  # nothing is added to the embeddings, …
    tensors["model.embed_tokens.weight"][:] = 1.0  # … which are all the same
    tensors["lm_head.weight"][:] = -1.0
    tensors["lm_head.weight"][1] = 1.0
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder

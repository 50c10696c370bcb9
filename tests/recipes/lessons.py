"""A tiny Hugging Face folder to write, and examples that a tiny model can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import CHATML, vocabulary

from workbench.examples import Example, Form

WORDS = ["red", "green", "blue", "black", "white", "grey", "brown", "pink"]


def write_tiny_folder(folder: Path, *, template: str | None = CHATML, **config: Any) -> Path:
    """Write a random Llama whose 1,000 tokens are those of `tiny.vocabulary`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokens, merges = vocabulary()
    pairs = [tuple(merge.split(" ")) for merge in merges]
    inner = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, pairs))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<|bos|>", "<|im_end|>", "<|im_start|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<|bos|>", eos_token="<|im_end|>", pad_token="<|bos|>"
    )
    tokenizer.chat_template = template
    shape: dict[str, Any] = {
        "vocab_size": len(tokens), "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 256, "tie_word_embeddings": True, "bos_token_id": 0,
        "eos_token_id": 1, "pad_token_id": 0, "initializer_range": 0.1, **config,
    }  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**shape)).float()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rows(form: Form, count: int, start: int = 0) -> list[Example]:
    """Examples that can be learnt: the answer names the word before the one that is asked for."""
    found = []
    for n in range(start, start + count):
        asked, answer = WORDS[n % 8], WORDS[(n - 1) % 8]
        question = f"Number {n}: what comes before {asked}?"
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        fields: dict[Form, dict[str, Any]] = {
            "text": {"text": f"{question} {answer}. " * 4},
            "completion": {"prompt": question, "completion": f" {answer}"},
            "conversation": {"messages": turns},
            "preference": {
                "prompt": turns[:1],
                "chosen": turns[1:],
                "rejected": [{"role": "assistant", "content": "no idea"}],
            },
            "gap": {"prefix": question, "middle": answer, "suffix": "."},
        }
        found.append(Example(form, fields[form], {"line": n}))
    return found

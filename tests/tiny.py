"""Tiny real models, made in the test session: a random Llama of 64 features as a GGUF file.

Its tokenizer is a real byte-level BPE, trained on a few modules of the standard library, so
that text goes in and text comes out; its weights are random, so the text means nothing.
"""

from __future__ import annotations

import json
import sysconfig
from functools import cache
from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@cache
def vocabulary() -> tuple[list[str], list[str]]:
    """Tokens by id and merges of a BPE of 1,000 tokens; ids 0 and 1 begin and end a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    folder = Path(sysconfig.get_paths()["stdlib"])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|bos|>", "<|im_end|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(path) for path in sorted(folder.glob("*.py"))[:40]], trainer)
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda kv: kv[1])]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return tokens, [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def write_tiny_llama(
    path: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    width: int = 64,
    context: int = 512,
    chat_template: str | None = CHATML,
    embedding: bool = False,
    endless: bool = False,
) -> Path:
    """Write a random F32 Llama (4 heads, 2 KV heads) to `path`; about 600 kB by default.

    `embedding` marks it as an embedding model (mean pooling). An `endless` one never ends by
    itself: its end token has a logit of 0, which is never among the 40 likeliest of 1,000.
    """
    tokens, merges = vocabulary()
    heads, kv_heads, inner = 4, 2, 2 * width
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if embedding:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(tokens) - 3)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.2).astype(np.float32)

    ones = np.ones(width, np.float32)
    embeddings = weights(len(tokens), width)
    if endless:
        embeddings[1] = 0
    writer.add_tensor("token_embd.weight", embeddings)
    writer.add_tensor("output_norm.weight", ones)
    for block in range(layers):
        for name, tensor in {
            "attn_norm": ones,
            "ffn_norm": ones,
            "attn_q": weights(width, width),
            "attn_k": weights(width * kv_heads // heads, width),
            "attn_v": weights(width * kv_heads // heads, width),
            "attn_output": weights(width, width),
            "ffn_gate": weights(inner, width),
            "ffn_up": weights(inner, width),
            "ffn_down": weights(width, inner),
        }.items():
            writer.add_tensor(f"blk.{block}.{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

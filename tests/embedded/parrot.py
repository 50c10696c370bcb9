"""A real model that says what it was made to say, so that whole answers can be checked.

Its layers add nothing to the residual stream and its embeddings are one-hot, so the output
matrix alone decides: after the newline that ends a ChatML prompt comes the script, piece by
piece, then the end. At temperature 0 the answer is exactly the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

TOOLS_AND_THINKING = """\
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}
{% endif %}# Tools
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each call write:
<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% elif message.role != 'system' or not tools %}<|im_start|>{{ message.role }}
{% if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}"""
CALL = (
    "<tool_call>\n",
    '{"name": "add", ',
    '"arguments": {"a": 1, "b": "Zürich"}}',
    "\n</tool_call>",
)


def byte_alphabet() -> dict[int, str]:
    """The letters by which byte-level BPE writes the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


def write_parrot(
    path: Path,
    script: Sequence[str | bytes],
    template: str,
    *,
    context: int = 2048,
    endless: bool = False,
    infill: bool = False,
) -> Path:
    """Write a model of one layer whose answer is `script`, one token per piece.

    An `endless` one begins again where it should end. An `infill` one has tokens for filling
    gaps and says its script after the last of them.
    """
    letters = byte_alphabet()
    pieces = [piece.encode() if isinstance(piece, str) else piece for piece in script]
    control = ["<|bos|>", "<|im_end|>", "<|im_start|>"]
    control += ["<|pre|>", "<|suf|>", "<|mid|>"] if infill else []
    tokens = [*control, *letters.values()]
    chain = [5 if infill else tokens.index(letters[0x0A])]
    for number, piece in enumerate(pieces):
        text = "".join(letters[byte] for byte in piece)
        if len(piece) == 1:
            chain.append(tokens.index(text))
        else:
            chain.append(len(tokens))
            tokens.append(text)
        assert len(set(chain)) == number + 2, "each piece can come once"
    chain.append(chain[1] if endless else 1)
    width = -(-len(tokens) // 32) * 32
    output = np.zeros((len(tokens), width), np.float32)
    for before, after in pairwise(chain):
        output[after, before] = 2.0
    tensors = {
        "token_embd": np.eye(len(tokens), width, dtype=np.float32),
        "output": output,
        "output_norm": np.ones(width, np.float32),
        "blk.0.attn_norm": np.ones(width, np.float32),
        "blk.0.ffn_norm": np.ones(width, np.float32),
    }
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}"] = np.zeros((width, width), np.float32)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL] * len(control)
        + [gguf.TokenType.NORMAL] * (len(tokens) - len(control))
    )
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template(template)
    for number, word in enumerate(("pre", "suf", "mid") if infill else ()):
        writer.add_uint32(f"tokenizer.ggml.fim_{word}_token_id", 3 + number)
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_adapter(path: Path, layers: int = 2, width: int = 64, rank: int = 4) -> Path:
    """Write a random LoRA of the tiny Llama, strong enough to change what it says."""
    random = np.random.default_rng(5)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)
    for block in range(layers):
        for side, shape in (("a", (rank, width)), ("b", (width, rank))):
            values = random.standard_normal(shape).astype(np.float32)
            writer.add_tensor(f"blk.{block}.attn_output.weight.lora_{side}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

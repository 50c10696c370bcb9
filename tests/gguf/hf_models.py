"""Tiny real Hugging Face folders, made in the test session: random models, trained tokenizers.

Every parameter is drawn at random, biases and norms too, and large enough for distributions
that are far from flat: a bias left out, rows in the wrong order or a norm without its one
changes the next token's distribution visibly.
"""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+SHORT"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*SHORT"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4O = CASED.replace("SHORT", "(?i:'s|'t|'re|'ve|'m|'ll|'d)?")
TEKKEN = CASED.replace("SHORT", "").replace(r"\p{N}{1,3}", r"\p{N}")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS = {"llama3": LLAMA3, "dbrx": LLAMA3, "qwen2": QWEN2, "gpt4o": GPT4O, "tekken": TEKKEN}
TOKENS = 1000

# what each kind of model is made of, beside the sizes that all share
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"tokenizer": "llama3", "num_key_value_heads": 2},
    "mistral": {"tokenizer": "sentencepiece", "num_key_value_heads": 2, "sliding_window": None},
    "qwen2": {"tokenizer": "qwen2", "num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen3": {"tokenizer": "qwen2", "num_key_value_heads": 2, "head_dim": 32},
    "gemma3_text": {
        "tokenizer": "gemma",
        "num_key_value_heads": 2,
        "head_dim": 32,
        "query_pre_attn_scalar": 32,
        "sliding_window": 16,
        "num_hidden_layers": 7,  # six of seven are local, one is global
    },
    "phi3": {"tokenizer": "sentencepiece", "num_key_value_heads": 2, "pad_token_id": 0},
    "gpt2": {"tokenizer": "gpt2"},
    "bert": {"tokenizer": "wordpiece"},
}


def corpus() -> list[str]:
    """A few modules of the standard library, and lines with other scripts."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [path.read_text(errors="replace")[:40_000] for path in sorted(folder.glob("*.py"))[:30]]
    return [*texts, *["Größe naïve café 你好世界 Привет мир ελληνικά 42 1234"] * 50]


@cache
def trained_tokenizer(kind: str) -> str:
    """A tokenizer of 1,000 tokens as the text of a tokenizer.json."""
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    plain: dict[str, Any] = {"vocab_size": TOKENS, "show_progress": False}
    if kind in {"gpt2", "digits", *SPLITS}:
        tokenizer = Tokenizer(models.BPE(ignore_merges=kind in {"llama3", "tekken"}))
        level = pre_tokenizers.ByteLevel(
            add_prefix_space=False, use_regex=kind in {"gpt2", "digits"}
        )
        if kind == "digits":
            first: Any = pre_tokenizers.Digits(individual_digits=True)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, level])
        elif kind == "gpt2":
            tokenizer.pre_tokenizer = level
        else:
            first = pre_tokenizers.Split(Regex(SPLITS[kind]), "isolated")
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, level])
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(
            special_tokens=special, initial_alphabet=alphabet, **plain
        )
    elif kind in {"sentencepiece", "gemma"}:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        replace = normalizers.Replace(" ", "▁")
        prefixed = [normalizers.Prepend("▁"), replace]
        tokenizer.normalizer = normalizers.Sequence(prefixed) if kind != "gemma" else replace
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(special_tokens=special, max_token_length=12, **plain)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(special_tokens=special, unk_token="<unk>", **plain)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        trainer = trainers.WordPieceTrainer(special_tokens=special, **plain)
    texts = corpus()
    if kind == "unigram":  # its training is slow
        texts = [text[:20_000] for text in texts]
    tokenizer.train_from_iterator(texts, trainer)
    if kind == "wordpiece":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    elif kind in {"sentencepiece", "gemma", "llama3"}:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
        )
    return _as_published(tokenizer.to_str(), kind)


def _as_published(text: str, kind: str) -> str:
    """SentencePiece's byte tokens are ordinary ones in published files, and words unsplit."""
    import json

    if kind not in {"sentencepiece", "gemma"}:
        return text
    data = json.loads(text)
    data["added_tokens"] = [one for one in data["added_tokens"] if "<0x" not in one["content"]]
    data["pre_tokenizer"] = None
    return json.dumps(data)


def save_tokenizer(kind: str, folder: Path) -> None:
    """Write the tokenizer's files as Transformers does."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    if kind == "wordpiece":
        names = {
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "mask_token": "[MASK]",
        }
    else:
        names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(trained_tokenizer(kind)), **names
    )
    if kind != "wordpiece":
        tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)


def randomise(model: Any, seed: int, gain: float) -> None:
    """Draw every parameter: matrices for outputs of about `gain`, norms near 1, biases near 0."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    gemma = "gemma" in model.config.model_type
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                is_table = "emb" in name or ".wte" in name or ".wpe" in name
                width = model.config.hidden_size if is_table else parameter.shape[1]
                gives_logits = "lm_head" in name or (tied and is_table and not gemma)
                parameter.copy_(noise * (4 if gives_logits else gain) / width**0.5)
            elif name.endswith("bias"):
                parameter.copy_(noise * 0.3)
            elif gemma:  # its norms add one; the last one makes up for the small table
                parameter.copy_(noise * 0.3 + (1.5 if name == "model.norm.weight" else 0))
            else:
                parameter.copy_(noise * 0.3 + 1)


def make_folder(
    kind: str,
    folder: Path,
    *,
    width: int = 64,
    seed: int = 0,
    gain: float = 1.5,
    dtype: Any = None,
    **changes: Any,
) -> Path:
    """A folder with a random model of `kind` (a key of KINDS), its tokenizer and configuration.

    `changes` are fields of the configuration; a smaller `gain` makes it less sensitive.
    2 layers of 4 heads by default, 256 positions.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    settings = {**KINDS[kind], **changes}
    save_tokenizer(settings.pop("tokenizer"), folder)
    sizes = {
        "vocab_size": TOKENS,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind == "bert":
        sizes |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
    if kind == "gpt2":
        sizes["n_inner"] = sizes.pop("intermediate_size")
    config = AutoConfig.for_model(kind, **{**sizes, **settings})
    maker = AutoModel if kind == "bert" else AutoModelForCausalLM
    model = maker.from_config(config, attn_implementation="eager")
    randomise(model, seed, gain)
    model.tie_weights()
    if dtype is not None:
        model = model.to(dtype)
    model.save_pretrained(folder)
    return folder

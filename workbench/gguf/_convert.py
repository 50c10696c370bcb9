"""Turn a Hugging Face folder into one GGUF file, tensor by tensor.

Matrices get the type that is asked for; vectors, norms and BERT's position and type embeddings
stay float32, as llama.cpp wants them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np
from numpy.typing import NDArray

from workbench.errors import GGUFError
from workbench.gguf._api import Progress
from workbench.gguf._checkpoint import DAMAGE, Config, Lazy, read_json, tensors_of
from workbench.gguf._families import Family, family_of
from workbench.gguf._header import file_type_number
from workbench.gguf._output import replacing
from workbench.gguf._tokenizer import add_tokenizer
from workbench.gguf._vocabulary import Vocabulary

DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
_MAX_BLOCKS = 1024
_F16_MAX = 65504
_POOLING = {"mean": "MEAN", "cls": "CLS", "lasttoken": "LAST"}
_ALWAYS_F32 = re.compile(r"^(position_embd|token_types)\.|_norm\.weight$|^rope_")


def convert(folder: Path, out: Path, dtype: str, progress: Progress | None) -> Path:
    """See `_api.convert`."""
    config = Config(read_json(folder / "config.json"), str(folder / "config.json"))
    family = family_of(config)
    tensors = gguf_tensors(family, config, tensors_of(folder))
    with new_file(out, family.architecture, "model", dtype, folder) as writer:
        tensors |= family.metadata(writer, config)
        rows = tensors["token_embd.weight"].shape[0]
        writer.add_vocab_size(rows)
        vocabulary = add_tokenizer(writer, folder, rows)
        writer.add_name(_name(folder, config, vocabulary))
        if family.architecture == "bert" or list(folder.glob("*_Pooling")):
            writer.add_pooling_type(_pooling(folder))
        write_tensors(writer, tensors, DTYPES[dtype], progress)
    return out


@contextmanager
def new_file(
    out: Path, architecture: str, content: str, dtype: str, folder: Path
) -> Iterator[gguf.GGUFWriter]:
    """A writer for `out`, which appears when the block succeeds.

    Numbers in `folder` that lead nowhere (a factor of -1, ...) become a GGUFError.
    """
    if dtype not in DTYPES:
        raise GGUFError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}.")
    with replacing(out) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture)
        try:
            writer.add_type(content)
            writer.add_file_type(file_type_number(DTYPES[dtype]))
            yield writer
        except DAMAGE as error:
            raise GGUFError(f"{folder} has settings that make no sense ({error}).") from error
        finally:
            writer.close()


def _name(folder: Path, config: Config, vocabulary: Vocabulary) -> str:
    """The model's name; not Phi-3's without its tokens, which llama.cpp looks up by that name."""
    name = config.get("_name_or_path")
    text = name if isinstance(name, str) and name else folder.resolve().name
    text = text.replace("\\", "/").rstrip("/").rpartition("/")[2] or "model"
    own_tokens = {"</s>", "<unk>", "<s>", "<|endoftext|>"}
    if re.search("phi-?3", text.lower()) and not own_tokens <= vocabulary.texts:
        return "model"
    return text


def gguf_tensors(family: Family, config: Config, tensors: Mapping[str, Lazy]) -> dict[str, Lazy]:
    """The tensors under GGUF's names, adapted; every block must have what the first has."""
    blocks = config.integer("num_hidden_layers", "n_layer")
    names = name_map(family.architecture, blocks)
    tied = config.get("tie_word_embeddings", family.architecture in {"gpt2", "gemma3"})
    result: dict[str, Lazy] = {}
    for original, tensor in tensors.items():
        name = plain_name(original, family)
        if family.skip.search(name) or (tied and name == "lm_head.weight"):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise GGUFError(f"The tensor {original!r} has no place in a {family.architecture}.")
        result[target] = family.change(name, tensor, config)
    _check_whole(result, blocks)
    is_generator = "CausalLM" in str(config.get("architectures"))
    if is_generator and not tied and "output.weight" not in result:
        raise GGUFError("The model lacks its output matrix, lm_head. Is a file missing?")
    return result


def name_map(architecture: str, blocks: int) -> Any:
    """gguf's table from Hugging Face's tensor names to GGUF's."""
    if blocks > _MAX_BLOCKS:
        raise GGUFError(f"A model of {blocks} layers is not supported.")
    arch = next(arch for arch in gguf.MODEL_ARCH if gguf.MODEL_ARCH_NAMES[arch] == architecture)
    return gguf.get_tensor_name_map(arch, blocks)


def plain_name(name: str, family: Family) -> str:
    """The name without a wrapper's prefix, with the one that a bare base model lacks."""
    name = re.sub(r"^(bert|transformer)\.", "", name)
    name = re.sub(r"^(model\.language_model|language_model\.model)\.", "model.", name)
    name = name.replace("language_model.lm_head", "lm_head")
    for beginning, prefix in (*family.prefixes, ("norm.", "model.")):
        if name.startswith(beginning):
            return prefix + name
    return name


def _check_whole(tensors: Mapping[str, Lazy], blocks: int) -> None:
    if "token_embd.weight" not in tensors or len(tensors["token_embd.weight"].shape) != 2:
        raise GGUFError("The model has no token embeddings. Is a file of the folder missing?")
    parts: dict[int, set[str]] = {number: set() for number in range(blocks)}
    for name in tensors:
        if match := re.fullmatch(r"blk\.(\d+)\.(.+)", name):
            parts[int(match[1])].add(match[2])
    for number, found in parts.items():
        if missing := parts[0] - found:
            words = ", ".join(sorted(missing))
            raise GGUFError(f"Layer {number} lacks {words}. Is a file missing?")


def write_tensors(
    writer: gguf.GGUFWriter, tensors: Mapping[str, Lazy], kind: str, progress: Progress | None
) -> None:
    """Announce all tensors, write the header, then load, convert and write one by one."""
    kinds = {}
    for name, tensor in tensors.items():
        plain = len(tensor.shape) < 2 or _ALWAYS_F32.search(name)
        kinds[name] = gguf.GGMLQuantizationType["F32" if plain else kind]
        size = prod(tensor.shape) * gguf.GGML_QUANT_SIZES[kinds[name]][1]
        dtype = np.dtype(np.float32)
        writer.add_tensor_info(name, tensor.shape, dtype, size, raw_dtype=kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (name, tensor) in enumerate(tensors.items(), 1):
        writer.write_tensor_data(_Stream(name, tensor, kinds[name].name))
        if progress:
            progress(done / len(tensors))


class _Stream:
    """A tensor for gguf.GGUFWriter that is made while it is written, in parts."""

    def __init__(self, name: str, tensor: Lazy, kind: str) -> None:
        self.name, self.tensor, self.kind = name, tensor, kind
        self.nbytes = prod(tensor.shape) * (4 if kind == "F32" else 2)

    def tofile(self, file: BinaryIO) -> None:
        """Write all parts; a shape other than the announced one is a damaged model."""
        written = sum(
            file.write(_encoded(self.name, part, self.kind).data) for part in self.tensor.parts()
        )
        if written != self.nbytes:
            raise GGUFError(f"{self.name} has another size than its shape {self.tensor.shape}.")


def _encoded(name: str, values: NDArray[np.float32], kind: str) -> NDArray[Any]:
    values = np.ascontiguousarray(values, dtype=np.float32)
    if kind == "F16" and values.size and np.abs(values).max() > _F16_MAX:
        raise GGUFError(f"{name} has values beyond float16. Convert with dtype='bf16'.")
    return np.asarray(gguf.quantize(values, gguf.GGMLQuantizationType[kind]))


def _pooling(folder: Path) -> Any:
    """How token vectors become one: the sentence-transformers module's word, else the mean."""
    for path in folder.glob("*_Pooling/config.json"):
        modes = read_json(path)
        flags = [key for key, on in modes.items() if key.startswith("pooling_mode_") and on is True]
        mode = modes.get("pooling_mode") or (flags[0][len("pooling_mode_") :] if flags else "mean")
        kind = _POOLING.get(str(mode).partition("_token")[0])
        if kind is None:
            raise GGUFError(f"{path}: pooling by {mode!r} is not supported.")
        return gguf.PoolingType[kind]
    return gguf.PoolingType.MEAN

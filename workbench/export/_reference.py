"""What a model is meant to be: its folder in Transformers, in 32 bits, on given texts.

Computed once and kept as little as a comparison needs, so that the model is out of memory before
the engine loads the files that are to be like it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.export._words import TEXTS, Chat, Turns, Words, load_tokenizer, short
from workbench.work import use_cores

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH = 160  # tokens of a text that are read
_PLACES = 64  # where the next token is compared
_LEAST = 1e-6  # tokens that are less likely count as impossible
_CONTEXT = 512


@dataclass(frozen=True, slots=True)
class Place:
    """After `prompt`: how likely each text of one token comes next."""

    prompt: str
    position: int  # of the token that comes, from 0
    likely: Mapping[str, float]
    special: Sequence[float]  # of those that have no text, the likeliest first
    best: str  # "" for a special one


@dataclass(frozen=True, slots=True)
class Reference:
    """What each file is compared with. Tokens are those of a text without the one that begins."""

    context: int  # tokens
    begin: str  # the token that begins texts, "" without one
    tokens: Mapping[str, Sequence[int]]  # of each text; special ones in it are read as such
    likelihoods: Mapping[str, Sequence[float]]  # nats per token, of texts without special tokens
    places: Sequence[Place]
    chats: Sequence[Chat]


def read_reference(
    folder: Path,
    texts: Sequence[str],
    conversations: Sequence[Turns],
    context: int | None,
    tick: Callable[[float], None],
) -> Reference:
    """The folder's model on `texts` and `conversations` (ours where no text says anything).

    `tick` is told the share that is done. Raises TrainingError for a folder that Transformers
    cannot read as a whole and for a template that can write nothing.
    """
    use_cores()
    tokenizer = load_tokenizer(folder)
    if not getattr(tokenizer, "is_fast", False):
        raise TrainingError(
            f"The tokenizer in {folder} is of an old kind that tells no places in a text. Write "
            "its tokenizer.json (AutoTokenizer and save_pretrained do)."
        )
    words = Words(tokenizer)
    model = load_model(folder)
    trained = getattr(model.config, "max_position_embeddings", None) or _CONTEXT
    context = min(context or _CONTEXT, int(trained))
    chats = [one for one in words.chats(conversations, folder) if one.tokens < context - 1]
    length = min(_LENGTH, context - 2)
    read = words.cut(texts, length) or words.cut(TEXTS, length)
    written = [*read, *(chat.written for chat in chats)]
    plain = words.without_special(read)
    likelihoods: dict[str, Sequence[float]] = {}
    places: list[Place] = []
    work = len(plain) + len(written)
    for number, text in enumerate(plain):
        likelihoods[text] = _likelihoods(model, words.ids(text))
        tick((number + 1) / work)
    share = -(-_PLACES // len(written))
    for number, text in enumerate(written):
        places += _places(model, words, text, share)
        tick((len(plain) + number + 1) / work)
    tokens = {text: words.bare(text) for text in [*written, *plain, *TEXTS]}
    return Reference(context, words.begin, tokens, likelihoods, places, chats)


def load_model(folder: Path) -> Any:
    """The folder's model in 32 bits, whole. Raises TrainingError."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False,
            use_safetensors=True, output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # whatever a damaged file provokes
        raise TrainingError(
            f"The model in {folder} cannot be read ({short(error)}). It needs config.json and "
            "whole safetensors of a model that writes text."
        ) from error
    lost = sorted([*found["missing_keys"], *(str(one) for one in found["mismatched_keys"])])
    if lost:
        raise TrainingError(
            f"The model in {folder} lacks {len(lost)} of its tensors ({lost[0]} …). Write it again."
        )
    return model.eval()


def _rows(model: Any, ids: Sequence[int]) -> Any:
    """Log-probabilities of all tokens after each of `ids`: (tokens, vocabulary)."""
    import torch

    with torch.inference_mode():
        return torch.log_softmax(model(torch.tensor([list(ids)])).logits[0].float(), -1)


def _likelihoods(model: Any, ids: Sequence[int]) -> list[float]:
    import torch

    found = _rows(model, ids)[:-1].gather(1, torch.tensor(ids[1:]).unsqueeze(1))
    values: list[float] = found[:, 0].tolist()
    return values


def _places(model: Any, words: Words, text: str, share: int) -> Iterator[Place]:
    """Up to `share` places of a text, evenly spread, the last one being its end."""
    ids, ends = words.bare(text), words.ends(text)
    rows = _rows(model, words.ids(text))
    before = len(words.ids(text)) - len(ids)
    step = max(1, len(ids) // share)
    for position in range(len(ids), 0, -step):
        prompt = text[: ends[position - 1]]
        if words.bare(prompt) != ids[:position]:
            continue  # cut here, the text would be read in other tokens
        place = _place(words.pieces, rows[before + position - 1], prompt, position)
        if place is not None:
            yield place


def _place(pieces: Sequence[str | None], row: Any, prompt: str, position: int) -> Place | None:
    """None where the likeliest token is none that an engine can show."""
    shares = row.exp()[: len(pieces)]
    likely: dict[str, float] = {}
    special: list[float] = []
    for token in (shares > _LEAST).nonzero()[:, 0].tolist():
        piece, share = pieces[token], float(shares[token])
        if piece:
            likely[piece] = likely.get(piece, 0.0) + share
        elif piece is not None:
            special.append(share)
    best = pieces[token] if (token := int(row.argmax())) < len(pieces) else None
    if best is None:
        return None
    return Place(prompt, position, likely, sorted(special, reverse=True), best)

"""How a model finds given examples, token by token: one pass of its own network over each.

What is counted are the characters that are learnt from (`Rendered.spans`), so the answers alone
where there are answers. A whole answer counts as written by the model itself where each of its
tokens is the likeliest one: exactly then greedy decoding writes that answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError

if TYPE_CHECKING:
    from workbench.examples import Rendered
    from workbench.jobs import JobContext

_CONTEXT = 1024  # tokens of an example that are looked at, at most


@dataclass(frozen=True, slots=True)
class Scored:
    """One text: log-probabilities in nats of the tokens that are learnt."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    greedy: bool
    size: int  # bytes of what is learnt

    @property
    def loss(self) -> float:
        """Nats per token."""
        return -math.fsum(self.logprobs) / len(self.logprobs)

    @property
    def bits(self) -> float:
        """Bits per byte, which are comparable between models with other tokens."""
        return -math.fsum(self.logprobs) / math.log(2) / max(1, self.size)


class Scorer:
    """A model of a Hugging Face folder that scores. Use it in a `with`, which frees it."""

    def __init__(self, folder: Path, context: int | None = None) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype: Any = "auto" if self._device == "cuda" else torch.float32
        given = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **given)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **given)
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())[:300]
            raise TrainingError(f"The model in {folder} cannot be read: {why}") from None
        self._model = model.to(self._device).eval()
        known = getattr(model.config, "max_position_embeddings", None) or _CONTEXT
        self._context = min(context or _CONTEXT, known, _CONTEXT)

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        del self._model

    def scores(
        self, texts: Sequence[Rendered], seconds: float, least: int, job: JobContext | None = None
    ) -> list[Scored | None]:
        """Of the texts in their order, as many as `seconds` allow, at least `least`; None where
        nothing is learnt within the context."""
        found: list[Scored | None] = []
        until = time.monotonic() + seconds
        for text in texts:
            if len(found) >= least and time.monotonic() > until:
                break
            if job is not None:
                job.check_cancelled()
            found.append(self.score(text))
        return found

    def score(self, text: Rendered) -> Scored | None:
        """Score one text; None where nothing of it is learnt."""
        import torch

        ids, learnt, size = self._encode(text)
        places = [at for at, is_learnt in enumerate(learnt) if is_learnt and at]
        if not places:
            return None
        before = torch.tensor([at - 1 for at in places], device=self._device)
        given = torch.tensor([ids], device=self._device)
        wanted = given[0, torch.tensor(places, device=self._device)]
        with torch.inference_mode():
            logits = self._model(given, logits_to_keep=before, use_cache=False).logits[0].float()
            told = logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(1)
            greedy = bool((logits.argmax(1) == wanted).all())
        return Scored(tuple(wanted.tolist()), tuple(told.tolist()), greedy, size)

    def _encode(self, text: Rendered) -> tuple[list[int], list[bool], int]:
        """Token ids, whether each is learnt, and the bytes of what is."""
        encoded = self._tokenizer(text.text, add_special_tokens=False, return_offsets_mapping=True)
        begin = self._tokenizer.bos_token_id
        ids, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
        plain = self._tokenizer("")["input_ids"]
        if begin is not None and begin in plain and ids[:1] != [begin]:
            ids, offsets = [begin, *ids], [(0, 0), *offsets]
        ids, offsets = ids[: self._context], offsets[: self._context]
        learnt = [any(a < end and start < b for a, b in text.spans) for start, end in offsets]
        last = max((end for (_, end), one in zip(offsets, learnt, strict=True) if one), default=0)
        size = sum(len(text.text[a : min(b, last)].encode()) for a, b in text.spans if a < last)
        return ids, learnt, size

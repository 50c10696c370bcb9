"""llama.cpp on a GGUF file, in this process, through its own HTTP server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

KEY = "a-test-key"


class LlamaCpp:
    """A loaded model; use as a context manager."""

    def __init__(
        self,
        path: Path,
        *,
        embedding: bool = False,
        adapter: Path | None = None,
        context: int = 256,
    ) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context
        params.n_parallel = 1
        params.port = 0
        params.warmup = False
        params.fit_params = False
        params.api_keys = [KEY]
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.embedding = embedding
        params.cpuparams.n_threads = 2
        if adapter:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        self.server = xllamacpp.Server(params)
        self.url = self.server.listening_address

    def __enter__(self) -> LlamaCpp:
        return self

    def __exit__(self, *_: object) -> None:
        del self.server

    def post(self, route: str, body: dict[str, Any]) -> Any:
        """The JSON answer of one route."""
        request = urllib.request.Request(
            self.url + route,
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids; `special` adds what the vocabulary puts around a text."""
        body = {"content": text, "add_special": special, "parse_special": False}
        return list(self.post("/tokenize", body)["tokens"])

    def logprobs(self, tokens: Sequence[int], size: int) -> np.ndarray:
        """Log-probabilities of the next token, by id."""
        # a half character is answered without probabilities: force a letter, which leaves the
        # reported distribution (before sampling) as it is
        body = {
            "prompt": list(tokens),
            "n_predict": 1,
            "n_probs": size,
            "temperature": 0,
            "cache_prompt": False,
            "logit_bias": [[self.tokenize("a", special=False)[-1], 1000]],
        }
        answer = self.post("/completion", body)
        result = np.full(size, -np.inf)
        for one in answer["completion_probabilities"][0]["top_logprobs"]:
            result[one["id"]] = one["logprob"]
        return result

    def embed(self, text: str) -> np.ndarray:
        """The text's vector."""
        answer = self.post("/embedding", {"content": text})
        return np.asarray(answer[0]["embedding"][0])

"""What the catalogue's tests share: cards, a Hub on loopback, an engine with two models."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workbench.cards import Card

LLAMA = Card(
    "llama3.1:8b",
    family="llama3.1",
    publisher="Meta",
    categories=("general", "tools"),
    capabilities=("completion", "tools"),
    parameters=8_030_261_248,
    context=131_072,
    license="LicenseRef-Llama-3.1-Community",
    released="2024-07",
    quantisation="Q4_K_M",
    download=4_920_753_328,
    hf_repo="meta-llama/Llama-3.1-8B-Instruct",
    aliases=("llama3.1:latest",),
    origins=("shipped",),
)
CODER = Card(
    "qwen2.5-coder:7b",
    family="qwen2.5-coder",
    publisher="Alibaba Cloud (Qwen)",
    categories=("code",),
    capabilities=("completion", "insert", "tools"),
    parameters=7_615_616_512,
    context=32_768,
    license="Apache-2.0",
    released="2024-11",
    quantisation="Q4_K_M",
    origins=("shipped",),
)
MINI = Card(
    "all-minilm:22m",
    family="all-minilm",
    categories=("embedding",),
    capabilities=("embedding",),
    parameters=22_713_216,
    context=512,
    license="Apache-2.0",
    installed="all-minilm:22m",
    quantisation="F16",
)
BARE = Card("mystery:latest", family="mystery")  # nobody tells anything of it
SMALL = Card(
    "mistral-small:24b",
    family="mistral-small",
    publisher="Mistral AI",
    categories=("general",),
    parameters=23_572_403_200,
    context=32_768,
    license="Apache-2.0",
)
CARDS = (LLAMA, CODER, MINI, BARE, SMALL)


class HubServer:
    """A Hub's search on loopback: answers with `items`, remembers what it was asked."""

    def __init__(self, items: Any = ()) -> None:
        self.items = items
        self.asked: list[dict[str, list[str]]] = []
        self.tokens: list[str] = []
        self.app = Starlette(routes=[Route("/api/models", self._search)])

    async def _search(self, request: Request) -> Response:
        query = request.query_params
        self.asked.append({key: query.getlist(key) for key in query})
        self.tokens.append(request.headers.get("authorization", ""))
        # not JSONResponse: a hostile hub writes Infinity as well
        return Response(json.dumps(self.items), media_type="application/json")


def repository(name: str = "someone/Tiny-1B-GGUF", **more: Any) -> dict[str, Any]:
    """An item of a search's answer, as the Hub writes it."""
    return {
        "id": name,
        "tags": ["gguf", "license:apache-2.0", "base_model:quantized:someone/Tiny-1B"],
        "pipeline_tag": "text-generation",
        "gated": False,
        "gguf": {"total": 1_100_000_000, "architecture": "llama", "context_length": 4096},
        "siblings": [
            {"rfilename": path}
            for path in (
                "README.md",
                "Tiny-1B-Q8_0.gguf",
                "Tiny-1B-Q4_K_M.gguf",
                "mmproj-Tiny-1B-F16.gguf",
                "Tiny-1B-BF16-00001-of-00002.gguf",
            )
        ],
        **more,
    }

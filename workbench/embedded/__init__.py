"""The engine that comes with the workbench: Ollama's protocol over llama.cpp.

A program of its own (`python -m workbench.embedded`); no other room imports it. The library
side keeps models as Ollama does (manifests and content-addressed blobs) and gets them by
create and pull; the runtime side loads them, one child process each, and answers.
"""

from __future__ import annotations

__all__: list[str] = []

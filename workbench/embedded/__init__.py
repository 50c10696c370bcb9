"""The engine that comes with the workbench: Ollama's protocol over llama.cpp.

A program of its own (`python -m workbench.embedded`); no other room imports it. It loads the
models of the `library` room, one child process each, and answers.
"""

from __future__ import annotations

__all__: list[str] = []

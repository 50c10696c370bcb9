"""Ollama's Go templates, where the engine's other files look for them."""

from __future__ import annotations

from workbench.protocol import compose, is_go_template
from workbench.protocol import render_template as render

__all__ = ["compose", "is_go_template", "render"]

"""The words of Ollama's protocol that client and server share: names, Modelfiles, templates.

Standard library only, so that a command line or a kernel imports it in a few milliseconds.
Nothing here talks to an engine or touches a model.
"""

from __future__ import annotations

from workbench.protocol._conversation import compose
from workbench.protocol._create_request import CREATE_FIELDS, CreateRequest
from workbench.protocol._digests import digest_of, parse_digest
from workbench.protocol._durations import parse_duration, parse_keep_alive
from workbench.protocol._goparse import Template, parse_template
from workbench.protocol._gotemplate import is_go_template, render_template
from workbench.protocol._manifest import MANIFEST_TYPE, Layer, Manifest
from workbench.protocol._modelfile import (
    KEYWORDS,
    Instruction,
    Modelfile,
    parse_modelfile,
    read_instructions,
)
from workbench.protocol._names import ModelName
from workbench.protocol._options import (
    DEPRECATED_OPTIONS,
    OPTIONS,
    Option,
    check_options,
    option_from_text,
)

__all__ = [
    "CREATE_FIELDS",
    "DEPRECATED_OPTIONS",
    "KEYWORDS",
    "MANIFEST_TYPE",
    "OPTIONS",
    "CreateRequest",
    "Instruction",
    "Layer",
    "Manifest",
    "ModelName",
    "Modelfile",
    "Option",
    "Template",
    "check_options",
    "compose",
    "digest_of",
    "is_go_template",
    "option_from_text",
    "parse_digest",
    "parse_duration",
    "parse_keep_alive",
    "parse_modelfile",
    "parse_template",
    "read_instructions",
    "render_template",
]

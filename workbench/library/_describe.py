"""What a model tells of itself: details, capabilities, and the whole of `show`.

Capabilities follow Ollama: a pooling type means embedding; the template tells the rest.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelfileError
from workbench.gguf import Header, read_header
from workbench.protocol import Modelfile, is_go_template

if TYPE_CHECKING:
    from workbench.library._library import Installed

_HIDDEN = {"general.name", "tokenizer.chat_template"}


def human_number(count: int) -> str:
    """3213000000 → "3.2B", as Ollama writes sizes of models."""
    for unit, size, places in (("B", 10**9, 1), ("M", 10**6, 2)):
        if count >= size:
            return (
                f"{count // size}{unit}"
                if count % size == 0
                else f"{count / size:.{places}f}{unit}"
            )
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)


def details_of(header: Header, config: Mapping[str, Any], parent: str) -> dict[str, Any]:
    """The `details` of a list's line. The GGUF header is the truth, the config its fallback."""
    family = header.architecture or str(config.get("model_family", ""))
    families = config.get("model_families") or [family]
    details = {
        "parent_model": parent,
        "format": "gguf",
        "family": family,
        "families": families,
        "parameter_size": config.get("model_type") or human_number(header.parameter_count),
        "quantization_level": config.get("file_type") or header.file_type,
    }
    for key in ("context_length", "embedding_length"):
        value = header.metadata.get(f"{header.architecture}.{key}")
        if isinstance(value, int):
            details[key] = value
    return details


def capabilities_of(header: Header, template: str | None, projector: bool) -> tuple[str, ...]:
    """What the model can do, in the protocol's words."""
    data, architecture = header.metadata, header.architecture
    if f"{architecture}.pooling_type" in data:
        return ("embedding",)
    found = ["completion"]
    text = template or str(data.get("tokenizer.chat_template", ""))
    go = is_go_template(text)
    tools = re.search(r"\.Tools\b" if go else r"\btools\b", text)
    suffix = "tokenizer.ggml.fim_pre_token_id" in data or (go and re.search(r"\.Suffix\b", text))
    if projector or f"{architecture}.vision.block_count" in data:
        found.append("vision")
    if f"{architecture}.audio.block_count" in data:
        found.append("audio")
    found += [word for word, seen in (("tools", tools), ("insert", suffix)) if seen]
    if re.search(r"\.Thinking\b|</think>|<\|channel\|>|reasoning_content", text):
        found.append("thinking")
    return tuple(found)


def show(model: Installed, verbose: bool = False, system: str = "") -> dict[str, Any]:
    """The answer to `show`; empty optional fields are left out. `system` stands in for its own."""
    model = replace(model, system=system or model.system)
    header = read_header(model.model_path, arrays=True) if verbose else model.header
    info = {name: _plain(value, verbose) for name, value in header.metadata.items()}
    info = {name: value for name, value in info.items() if name not in _HIDDEN}
    info["general.parameter_count"] = header.parameter_count
    chat_template = header.metadata.get("tokenizer.chat_template")
    fields: dict[str, Any] = {
        "license": "\n".join(model.licenses),
        "modelfile": modelfile_text(model),
        "parameters": parameters_text(model.parameters),
        "template": model.template or chat_template or "{{ .Prompt }}",
        "system": model.system,
        "renderer": model.config.get("renderer"),
        "parser": model.config.get("parser"),
        "requires": model.config.get("requires"),
        "messages": [{"role": turn.role, "content": turn.content} for turn in model.messages],
        "capabilities": list(model.capabilities),
    }
    details = {k: v for k, v in model.details.items() if not k.endswith("_length")}
    tensors = [
        {"name": tensor.name, "type": tensor.type, "shape": list(tensor.shape)}
        for tensor in header.tensors
    ]
    return {
        **{name: value for name, value in fields.items() if value},
        "details": details,
        "model_info": info,
        "tensors": tensors,
        "modified_at": model.modified_at.isoformat(),
    }


def modelfile_text(model: Installed) -> str:
    """A Modelfile that would make this model again on this machine."""
    head = (
        f"# Modelfile of {model.name.display()}\n"
        "# To build upon it, replace FROM with:\n"
        f"# FROM {model.name.display()}\n\n"
    )
    record = Modelfile(
        from_=(str(model.model_path), *map(str, model.projector_paths)),
        adapters=tuple(map(str, model.adapter_paths)),
        template=model.template or "",
        system=model.system,
        license=model.licenses,
        parameters=model.parameters,
        messages=model.messages,
        requires=str(model.config.get("requires") or ""),
    )
    try:
        return head + record.render()
    except ModelfileError as error:
        return f"{head}FROM {model.model_path}\n# the rest cannot be written here: {error}\n"


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """One line per value: the name padded to 30 columns, a space, the value."""
    lines = []
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, float) and item.is_integer():
                item = int(item)
            lines.append(f"{name:<30} {json.dumps(item, ensure_ascii=False)}")
    return "\n".join(lines)


def _plain(value: Any, verbose: bool) -> Any:
    """JSON's idea of a metadata value; arrays are null unless `verbose`."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float | bool):
        return value
    return [_plain(item, True) for item in value] if verbose else None

"""Write the package's cards from a file of facts: `build_cards.py FACTS.json CARDS.json`.

Run once, when the cards were made; from then on cards.json is edited by hand and kept valid by
the tests (docs/cards.md). The facts file's schema is "local-llm-facts/1". What is added to it
here: whether an embedding is tied where a published count or size tells it, and facts of
published configurations that the file lacks, why a count or a size differs from the computed
one, and what was found wrong (added_facts.json).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from workbench.cards._facts import architecture_of
from workbench.errors import FitError
from workbench.fit import active_parameter_count, computed_network, parameter_count

Row = dict[str, Any]
ADDED: dict[str, Row] = json.loads(
    Path(__file__).with_name("added_facts.json").read_text(encoding="utf-8")
)
PATTERNS: dict[str, str] = ADDED["patterns"]
LATENT: dict[str, str] = ADDED["latent"]
FACTS: dict[str, list[str]] = ADDED["source_words"]  # the facts file's words, and ours
NEEDED = ("n_layers", "hidden_size", "n_heads", "n_kv_heads", "intermediate_size", "vocab_size")


def main() -> None:
    facts, target = (Path(argument) for argument in sys.argv[1:3])
    rows = json.loads(facts.read_text(encoding="utf-8"))["models"]
    sources = Sources()
    cards = [card_of(row, sources) for row in rows]
    lines = [json.dumps(source, ensure_ascii=False) for source in sources.table]
    head = {
        "schema": "workbench-cards/1",
        "compiled": "2026-11-21",
        "about": "Facts about published models; see docs/cards.md and NOTICE.",
    }
    text = json.dumps(head, indent=0)[:-2] + ',\n"sources": [\n' + ",\n".join(lines)
    text += '\n],\n"cards": [\n' + ",\n".join(map(compact, cards)) + "\n]\n}\n"
    json.loads(text)
    target.write_text(text, encoding="utf-8")


def compact(card: Row) -> str:
    return json.dumps(card, ensure_ascii=False, separators=(", ", ": "))


class Sources:
    """The table of sources; cards name its rows."""

    def __init__(self) -> None:
        self.table: list[str] = []
        self.places: dict[str, int] = {}

    def place(self, text: str) -> int:
        text = text.replace("computed by check.py from", "computed from")
        text = re.sub(r" ?\(check\.py\)|, id \d+", "", text).strip()
        text = re.sub(r"^EXTRA \[row", "a public copy of the configuration [row", text)
        if text not in self.places:
            self.places[text] = len(self.table)
            self.table.append(text)
        return self.places[text]


def card_of(row: Row, sources: Sources) -> Row:
    """One card; facts that are not known are left out."""
    found: dict[str, list[int]] = {}
    architecture, why = shape_of(row)
    for key, value in (row["sources"] | why).items():
        for fact in FACTS.get(key, [key]):
            found[fact] = list(dict.fromkeys([*found.get(fact, []), *sources_of(value, sources)]))
    if not architecture:
        found.pop("architecture", None)
    name = row["ollama_name"]
    quantisation = mix_of(row["default_quant"])
    card = {
        "name": name,
        "family": row["family"],
        "publisher": row["publisher"],
        "categories": row["categories"],
        "capabilities": row["capabilities"],
        "parameters": row["parameters_total"],
        "parameters_are": row["parameters_precision"],
        "text_parameters": row.get("parameters_text"),
        "active_parameters": row["parameters_active"],
        "context": row["context_length"],
        "license": row["license"],
        "released": row["release_date"],
        "released_is": row["release_date_basis"],
        "hf_repo": row["hf_repo"],
        "aliases": row["ollama_default_aliases"],
        "architecture": architecture,
        "architecture_is": (row["architecture_basis"] or "added") if architecture else None,
        "cache_at_4096": row["kv_cache_f16_bytes_at_4096"] or None,
        "quantisation": quantisation,
        "download": row["download_size_bytes"],
        "weights": row["model_blob_bytes"],
        "projector": row["projector_blob_bytes"],
        "variants": variants_of(row),
        "scores": [score_of(one, sources) for one in row["benchmarks"]],
        "gap": ADDED["gaps"].get(name, row.get("parameters_gap_explained")),
        "size_gap": ADDED["size_gaps"].get(name),
        "remark": row.get("notes"),
        "sources": found,
    }
    if architecture:
        add_counts(card, architecture, sources)
    wrong = ADDED["wrong"].get(name, [])
    return {
        key: value
        for key, value in card.items()
        if value not in (None, [], {}) and key not in wrong
    }


def add_counts(card: Row, architecture: Row, sources: Sources) -> None:
    """Counts that nobody published, from the architecture."""
    if architecture["name"] == "bert" and card["parameters"]:
        width = architecture["width"]  # of the pooler, which files leave out
        card["text_parameters"] = card["parameters"] - width * width - width
    shape = architecture_of(architecture)
    try:
        total, active = parameter_count(shape), active_parameter_count(shape)
    except FitError:
        return
    place = [sources.place("computed from the architecture facts")]
    if not card["parameters"]:
        card |= {"parameters": total, "parameters_are": "computed"}
        card["sources"]["parameters"] = place
    if shape.experts and not card["active_parameters"]:
        card["active_parameters"] = active
        card["sources"]["active_parameters"] = place


def sources_of(value: Any, sources: Sources) -> list[int]:
    texts = [value] if isinstance(value, str) else list(value)
    return [sources.place(text) for text in texts]


def mix_of(name: str | None) -> str | None:
    return {"FP16": "F16"}.get(name, name) if name else None


def variants_of(row: Row) -> list[list[Any]]:
    """Quantisation, name and bytes; exact ones for what the card's name gets."""
    found: list[list[Any]] = []
    usual = {row["ollama_name"], *row["ollama_default_aliases"]}
    for one in row["quantizations"]:
        size, exact = float(f"{one['size_bytes_approx']:.3g}"), row["download_size_bytes"]
        is_usual = one["quant"] == row["default_quant"] and one["tag"] in usual
        known = [exact, True] if is_usual and exact else [int(size)]
        found.append([mix_of(one["quant"]), one["tag"], *known])
    return found


def score_of(one: Row, sources: Sources) -> list[Any]:
    score = [one["metric"], one["value"], one["setting"], sources.place(one["source"])]
    return [*score, one["measured_on"]] if one.get("measured_on") else score


def shape_of(row: Row) -> tuple[Row | None, dict[str, str]]:
    """The architecture in the cards' schema, and sources of what was added."""
    name = row["ollama_name"]
    added, source = ADDED["facts"].get(name, ({}, ""))
    why = {"architecture_added": source} if added else {}
    if all(row.get(key) for key in NEEDED) and row.get("architecture_ollama") != "glmocr":
        shape = plain_shape(row)
        shape = {**shape, **added, "extras": shape["extras"] | added.get("extras", {})}
    elif added.get("layers"):
        shape = {"name": row["architecture"]} | added
    else:
        return None, {}
    shape = {key: value for key, value in shape.items() if value is not None and value != {}}
    shape = {key: value for key, value in shape.items() if value or key in ("tied", "causal")}
    if "tied" not in shape:
        shape["tied"], why["tied"] = guess_tied(row, shape)
    kind = (row.get("attention") or {}).get("kind") or ""
    if kind.startswith("hybrid") and not set(shape.get("pattern", "")) & {"R", "M"}:
        return None, {}
    if kind == "mla" and "kv_rank" not in shape.get("extras", {}):
        return None, {}
    if "S" in shape.get("pattern", "") and not shape.get("window"):
        return None, {}
    return shape, why


def plain_shape(row: Row) -> Row:
    attention = row.get("attention") or {}
    kind, name = attention.get("kind") or "full", row["architecture"] or row["architecture_ollama"]
    shape = {
        "name": name,
        "layers": row["n_layers"],
        "width": row["hidden_size"],
        "heads": row["n_heads"],
        "kv_heads": row["n_kv_heads"],
        "head_size": row["head_dim"],
        "inner": row["intermediate_size"],
        "vocabulary": row["vocab_size"],
        "tied": row["tied_embeddings"],
        "experts": row["n_experts"],
        "experts_used": row["n_experts_used"],
        "expert_inner": row["moe_intermediate_size"],
        "shared_inner": row["shared_expert_intermediate_size"]
        or (row["n_shared_experts"] or 0) * (row["moe_intermediate_size"] or 0),
        "full_kv_heads": attention.get("full_n_kv_heads"),
        "full_head_size": attention.get("full_head_dim"),
    }
    more, extras = kind_of_layers(row, kind, attention)
    shape |= more
    if attention.get("kv_shared_layers"):
        shape["cached_layers"] = row["n_layers"] - attention["kv_shared_layers"]
    if attention.get("k_eq_v_on_full"):
        extras["keys_are_values"] = 1
    if name == "llama4":
        shape |= {
            "expert_inner": row["intermediate_size"],
            "shared_inner": row["intermediate_size"],
        }
        shape["inner"] = attention["dense_intermediate_size"]
        extras["expert_every"] = row["n_layers"] // attention["n_moe_layers"]
    return shape | {"extras": extras}


def kind_of_layers(row: Row, kind: str, attention: Row) -> tuple[Row, Row]:
    """What is particular to the kind of attention: fields of the shape, and extras."""
    name = row["architecture"]
    if kind in ("sliding+full", "chunked+full"):
        full, period = attention["n_full_layers"], PATTERNS.get(name)
        pattern = period or ("SSSSF" if row["n_layers"] // full == 5 else "SSSSSF")
        return {"pattern": pattern, "window": attention.get("sliding_window")}, {}
    if kind == "hybrid-linear" and attention.get("linear"):
        linear = attention["linear"]
        return {"pattern": PATTERNS[name]}, {
            "linear_keys": linear["num_key_heads"],
            "linear_values": linear["num_value_heads"],
            "key_head": linear["key_head_dim"],
            "value_head": linear["value_head_dim"],
            "kernel": linear["conv_kernel"],
        }
    if kind == "full+cross":
        return {"pattern": "FFFXF"}, {"image_tokens": 4 * 1601}
    if kind == "bidirectional":
        positions = {"positions": 512} if name == "bert" else {}
        return {"causal": False, "tied": True}, {"types": 2} | positions
    if kind == "mla":
        known = {ours: attention[word] for ours, word in LATENT.items() if word in attention}
        return {"head_size": None}, known
    return {}, {}


def guess_tied(row: Row, shape: Row) -> tuple[bool, str]:
    """What a published count, an exact or a rounded file size says about the output matrix."""
    counts, sizes = {}, {}
    for tied in (True, False):
        architecture = architecture_of({**shape, "tied": tied})
        try:
            counts[tied] = parameter_count(architecture)
        except FitError:
            return False, "not stated; taken as not tied, which is the larger"
        for mix, _, size in [(mix_of(row["default_quant"]), "", row["model_blob_bytes"])] + [
            variant[:3] for variant in variants_of(row) if variant[0] in ("F16", "BF16", "Q8_0")
        ]:
            if size:
                try:
                    network = computed_network(architecture, mix)
                except FitError:
                    continue
                total = sum(one.bytes for one in network.tensors) + network.tokenizer_bytes
                sizes.setdefault(tied, []).append(abs(total / size - 1))
    published = row.get("parameters_text") or row["parameters_total"]
    if published and row["parameters_precision"] != "computed":
        errors = {tied: abs(count / published - 1) for tied, count in counts.items()}
        best = min(errors, key=lambda tied: errors[tied])
        if errors[best] < 0.005 < errors[not best]:
            return best, "implied by the published parameter count"
    if len(sizes) == 2:
        best = min(sizes, key=lambda tied: min(sizes[tied]))
        if min(sizes[best]) < 0.03:
            return best, "implied by the published file sizes"
    return False, "not stated; taken as not tied, which is the larger"


if __name__ == "__main__":
    main()

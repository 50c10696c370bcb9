"""What the Hugging Face Hub and the registries say of models, only when a person asks.

The Hub's search tells repositories with GGUF files, their parameters and quantisations; a list of
files or a manifest tells exact sizes; and the header at the beginning of the file, read by ranges,
tells what the model will need, without its gigabytes. Addresses are those that pulls use. What
does not look as it should is left out field by field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from workbench.cards._card import Card, Variant
from workbench.cards._describe import (
    card_of,
    categories_of,
    count_of,
    licence_of,
    split_quantisation,
)
from workbench.cards._fetch import fetch
from workbench.cards._remote_header import remote_header
from workbench.errors import EngineError, GGUFError, InvalidRequest, ModelNotFound
from workbench.gguf import Header
from workbench.protocol import MANIFEST_TYPE, Manifest, ModelName, digest_of

_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_MOST_VARIANTS, _MOST_ITEMS = 100, 10_000
_EMBEDS = {"feature-extraction", "sentence-similarity"}
_EXPAND = ("gguf", "siblings", "tags", "gated", "pipeline_tag")
_PREFERRED = ("Q4_K_M", "Q4_0", "Q8_0")  # what a pull without a quantisation takes, in this order


@dataclass(frozen=True, slots=True)
class Found:
    """Live cards, and in words what kept more or newer ones away."""

    cards: tuple[Card, ...]
    problems: tuple[str, ...] = ()
    fetched_at: datetime | None = None


def hub_search(text: str, *, limit: int = 30, refresh: bool = False) -> Found:
    """Repositories of the Hub with GGUF files for these words, the most used first.

    Never raises for what the network does: offline it gives the last answer with its age, or none.
    """
    from workbench.library import hub_endpoint

    words = " ".join(text.split())[:200]
    query = [("search", words), ("filter", "gguf"), ("sort", "downloads"), ("direction", "-1")]
    query += [("limit", str(max(1, min(limit, 100)))), *(("expand[]", name) for name in _EXPAND)]
    try:
        answer = fetch(
            f"{hub_endpoint()}/api/models?{urlencode(query)}",
            headers=_token(),
            refresh=refresh,
            check=_list,
        )
        items = _list(answer.body)
    except EngineError as error:
        return Found((), (f"The Hugging Face Hub was not searched: {error}",))
    cards = tuple(
        card for item in items[:_MOST_VARIANTS] if (card := _hub_card(item, answer.fetched_at))
    )
    return Found(cards, (answer.problem,) if answer.problem else (), answer.fetched_at)


def registry_card(name: str, *, refresh: bool = False) -> Card:
    """A model of a registry before it is pulled: exact bytes, quantisation, family.

    Raises ModelNotFound, InvalidRequest, or EngineError when nothing was ever heard of it.
    """
    from workbench.library import is_hub

    parsed = _parsed(name)
    if is_hub(parsed):
        raise InvalidRequest(f"{name!r} is a repository of the Hub. Use remote_card for it.")
    return _registry_card(parsed, refresh)[0]


def remote_card(name: str, *, refresh: bool = False) -> Card:
    """What a model will need before it is downloaded: its file's header, read by ranges.

    `name` is what a pull takes. Raises ModelNotFound, InvalidRequest, GGUFError or EngineError.
    """
    from workbench.library import hub_endpoint, hub_file, hub_listing_url, is_hub

    parsed = _parsed(name)
    if not is_hub(parsed):
        card, blobs, digest = _registry_card(parsed, refresh)
        if not digest:
            raise GGUFError(f"{card.name} is not one GGUF file, so its header cannot be read.")
        return _with_header(card, f"{blobs}/{digest}", digest)
    base = hub_endpoint()
    listing = hub_listing_url(base, parsed)
    answer = fetch(listing, headers=_token(), refresh=refresh, check=_list)
    file = hub_file(answer.body, base, parsed)
    repository = f"{parsed.namespace}/{parsed.model}"
    card = Card(
        name=parsed.display(),
        family=parsed.model,
        publisher=parsed.namespace,
        hf_repo=repository,
        download=file.layer.size,
        variants=_variants(repository, _list(answer.body)),
        origins=("hub",),
        fetched_at=answer.fetched_at,
        notes=(answer.problem,) if answer.problem else (),
    )
    return _with_header(card, file.url, file.layer.digest)


def _with_header(card: Card, url: str, digest: str) -> Card:
    header = remote_header(url, digest)
    told = card_of(header, card.name, card.origins[0], source="the file's header, read remotely")
    return replace(
        told,
        family=card.family,
        publisher=card.publisher or told.publisher,
        hf_repo=card.hf_repo or told.hf_repo,
        download=card.download,
        digest=card.digest,
        variants=card.variants,
        fetched_at=card.fetched_at,
        notes=(*card.notes, *told.notes),
    )


def _registry_card(name: ModelName, refresh: bool) -> tuple[Card, str, str]:
    """The card, where its blobs are, and the digest of its GGUF file ("" when it is not one)."""
    from workbench.library import registry_url

    base, repository = registry_url(name, False), f"{name.namespace}/{name.model}"
    url = f"{base}/v2/{repository}/manifests/{name.tag}"
    try:
        answer = fetch(
            url, headers={"accept": MANIFEST_TYPE}, refresh=refresh, check=Manifest.parse
        )
    except ModelNotFound:
        raise ModelNotFound(f"{name.host} has no model {name.display()}. Check it.", 404) from None
    manifest = Manifest.parse(answer.body)
    models = manifest.of("model")
    blobs = f"{base}/v2/{repository}/blobs"
    config: Mapping[str, Any] = {}
    if manifest.config.size <= 1 << 20:
        digest = manifest.config.digest
        with suppress(EngineError):  # the size is known all the same
            config = _object(fetch(f"{blobs}/{digest}", digest=digest, check=_object).body)
    able = ("vision", "completion") if manifest.of("projector") else ()
    card = Card(
        name=name.display(),
        family=name.model,
        categories=categories_of((name.model, name.tag), able or ("completion",)),
        capabilities=able,
        quantisation=_word(config.get("file_type")),
        download=manifest.size,
        digest=digest_of(answer.body).removeprefix("sha256:"),
        sources={"download": "the registry's manifest", "quantisation": "the registry's config"},
        origins=("registry",),
        fetched_at=answer.fetched_at,
        notes=(answer.problem,) if answer.problem else (),
    )
    return card, blobs, models[0].digest if len(models) == 1 else ""


def _hub_card(item: Any, fetched_at: datetime) -> Card | None:
    """A repository of a search's answer; None for what has no GGUF file to pull."""
    if not isinstance(item, dict) or not _REPOSITORY.fullmatch(str(item.get("id", ""))):
        return None
    repository = item["id"]
    try:
        name = ModelName.parse(f"hf.co/{repository}").display().removesuffix(":latest")
    except InvalidRequest:
        return None
    variants = _variants(repository, item.get("siblings"))
    if not variants:
        return None
    told = item["gguf"] if isinstance(item.get("gguf"), dict) else {}
    tags = [tag for tag in _some(item.get("tags")) if isinstance(tag, str)]
    owner, _, family = repository.partition("/")
    able = _capabilities(told, item.get("pipeline_tag"))
    best = next((q for q in _PREFERRED if q in {one.quantisation for one in variants}), None)
    facts: dict[str, Any] = {
        "parameters": count_of(told.get("total")),
        "context": count_of(told.get("context_length")),
        "license": licence_of(_tagged(tags, "license:")),
        "quantisation": best or variants[0].quantisation,
        "publisher": owner,
    }
    base = _tagged(tags, "base_model:quantized:") or _tagged(tags, "base_model:")
    notes = [f"Made from {base[:120]}."] if base else []
    if item.get("gated"):
        notes.append("Its publisher asks for an account: set HF_TOKEN.")
    return Card(
        name=name,
        family=re.sub(r"[-_.]gguf$", "", family, flags=re.I),
        categories=categories_of((repository,), able),
        capabilities=able,
        **facts,
        hf_repo=repository,
        variants=variants,
        sources={fact: "Hugging Face Hub" for fact, value in facts.items() if value},
        origins=("hub",),
        fetched_at=fetched_at,
        notes=tuple(notes),
    )


def _variants(repository: str, files: Any) -> tuple[Variant, ...]:
    """The quantisations among a repository's files; those in parts cannot be pulled."""
    found: dict[str, Variant] = {}
    for file in _some(files):
        path = file.get("rfilename", file.get("path")) if isinstance(file, dict) else None
        if not isinstance(path, str) or len(path) > 300 or len(found) >= _MOST_VARIANTS:
            continue
        stem, quantisation = split_quantisation(path.rsplit("/", 1)[-1])
        whole = path.lower().endswith(".gguf") and "-of-0" not in path and "mmproj" not in stem
        if whole and quantisation and quantisation not in found:
            stored = file.get("lfs")
            size = count_of(file.get("size") or (isinstance(stored, dict) and stored.get("size")))
            name = f"hf.co/{repository}:{quantisation}"
            found[quantisation] = Variant(quantisation, name, size, size is not None)
    return tuple(found.values())


def _capabilities(told: Mapping[str, Any], pipeline: Any) -> tuple[str, ...]:
    """By the chat template and the task that the Hub states."""
    from workbench.library import capabilities_of

    if str(pipeline) in _EMBEDS:
        return ("embedding",)
    template = told.get("chat_template")
    able = capabilities_of(
        Header(3, {}, (), 32, 0, 0), template if isinstance(template, str) else None, False
    )
    return (*able, "vision") if pipeline == "image-text-to-text" else able


def _parsed(name: str) -> ModelName:
    try:
        return ModelName.parse(name.strip())
    except InvalidRequest:
        raise InvalidRequest(
            f"{name.strip()!r:.200} is no name of a model. Write it as in 'llama3.2:1b' or "
            "'hf.co/owner/repository:Q4_K_M'."
        ) from None


def _list(body: bytes) -> list[Any]:
    return _parse(body, list)  # type: ignore[no-any-return]


def _object(body: bytes) -> dict[str, Any]:
    return _parse(body, dict)  # type: ignore[no-any-return]


def _parse(body: bytes, kind: type) -> Any:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise EngineError("What came is no answer to what was asked. Try again later.")
    return value


def _some(value: Any) -> list[Any]:
    """The beginning of a list; nothing of what is none."""
    return value[:_MOST_ITEMS] if isinstance(value, list) else []


def _token() -> dict[str, str]:
    from workbench.library import hub_token

    token = hub_token()
    return {"authorization": f"Bearer {token}"} if token else {}


def _tagged(tags: list[str], prefix: str) -> str | None:
    return next((tag[len(prefix) :] for tag in tags if tag.startswith(prefix)), None)


def _word(value: Any) -> str | None:
    sound = isinstance(value, str) and re.fullmatch(r"[\w.-]{1,30}", value)
    return str(value) if sound else None

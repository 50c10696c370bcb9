"""Create: a model from another one, from GGUF files, or from a Hugging Face folder's files.

Files come as digests of blobs that were uploaded before. All that can be refused is refused
before the first line of the answer; the heavy work (convert, quantise) runs in a thread that
stops soon after the client has gone. Until the manifest is written nothing but blobs appear,
which a second try uses again.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import GGUFError, InvalidRequest
from workbench.gguf import QUANTISATIONS, Header, convert, convert_adapter, quantise
from workbench.library._describe import human_number
from workbench.library._events import Emit
from workbench.library._library import Library
from workbench.protocol import CreateRequest, Layer, Manifest, digest_of

_UNQUANTISED = {"F32", "F16", "BF16"}


class _Left(Exception):
    """The client has gone; the thread that works for it ends."""


class Creation:
    """One create in the making: `layers` grow until the manifest is written."""

    def __init__(self, library: Library, request: CreateRequest, emit: Emit) -> None:
        if request.quantize and request.quantize not in QUANTISATIONS:
            raise InvalidRequest(f"quantize must be one of {', '.join(QUANTISATIONS)}", 400)
        self._library, self._request, self._emit = library, request, emit
        self._layers: list[Layer] = []
        self._config: dict[str, Any] = {}

    async def run(self) -> None:
        """The work, step by step. A base that is named must be installed."""
        request, library = self._request, self._library
        digests = {*request.files.values(), *request.adapters.values()}
        if request.source:
            base = await asyncio.to_thread(library.find, request.source)
            digests |= {layer.digest for layer in base.manifest.all}
            self._config = dict(base.config)
            self._layers = [
                Layer(layer.kind, layer.digest, layer.size, request.source)
                if layer.kind == "model"
                else layer
                for layer in base.manifest.layers
            ]
        with library.hold(digests) as self._keep, library.blobs.workspace() as folder:
            if not request.source:
                await self._import(request.files, folder / "model", None)
            if request.adapters:
                base_path = library.blob(self._one("model").digest)
                await self._import(request.adapters, folder / "adapter", base_path)
            await self._quantise(folder / "quantised.gguf")
            self._texts()
            self._emit({"status": "writing manifest"})
            await asyncio.to_thread(self._write)
        self._emit({"status": "success"})

    async def _import(self, files: Mapping[str, str], folder: Path, base: Path | None) -> None:
        """Layers of uploaded files; with `base` they must be one adapter for it."""
        ready = self._kind(files) == "gguf"
        if ready:
            layers = [self._gguf(path, digest) for path, digest in files.items()]
            _check_roles([layer.kind for layer in layers], base is not None)
            self._emit({"status": "parsing GGUF"})
        else:
            out, what = folder.with_suffix(".gguf"), "adapter" if base else "model"
            await asyncio.to_thread(self._lay_out, files, folder)

            def work(report: Callable[[float], None]) -> Path:
                if base is not None:
                    return convert_adapter(folder, out, base=base, progress=report)
                return convert(folder, out, dtype=_stored_dtype(folder), progress=report)

            await self._in_thread(work, f"converting {what}")
            layers = [self._gguf(what, await asyncio.to_thread(self._library.blobs.add, out))]
            _check_roles([layer.kind for layer in layers], base is not None)
        for layer in layers:
            self._layers = [old for old in self._layers if old.kind != layer.kind or base is None]
            self._take(layer, new=not ready)

    def _kind(self, files: Mapping[str, str]) -> str:
        if not files:
            raise InvalidRequest("no files provided to convert", 400)
        for digest in files.values():
            if not self._library.blob(digest).is_file():
                raise InvalidRequest(f"blob {digest} was not uploaded; upload it first", 400)
        if any(path.endswith(".safetensors") for path in files):
            return "safetensors"
        for path, digest in files.items():
            if re.search(r"-\d{5}-of-\d{5}\.gguf$", path):
                raise InvalidRequest(
                    "a GGUF in several parts is not supported; join it with llama-gguf-split", 400
                )
            if not path.endswith(".gguf"):
                with self._library.blob(digest).open("rb") as file:
                    if file.read(4) != b"GGUF":
                        raise InvalidRequest("unknown type", 400)
        return "gguf"

    def _gguf(self, path: str, digest: str) -> Layer:
        """The layer of a GGUF file, after a look at all of its header."""
        blob = self._library.blob(digest)
        with blob.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise InvalidRequest("supplied file was not in GGUF format", 400)
        try:
            header = self._library.header(digest)
        except GGUFError as error:
            raise InvalidRequest(f"{path} cannot be used: {error}", 400) from error
        if not header.tensors or not header.architecture:
            raise InvalidRequest(f"{path} cannot be used: it holds no model", 400)
        return Layer(_role(header), digest, blob.stat().st_size)

    def _lay_out(self, files: Mapping[str, str], folder: Path) -> None:
        """The files under their names, as links to their blobs."""
        for path, digest in files.items():
            target = folder / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(self._library.blob(digest), target)
            except OSError as error:
                raise InvalidRequest(
                    f"file {path} cannot be used: {error.strerror}", 400
                ) from error

    async def _quantise(self, out: Path) -> None:
        kind = self._request.quantize
        layer = self._one("model")
        header = self._library.header(layer.digest)
        if not kind or kind == header.file_type:
            return
        if header.file_type not in _UNQUANTISED:
            raise InvalidRequest(
                f"quantization is only supported for F16, BF16 and F32 models, "
                f"and this one is {header.file_type}", 400
            )  # fmt: skip
        source = self._library.blob(layer.digest)

        def work(report: Callable[[float], None]) -> Path:
            return quantise(source, out, kind, progress=report)

        status = f"quantizing {header.file_type} model to {kind}"
        await self._in_thread(work, status, layer.digest, layer.size)
        digest = await asyncio.to_thread(self._library.blobs.add, out)
        self._layers.remove(layer)
        size = self._library.blob(digest).stat().st_size
        self._take(Layer("model", digest, size, layer.source), new=True)

    async def _in_thread(
        self,
        work: Callable[[Callable[[float], None]], Path],
        status: str,
        digest: str = "",
        size: int = 100,
    ) -> None:
        """Run `work` in a thread and tell how far it is; when we are cancelled, it ends soon."""
        done, told, left = 0.0, -1, threading.Event()

        def report(fraction: float) -> None:
            nonlocal done
            done = fraction
            if left.is_set():
                raise _Left

        self._emit({"status": status})
        task = asyncio.ensure_future(asyncio.to_thread(work, report))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=0.06)
                if int(done * size) > told:
                    told = int(done * size)
                    extra = {"digest": digest} if digest else {}
                    self._emit({"status": status, **extra, "total": size, "completed": told})
            await task
        except GGUFError as error:
            raise InvalidRequest(str(error), 400) from error
        finally:
            left.set()
            await asyncio.wait({task})  # it writes into a folder that is removed next

    def _texts(self) -> None:
        """The small layers: they replace the base's, except licences, which are added."""
        contents = [(kind, value) for kind, value in self._request.texts.items() if value]
        if self._request.parameters:
            old = [layer for layer in self._layers if layer.kind == "params"]
            merged = json.loads(self._library.blob(old[0].digest).read_bytes()) if old else {}
            contents.append(("params", {**merged, **self._request.parameters}))
        contents += [("license", text) for text in self._request.licenses]
        for kind, value in contents:
            replaced = {"template", "prompt"} if kind == "template" else {kind} - {"license"}
            self._layers = [layer for layer in self._layers if layer.kind not in replaced]
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            layer, new = self._add(kind, text.encode("utf-8", "replace"))
            if layer not in self._layers:
                self._take(layer, new)

    def _take(self, layer: Layer, new: bool) -> None:
        self._layers.append(layer)
        word = "creating new" if new else "using existing"
        self._emit({"status": f"{word} layer {layer.digest}"})

    def _add(self, kind: str, content: bytes) -> tuple[Layer, bool]:
        digest = digest_of(content)
        self._keep(digest)
        new = not self._library.blob(digest).is_file()
        if new:
            self._library.blobs.add(content)
        return Layer(kind, digest, len(content)), new

    def _write(self) -> None:
        header = self._library.header(self._one("model").digest)
        families = [header.architecture]
        if any(layer.kind == "projector" for layer in self._layers):
            families.append("clip")
        config = {
            **self._config,
            "model_format": "gguf",
            "model_family": header.architecture,
            "model_families": families,
            "model_type": human_number(header.parameter_count),
            "file_type": header.file_type,
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in self._layers]},
            **self._request.config,
        }
        layer, _ = self._add("config", json.dumps(config, ensure_ascii=False).encode())
        self._library.write_manifest(self._request.name, Manifest(layer, tuple(self._layers)))

    def _one(self, kind: str) -> Layer:
        return next(layer for layer in self._layers if layer.kind == kind)


def _check_roles(kinds: list[str], adapter: bool) -> None:
    if adapter and kinds != ["adapter"]:
        many = len(kinds) > 1
        wrong = "only one adapter is currently supported" if many else "this is no adapter"
        raise InvalidRequest(wrong, 400)
    if not adapter and kinds.count("model") != 1:
        raise InvalidRequest("files must hold one model, beside projectors and adapters", 400)


def _role(header: Header) -> str:
    kind = header.metadata.get("general.type")
    if kind == "adapter":
        return "adapter"
    return "projector" if kind == "mmproj" or header.architecture == "clip" else "model"


def _stored_dtype(folder: Path) -> str:
    """Keep bfloat16 as it is stored; everything else becomes float16, as Ollama does."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        stored = config.get("dtype") or config.get("torch_dtype")
    except (OSError, ValueError, AttributeError, RecursionError):
        stored = None  # convert says what is wrong with it
    return "bf16" if stored == "bfloat16" else "f16"

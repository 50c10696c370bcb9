"""The program that holds one loaded model: `python -m workbench.embedded._child`.

A process of its own, so that a crash in native code costs one request and not the engine. It
reads its settings as one JSON line from stdin, starts llama.cpp's own server on a free loopback
port behind a secret key, and answers with one JSON line on stdout: {"url": …} or {"error": …}.
llama.cpp's log goes to stderr. It ends when the engine does: by the kernel's parent-death
signal on Linux, and everywhere because stdin reaches its end.

llama.cpp's own defaults for what a request leaves open differ from Ollama's; the engine sends
every sampling value with each request, so none is set here.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

_CACHE_TYPES = {
    "f16": "GGML_TYPE_F16",
    "q8_0": "GGML_TYPE_Q8_0",
    "q4_0": "GGML_TYPE_Q4_0",
}
_FLASH = {None: "AUTO", True: "ENABLED", False: "DISABLED"}


def die_with_parent() -> None:
    """Ask Linux to kill this process when the engine ends, however it ends."""
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def watch_stdin() -> None:
    """End this process when the engine's end of the pipe is closed."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def parameters(settings: dict[str, Any]) -> Any:
    """llama.cpp's parameters for `settings` (see `_runner.Settings`)."""
    import xllamacpp as llama

    params = llama.CommonParams()
    params.model.path = settings["model"]
    params.n_ctx = settings["num_ctx"] * settings["parallel"]
    params.n_parallel = settings["parallel"]
    params.n_batch = params.n_ubatch = settings["num_batch"]
    params.port = 0  # any free one
    params.api_keys = [settings["secret"]]
    params.ui = False
    params.endpoint_slots = params.endpoint_props = True
    params.fit_params = False  # the engine has done the sums
    params.warmup = False  # the first prompt warms up as well
    params.ctx_shift = True
    params.cache_ram_mib = settings["prompt_cache_mib"]
    params.verbosity = settings["verbosity"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["num_thread"]
    params.load_mode = getattr(
        llama.llama_load_mode,
        "LLAMA_LOAD_MODE_MMAP" if settings["use_mmap"] else "LLAMA_LOAD_MODE_NONE",
    )
    cache_type = getattr(llama.ggml_type, _CACHE_TYPES[settings["cache_type"]])
    params.cache_type_k = params.cache_type_v = cache_type
    flash = f"LLAMA_FLASH_ATTN_TYPE_{_FLASH[settings['flash_attention']]}"
    params.flash_attn_type = getattr(llama.llama_flash_attn_type, flash)
    if settings["num_gpu"] >= 0:
        params.n_gpu_layers = settings["num_gpu"]
    params.main_gpu = settings["main_gpu"]
    if settings["chat_template"]:
        params.chat_template = settings["chat_template"]
    if settings["embedding"]:
        params.embedding = True
        params.kv_unified = True  # else texts of unequal lengths are pooled over their last part
    if settings["adapters"]:
        params.lora_adapters = [
            llama.CommonAdapterLoraInfo(path, 1.0) for path in settings["adapters"]
        ]
    return params


def main() -> None:
    """Serve one model until the engine closes our stdin."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever native code prints belongs in the log
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)  # no more than the line: the rest of stdin is watched
        if not byte:
            return
        line += byte
    watch_stdin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to handle
    try:
        import xllamacpp as llama

        server = llama.Server(parameters(json.loads(line)))
        kinds = [device["type"].name for device in llama.get_device_info()]
        answer = {"url": server.listening_address, "gpu": any(k.endswith("GPU") for k in kinds)}
    except Exception as error:  # whatever it is, the engine has to say it
        answer = {"error": str(error) or type(error).__name__}
    print(json.dumps(answer), file=answers, flush=True)
    if "url" in answer:
        threading.Event().wait()


if __name__ == "__main__":
    main()

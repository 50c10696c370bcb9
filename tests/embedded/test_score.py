"""Log-likelihoods: against Transformers, against each other, and what is refused."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gguf
import httpx
import numpy as np
import psutil
import pytest
from conftest import EngineProcess, running, wait_until
from parrot import write_parrot
from tiny import CHATML, vocabulary

from workbench.embedded._score import _distances, _run

NEAR = 1e-3  # keys and values are kept in 16 bits
PROMPT = "import os\nfrom pathlib import Path"
CHOICES = [
    "\n\ndef main(", " as P", "ology", "\n" * 7, " return return return return", "12345",
    " Ünïcödé – naïve ☃ 你好世界 Привет ελληνικά 🙂🚀 ƔǾ⅞∰⟁", "<|im_end|>\n<|im_start|>user",
]  # fmt: skip


def words(text: str) -> list[int]:
    """The text's tokens by another implementation than llama.cpp's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokens, merges = vocabulary()
    pairs = [(first, second) for first, second in (merge.split(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return list(tokenizer.encode(text).ids)


def together(prompt: str, text: str) -> tuple[list[int], int]:
    """The tokens of both after the one that begins, and from where they are not the prompt's."""
    before, both = [0, *words(prompt)], [0, *words(prompt + text)]
    pairs = enumerate(zip(before, both, strict=False))
    return both, next((i for i, (one, other) in pairs if one != other), len(before))


class Reference:
    """The tiny Llama in Transformers, in 32 bits."""

    def __init__(self, path: Path) -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        tensors = {one.name: np.array(one.data) for one in gguf.GGUFReader(path).tensors}
        names = {
            "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
            "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        }  # fmt: skip
        embeddings = tensors["token_embd.weight"]
        state = {f"{name}.weight": embeddings for name in ("model.embed_tokens", "lm_head")}
        state["model.norm.weight"] = tensors["output_norm.weight"]
        for layer in range(2):
            for ours, theirs in names.items():
                tensor = tensors[f"blk.{layer}.{ours}.weight"]
                if ours in {"attn_q", "attn_k"}:  # pairs of a rotation: neighbours, or halves
                    pairs = tensor.reshape(-1, 8, 2, 64)
                    tensor = pairs.swapaxes(1, 2).reshape(tensor.shape)
                state[f"model.layers.{layer}.{theirs}.weight"] = tensor
        config = LlamaConfig(
            vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5,
        )  # fmt: skip
        self._model = LlamaForCausalLM(config).eval()
        self._model.load_state_dict({name: torch.from_numpy(x) for name, x in state.items()})

    def rows(self, tokens: list[int]) -> np.ndarray:
        """Log-probabilities of all tokens after each of these."""
        import torch

        with torch.no_grad():
            logits = self._model(torch.tensor([tokens])).logits[0].double()
        return np.asarray(torch.log_softmax(logits, -1))

    def logprobs(self, tokens: list[int], start: int) -> list[float]:
        rows = self.rows(tokens)
        return [float(rows[i - 1, tokens[i]]) for i in range(start, len(tokens))]


def change(path: Path, copy: Path, **changes: Any) -> Path:
    """A copy of a model whose tensors are scaled (`attn_v=0.2`) or whose metadata are changed."""
    shutil.copy(path, copy)
    reader = gguf.GGUFReader(copy, "r+")
    for tensor in reader.tensors:
        tensor.data[:] *= changes.get(tensor.name.split(".")[-2], 1)
    for name in set(changes) & {"add_bos_token", "eos_token_id"}:
        field = reader.fields[f"tokenizer.ggml.{name}"]
        field.parts[field.data[0]][:] = changes[name]
    return copy


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Path:
    """The tiny model with a fainter attention, and so with fainter errors of 16 bits in it."""
    folder = tmp_path_factory.mktemp("exact")
    return change(tiny_gguf, folder / "exact.gguf", attn_q=0.2, attn_v=0.2, attn_output=0.2)


@pytest.fixture(scope="module")
def reference(exact: Path) -> Reference:
    return Reference(exact)


@pytest.fixture(scope="module")
def scoring(exact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine without flash attention, whose sums have 16 bits."""
    folder = tmp_path_factory.mktemp("scoring")
    with running(folder / "home", OLLAMA_FLASH_ATTENTION="0") as engine:
        engine.install("exact", exact)
        engine.install("no-begin", change(exact, folder / "no-begin.gguf", add_bos_token=False))
        yield engine


def score(engine: EngineProcess, prompt: str, *texts: str, model: str = "exact") -> list[Any]:
    answer = engine.post("/api/score", model=model, prompt=prompt, continuations=texts)
    assert answer.status_code == 200, answer.text
    found = answer.json()["likelihoods"]
    assert [one["text"] for one in found] == list(texts)
    for one in found:
        assert len(one["token_logprobs"]) == one["tokens"]
        assert math.isclose(one["logprob"], math.fsum(one["token_logprobs"]), abs_tol=1e-9)
        assert all(-104 <= each <= 0 for each in one["token_logprobs"])
    return list(found)


def test_texts_after_a_prompt(scoring: EngineProcess, reference: Reference) -> None:
    for text, found in zip(CHOICES, score(scoring, PROMPT, *CHOICES), strict=True):
        expected = reference.logprobs(*together(PROMPT, text))
        assert found["token_logprobs"] == pytest.approx(expected, abs=NEAR)


def test_a_whole_text_that_fills_the_context(scoring: EngineProcess, reference: Reference) -> None:
    text = Path(math.__file__ or __file__).name + Path(__file__).read_text()[:4000]
    while len(words(text)) > 511:
        text = text[:-1]
    [found] = score(scoring, "", text)
    tokens = [0, *words(text)]
    assert found["tokens"] == 511 == len(tokens) - 1
    expected = reference.logprobs(tokens, 1)
    assert found["token_logprobs"] == pytest.approx(expected, abs=NEAR)
    assert np.std(expected) > 1, "the model has opinions"
    refused = scoring.post("/api/score", model="exact", prompt="x", continuations=["ok", text])
    assert refused.status_code == 400
    assert "exceeds the context length of 512 tokens" in refused.json()["error"]


def test_all_single_tokens_and_the_likeliest(scoring: EngineProcess, reference: Reference) -> None:
    """Their probabilities have the mass that they have in the reference; one of them is greedy."""
    names = [name.replace("Ġ", " ") for name in vocabulary()[0]]
    for prompt in ("def f", "if not", "return", "self", "1", "# the", "class A"):
        before = [0, *words(prompt)]
        row = reference.rows(before)[-1]
        single = {i: x for i, x in enumerate(names) if [0, *words(prompt + x)] == [*before, i]}
        if int(row.argmax()) in single:
            break
    found = score(scoring, prompt, *single.values())
    masses = [
        math.fsum(np.exp(row[list(single)])),
        math.fsum(math.exp(x["logprob"]) for x in found),
    ]
    assert len(single) > 300 and 0.2 < masses[0] < 1
    assert masses[1] == pytest.approx(masses[0], rel=NEAR)
    assert [one["text"] for one in found if one["greedy"]] == [single[int(row.argmax())]]


def test_the_chain_rule_and_spaces(scoring: EngineProcess) -> None:
    first, second = "import os", " and import sys and import os"
    [one], [two] = score(scoring, "", first), score(scoring, first, second)
    [both], [spaced] = score(scoring, "", first + second), score(scoring, f"{first} ", second[1:])
    [line], [moved] = score(scoring, first, "\n\nx"), score(scoring, f"{first}\n", "\nx")
    assert one["logprob"] + two["logprob"] == pytest.approx(both["logprob"], abs=NEAR * 9)
    assert both["tokens"] == one["tokens"] + two["tokens"]
    assert spaced["token_logprobs"] == pytest.approx(two["token_logprobs"], abs=NEAR)
    assert moved["token_logprobs"] == pytest.approx(line["token_logprobs"], abs=NEAR)


def test_a_token_over_the_prompts_end_is_the_texts(
    scoring: EngineProcess, reference: Reference
) -> None:
    text = "import self, return, print, raise, in"
    cuts = [(text[:i], text[i:]) for i in range(1, len(text)) if text[i - 1 : i + 1].isalpha()]
    over = [cut for cut in cuts if together(*cut)[1] < 1 + len(words(cut[0]))]
    assert len(over) > 3
    for before, after in over:
        [found] = score(scoring, before, after)
        expected = reference.logprobs(*together(before, after))
        assert found["token_logprobs"] == pytest.approx(expected, abs=NEAR)


def test_nothing_to_score(scoring: EngineProcess) -> None:
    answer = scoring.post("/api/score", model="exact", prompt="x ", continuations=["", "y"]).json()
    assert answer["model"] == "exact" and answer["total_duration"] > 0
    assert answer["prompt_eval_count"] == 2  # the first one begins the text
    empty = {"text": "", "logprob": 0.0, "tokens": 0, "greedy": True, "token_logprobs": []}
    assert answer["likelihoods"][0] == empty and answer["likelihoods"][1]["tokens"] > 0
    none = scoring.post("/api/score", model="exact", continuations=[]).json()
    assert none["likelihoods"] == [] and none["prompt_eval_count"] == 1


def test_without_a_token_that_begins_texts(scoring: EngineProcess, reference: Reference) -> None:
    """The first token is then what the others come after."""
    tokens = words("import os")
    whole, single = score(scoring, "", "import os", "i", model="no-begin")
    assert whole["token_logprobs"] == pytest.approx(reference.logprobs(tokens, 1), abs=NEAR)
    assert (single["tokens"], single["logprob"]) == (0, 0.0)
    [later] = score(scoring, "import", " os", model="no-begin")
    assert later["token_logprobs"] == pytest.approx(whole["token_logprobs"][-1:], abs=NEAR)


def test_tokens_that_end_a_text_do_not_end_the_score(
    scoring: EngineProcess, reference: Reference, exact: Path, tmp_path: Path
) -> None:
    for prompt in vocabulary()[0][300:]:  # one after which a token comes that can be written
        before = [0, *words(prompt)]
        end = int(reference.rows(before)[-1].argmax())
        word = vocabulary()[0][end]
        tokens, start = together(prompt, text := f"{word}.{word}\n{word}")
        if start == len(before) and tokens[start:].count(end) == 3:
            break
    scoring.install("ending", change(exact, tmp_path / "ending.gguf", eos_token_id=end))
    greedy = {"temperature": 0, "num_predict": 5}
    ended = scoring.ollama.generate("ending", prompt, raw=True, options=greedy)
    assert (ended.eval_count, ended.done_reason) == (1, "stop")
    [found] = score(scoring, prompt, text, model="ending")
    expected = reference.logprobs(tokens, start)
    assert found["token_logprobs"] == pytest.approx(expected, abs=NEAR)


def test_four_slots_at_once(scoring: EngineProcess, reference: Reference) -> None:
    prompts = [f"{PROMPT}  # {name}\n" for name in ("one", "two", "three", "four") * 4]

    def logprobs(prompt: str) -> list[list[float]]:
        return [one["token_logprobs"] for one in score(scoring, prompt, *CHOICES)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(logprobs, prompts))
    for prompt, found in zip(prompts, together, strict=True):
        for text, each in zip(CHOICES, found, strict=True):
            tokens = [0, *words(prompt + text)]
            expected = reference.logprobs(tokens, len(tokens) - len(each))
            assert each == pytest.approx(expected, abs=NEAR)


def test_what_32_bits_cannot_hold(engine: EngineProcess, tmp_path: Path) -> None:
    """Certain and impossible tokens, among them the bytes of a character."""
    script = write_parrot(tmp_path / "plain.gguf", ["a"], CHATML)
    engine.install("sure", change(script, tmp_path / "sure.gguf", output=20))
    [found] = score(engine, "x", "\nb☃c", model="sure")
    assert found["tokens"] == 6 and not found["greedy"]
    assert found["token_logprobs"][1:2] == [-104.0] and found["logprob"] < -104


def test_the_length_of_runs() -> None:
    """No token within the reach of the penalty, which is one less than the run."""
    rng = np.random.default_rng(0)
    for most, longest in ((2, 2), (5, 4), (30, 8), (2000, 40)):
        tokens = rng.integers(0, most, 1500).tolist()
        distances, at = _distances(tokens), 3
        lengths = []
        while at < len(tokens):
            length = _run(distances[at : at + 512])
            for place in range(at, at + length):
                assert tokens[place] not in tokens[max(0, place - length + 1) : place]
            assert length >= 1
            lengths.append(length)
            at += length
        assert at == len(tokens)
        assert longest <= max(lengths) <= most


def test_going_away_stops_the_work(gguf_files: dict[str, Path], tmp_path: Path) -> None:
    with running(tmp_path / "home", OLLAMA_NUM_PARALLEL="1") as engine:
        engine.install("endless", gguf_files["endless"])
        body = {"model": "endless", "options": {"num_ctx": 60_000}}
        short = {**body, "continuations": ["ab"]}
        assert engine.post("/api/score", **short).status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            work = {**body, "continuations": ["ab" * 25_000]}  # minutes of it
            engine.http.post("/api/score", json=work, timeout=1.0)
        assert engine.post("/api/score", **short).status_code == 200, "its slot is free"
        processes = [psutil.Process(engine.process.pid), *engine.children()]

        def rest() -> bool:
            before = sum(sum(one.cpu_times()[:2]) for one in processes)
            time.sleep(0.5)
            return sum(sum(one.cpu_times()[:2]) for one in processes) - before < 0.1

        assert len(processes) == 2 and wait_until(rest, "nothing is computed any more")


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"model": ""}, 400, "model is required"),
        ({"model": "absent"}, 404, "model 'absent' not found"),
        ({"model": "../x"}, 400, "invalid model name"),
        ({"model": "embed"}, 400, '"embed" does not support log-likelihoods'),
        ({"model": 1}, 400, '"model" of type string'),
        ({"prompt": ["x"]}, 400, '"prompt" of type string'),
        ({"continuations": "abc"}, 400, '"continuations" of type array'),
        ({"continuations": None}, 400, '"continuations" must be a list of strings'),
        ({"continuations": ["a", 1]}, 400, '"continuations" must be a list of strings'),
        ({"options": []}, 400, '"options" of type object'),
        ({"options": {"num_ctx": "many"}}, 400, "num_ctx"),
        ({"keep_alive": "soon"}, 400, "duration"),
        ({"prompt": "x" * 10_000_000}, 400, "exceeds the context length"),
        ({"continuations": ["ok", " x" * 5_000_000]}, 400, "exceeds the context length"),
    ],
)
def test_refused_with_a_sentence(
    engine: EngineProcess, fields: dict[str, Any], status: int, said: str
) -> None:
    body = {"model": "tiny", "prompt": "x", "continuations": ["y"], **fields}
    answer = engine.post("/api/score", **body)
    assert (answer.status_code, set(answer.json())) == (status, {"error"}), answer.text
    assert said in answer.json()["error"]


def test_odd_texts_do_no_harm(engine: EngineProcess) -> None:
    texts = ["\0", "\0\0 a\0", "\ufeff", "\u202e x", "<|bos|>", " " * 50, "\r\n\t\v", "e\u0301" * 9]
    for one in score(engine, "x", *texts, model="tiny"):
        assert one["tokens"] > 0
    half = rb'{"model":"tiny","prompt":"\ud800","continuations":["\udfff x"]}'
    assert engine.http.post("/api/score", content=half).json()["likelihoods"][0]["tokens"] > 1


def test_slots_are_told(tmp_path: Path, tiny_gguf: Path) -> None:
    for environment, slots in (({}, 4), ({"OLLAMA_NUM_PARALLEL": "2"}, 2)):
        with running(tmp_path / f"home{slots}", **environment) as engine:
            engine.install("tiny", tiny_gguf)
            score(engine, "x", "y", model="tiny")
            [loaded] = engine.http.get("/api/ps").json()["models"]
            assert loaded["slots"] == slots

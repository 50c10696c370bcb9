"""How many tokens a text is, and where each begins: by the model's own tokenizer or an estimate.

Texts are counted as they stand: nothing is put before or after them, and a special token that is
written in a text counts as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, InvalidRequest

if TYPE_CHECKING:
    from workbench.engines import Engine

_BATCH = 1000  # texts that are counted at once
_CHARACTERS = 4_000_000  # of all of them
_GUESS = (
    "An estimate: a token for each 4 characters. English prose has 4 to 5 characters a token, code "
    "about 3, and other scripts may have 1 or fewer."
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts tokens. `name` says whose they are, `note` how far the numbers can be trusted."""

    name: str
    exact: bool
    note: str
    _count: Callable[[list[str]], list[int]]
    _pieces: Callable[[str], list[str]] | None = None

    def count(self, text: str) -> int:
        """The tokens of one text."""
        return self.counts([text])[0]

    def counts(self, texts: Iterable[str]) -> list[int]:
        """The tokens of each text, in their order."""
        return [n for batch in _batches(map(_whole, texts)) for n in self._count(batch)]

    def pieces(self, text: str) -> list[str]:
        """What each token writes; together they are the text.

        A character of several tokens is one of them's, the others write "". Raises DataError where
        tokens are only estimated.
        """
        if self._pieces is None:
            raise DataError(f"Only a tokenizer knows where tokens begin. {self.note}")
        return self._pieces(_whole(text))


def token_counter(model: str | Path = "", engine: Engine | None = None) -> Tokens:
    """Tokens of a Hugging Face folder or `tokenizer.json`, or of a model of the engine.

    With an engine a name is that of its model, a Path always a path. What has no tokenizer at hand
    is estimated, and says so. Raises DataError for a path without a tokenizer, EngineError.
    """
    path = Path(model).expanduser()
    if isinstance(model, Path) or (model and engine is None and path.exists()):
        return _of_files(path)
    if not model or engine is None:
        why = f" There is no tokenizer of {model!r} at hand." if model else ""
        return _estimate(why)
    return _of_engine(str(model), engine)


def _estimate(why: str) -> Tokens:
    return Tokens("estimate", False, _GUESS + why, lambda texts: [-(-len(t) // 4) for t in texts])


def _of_engine(model: str, engine: Engine) -> Tokens:
    def count(texts: list[str]) -> list[int]:
        return engine.tokenize(model, texts, told="counts")

    def pieces(text: str) -> list[str]:
        found: list[str] = engine.tokenize(model, [text], told="pieces")[0]
        return found

    try:
        count([""])
    except InvalidRequest as error:
        if error.status not in {404, 405}:
            raise
        return _estimate(f" {error}")
    return Tokens(model, True, f"Tokens of {model}, told by the engine.", count, pieces)


def _of_files(path: Path) -> Tokens:
    tokenizer = _read(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        return list(map(len, tokenizer.encode_batch_fast(texts, add_special_tokens=False)))

    def pieces(text: str) -> list[str]:
        return _cut(text, tokenizer.encode(text, add_special_tokens=False).offsets)

    return Tokens(path.name, True, f"Tokens of {path.name}.", count, pieces)


def _read(path: Path) -> Any:
    """By the tokenizers library; without `tokenizer.json` Transformers makes one of other files.
    Code in the folder is not run."""
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        if file.is_file():
            from tokenizers import Tokenizer

            return Tokenizer.from_file(str(file))
        if not path.is_dir():
            raise FileNotFoundError("there is no such folder")
        from transformers import AutoTokenizer

        options = {"local_files_only": True, "trust_remote_code": False}
        return AutoTokenizer.from_pretrained(str(path), **options).backend_tokenizer
    except Exception as error:  # of every kind, and with long advice
        why = str(error).strip().partition("\n")[0][:200]
        raise DataError(
            f"No tokenizer can be read here ({why}). Choose a model's folder from Hugging Face, "
            "with its tokenizer.json, or a model of the engine.",
            str(path),
        ) from None


def _cut(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """The text in pieces that end where the tokens do."""
    found, at = [], 0
    for _start, end in offsets:
        found.append(text[at:end])
        at = max(at, end)
    if at < len(text):
        found[-1:] = ["".join(found[-1:]) + text[at:]]
    return found


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == _BATCH or size + len(text) > _CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _whole(text: str) -> str:
    """Without half characters, which no tokenizer can read."""
    return text.encode("utf-8", "replace").decode()

"""What a file's rows are: a known layout by the names of its columns and what stands in them.

The layouts stand in `_STYLES`, the most particular first; a name counts in any case and with
"-" or " " for "_". How sure we are is the share of the looked-at rows that fit, less a fifth where
the names are not the layout's own but words that mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from workbench.errors import DataError
from workbench.examples._findings import Finding
from workbench.examples._lines import Row
from workbench.examples._names import USES
from workbench.examples._read import format_of, read_rows
from workbench.examples._records import FIELDS, Form
from workbench.examples._values import as_messages, is_text
from workbench.texts import nearest

_LOOKED_AT = 200
_EXTRA = ("input", "system", "tools", "label", "licence", "about")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file's rows become examples. `form` is None where nobody knows: map its columns."""

    form: Form | None
    style: str  # "Alpaca", "ShareGPT" …; "" where nothing fits
    sure: float  # 0 to 1
    format: str
    columns: Mapping[str, str] = field(default_factory=dict)  # use → column
    left: tuple[str, ...] = ()  # columns that are not used
    rows: int = 0  # looked at
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class _Style(NamedTuple):
    name: str
    form: Form
    needs: Mapping[str, tuple[str, ...]]  # use → names
    fits: Callable[..., bool]  # of the needed values, in order
    extra: Sequence[str] = ("system", "label", "licence", "about")


def _texts(*values: Any) -> bool:
    return all(map(is_text, values))


def _messages(*values: Any) -> bool:
    return all(as_messages(value) is not None for value in values)


def _shares(*names: str) -> Mapping[str, tuple[str, ...]]:
    return {name: USES[name] for name in names}


def _keys(key: str) -> Callable[[Any], bool]:
    """Messages that say by this key who speaks."""

    def fits(value: Any) -> bool:
        found = as_messages(value)
        return bool(found) and all(isinstance(one, Mapping) and key in one for one in found or ())

    return fits


_PLAIN = ("label", "licence", "about")
_STYLES = (
    _Style("preference pairs", "preference", _shares("prompt", "chosen", "rejected"),
           lambda p, c, r: (_texts(p) or _messages(p)) and (_texts(c, r) or _messages(c, r))),
    _Style("preference dialogues", "preference", _shares("chosen", "rejected"),
           lambda c, r: _messages(c, r) or _both_speak(c, r)),
    _Style("fill in the middle", "gap", _shares("prefix", "middle", "suffix"), _texts, _PLAIN),
    _Style("ShareGPT", "conversation", _shares("messages"), _keys("from"),
           ("system", "tools", *_PLAIN)),
    _Style("OpenAI messages", "conversation", _shares("messages"), _keys("role"),
           ("system", "tools", *_PLAIN)),
    _Style("Alpaca", "completion",
           {"prompt": ("instruction",), "completion": ("output", "response")}, _texts,
           ("input", "system", *_PLAIN)),
    _Style("prompt and completion in messages", "conversation", _shares("prompt", "completion"),
           _messages, ("tools", *_PLAIN)),
    _Style("prompt and completion", "completion", _shares("prompt", "completion"), _texts,
           ("input", "system", *_PLAIN)),
    _Style("source and target", "completion",
           {"prompt": ("source", "src"), "completion": ("target", "tgt")}, _texts),
    _Style("user and assistant", "completion",
           {"prompt": ("user", "human"), "completion": ("assistant", "bot")}, _texts),
    _Style("inputs and labels", "completion",
           {"prompt": ("input", "sentence", "utterance"), "completion": USES["label"]}, _texts),
    _Style("texts", "text", _shares("text"), _texts, _PLAIN),
)  # fmt: skip


def recognise(path: str | Path, *, format: str = "auto") -> Shape:
    """What the file's first 200 rows are. Raises DataError where the file cannot be read."""
    path = Path(path).expanduser()
    found = format_of(path) if format == "auto" else format
    rows = list(islice(_rows(read_rows(path, format=found)), _LOOKED_AT))
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    if not rows:
        return Shape(None, "", 0.0, found, why="There is no row that can be read.")
    shapes = [one for style in _STYLES if (one := _fit(style, names, rows, found))]
    likeliest = max(shapes, key=lambda one: one.sure, default=None)
    best = next((one for one in shapes if one.sure >= 0.4), likeliest)
    if best is None or best.sure < 0.25:
        why = "These columns fit nothing that is known. Say which is what, as in prompt=question."
        return Shape(None, "", 0.0, found, left=tuple(names), rows=len(rows), why=why)
    return replace(best, style="transcript") if found == "transcript" else best


def given(
    columns: Mapping[str, str] | None,
    form: str | None,
    shape: Shape,
    path: Path,
) -> Shape:
    """The shape with what the user says of it. Raises DataError with the nearest names."""
    names = [*shape.columns.values(), *shape.left]
    if form is not None and form not in FIELDS:
        raise DataError(f"There is no form {form!r}.{nearest(form, FIELDS)}", str(path))
    for use, column in (columns or {}).items():
        if use not in USES:
            raise DataError(f"A column cannot be used as {use!r}.{nearest(use, USES)}", str(path))
        if column not in names:
            raise DataError(f"There is no column {column!r}.{nearest(column, names)}", str(path))
    if not columns:
        if shape.form is None or form not in (None, shape.form, _widened(shape)):
            wanted = f" as {form}" if form else ""
            raise DataError(
                f"The rows cannot be taken{wanted} by themselves. {shape.why} Columns: "
                f"{', '.join(names)[:300] or 'none'}.", str(path),
            )  # fmt: skip
        return shape
    chosen = _form_of(columns, form, path)
    left = tuple(name for name in names if name not in columns.values())
    return Shape(chosen, "as said", 1.0, shape.format, dict(columns), left, shape.rows)


def _form_of(columns: Mapping[str, str], form: str | None, path: Path) -> Form:
    """The form that these uses make."""
    if form == "conversation" and {"prompt", "completion"} <= set(columns):
        return "conversation"
    needs: dict[Form, set[str]] = {name: set(fields) for name, fields in FIELDS.items()}
    for name, needed in needs.items():
        optional = {"prompt"} if name == "preference" else set()
        if form in (None, name) and needed - optional <= set(columns):
            strange = set(columns) - needed - set(_EXTRA)
            if not strange:
                return name
    wanted = form or "an example"
    said = "; ".join(f"{name}: {', '.join(fields)}" for name, fields in FIELDS.items())
    raise DataError(
        f"{', '.join(columns)} do not make {wanted}. The forms and what each needs: {said}.",
        str(path),
    )


def _fit(style: _Style, names: Sequence[str], rows: Sequence[Row], format: str) -> Shape | None:
    """The style's shape for these rows; None where a column that it needs is not there."""
    columns: dict[str, str] = {}
    usual = True
    for use, known in style.needs.items():
        found = _named(known, [name for name in names if name not in columns.values()])
        if found is None:
            return None
        columns[use] = found
        usual = usual and _plain(found) == known[0]
    values = [[row.values.get(column) for column in columns.values()] for row in rows]
    fitting = sum(1 for one in values if style.fits(*one))
    if not fitting:
        return None
    for use in style.extra:
        if column := _named(USES[use], [name for name in names if name not in columns.values()]):
            columns[use] = column
    left = tuple(name for name in names if name not in columns.values())
    own = usual or style.fits is not _texts
    why = f"{fitting} of {len(rows)} rows looked at have {', '.join(columns.values())}."
    sure = round(fitting / len(rows) * (1.0 if own else 0.8), 3)
    return Shape(style.form, style.name, sure, format, columns, left, len(rows), why)


def _widened(shape: Shape) -> Form | None:
    """A system prompt makes a conversation of prompt and completion."""
    return "conversation" if shape.form == "completion" and "system" in shape.columns else None


def _named(known: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[name] for name in known if name in plain), None)


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _both_speak(*values: Any) -> bool:
    """Texts of the form of Anthropic's helpful-harmless pairs."""
    return all(
        isinstance(one, str) and "\n\nHuman:" in f"\n\n{one.lstrip()}" and "\n\nAssistant:" in one
        for one in values
    )


def _rows(found: Iterator[Row | Finding]) -> Iterator[Row]:
    """The rows; after as many findings as rows would be looked at, it is enough."""
    for number, one in enumerate(found):
        if number >= 20 * _LOOKED_AT:
            return
        if isinstance(one, Row):
            yield one

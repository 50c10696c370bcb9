"""Answers that are known: in the store, for every study to come.

They are written some at a time, since a transaction costs more than the answer of a small model,
and at least twice a second while there are any: a kill costs what came since then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from workbench.store import StoredTuningAnswer, clean, session

_SOON = 0.5  # seconds that an answer may wait to be written
_PART = 500  # questions of one query
Key = tuple[str, str, str]  # digest of the model, setting, question


def known(keys: Iterable[Key]) -> dict[Key, tuple[float, Mapping[str, Any]]]:
    """Those of the answers that are there: value, and what it cost."""
    wanted, found = set(keys), {}
    table = StoredTuningAnswer
    columns = (table.digest, table.setting, table.question, table.value, table.figures)
    for digest in {digest for digest, _, _ in wanted}:
        settings = sorted({setting for one, setting, _ in wanted if one == digest})
        asked = sorted({question for one, _, question in wanted if one == digest})
        for start in range(0, len(asked), _PART):
            query = select(*columns).where(
                table.digest == digest, table.setting.in_(settings),
                table.question.in_(asked[start : start + _PART]),
            )  # fmt: skip
            with session(read_only=True) as opened:
                for row in opened.execute(query):
                    if (key := (row.digest, row.setting, row.question)) in wanted:
                        found[key] = (row.value, row.figures)
    return found


class Keeper:
    """Writes answers, some at a time."""

    def __init__(self) -> None:
        self._waiting: dict[Key, tuple[float, Mapping[str, Any]]] = {}
        self._since = 0.0
        self._lock = threading.Lock()

    def add(self, key: Key, value: float, figures: Mapping[str, Any]) -> None:
        """An answer that is to be kept. May be called in another thread than `write`."""
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting[key] = (value, figures)

    def write(self, *, now: bool = False) -> None:
        """Write what waits, when it has waited long enough or is to be safe `now`.

        What cannot be written waits on. Raises StoreError.
        """
        with self._lock:
            if not self._waiting or not (now or time.monotonic() - self._since > _SOON):
                return
            rows, self._waiting = self._waiting, {}
        try:
            _insert(rows)
        except BaseException:
            with self._lock:
                self._waiting = rows | self._waiting
            raise


def _insert(rows: Mapping[Key, tuple[float, Mapping[str, Any]]]) -> None:
    """Another worker may have been quicker: then its answer stays."""
    at = datetime.now(UTC)
    values = [
        {"digest": digest[:80], "setting": setting, "question": question, "value": value,
         "figures": clean(dict(figures)), "at": at}
        for (digest, setting, question), (value, figures) in rows.items()
    ]  # fmt: skip
    with session() as opened:
        server = opened.get_bind().dialect.name == "postgresql"
        insert = postgresql.insert if server else sqlite.insert
        opened.execute(insert(StoredTuningAnswer).on_conflict_do_nothing(), values)

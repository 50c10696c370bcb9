"""Trials in Optuna's own tables, in the workbench's database: what `optuna-dashboard` opens.

A trial is written when it begins (with its whole point) and when it ends, in three transactions
of some milliseconds. Optuna's way, a transaction for each parameter and attribute, took 125 ms a
trial where this takes 10, so samplers work on a copy of the study in memory (`_ask`).

Optuna's tables `studies`, `trials` … stand beside ours; its Alembic keeps its version in the table
that ours leaves free for it. Who works on a running trial is noted with it: Optuna's heartbeat
works only inside its own loop, and a job's heartbeat is in the store anyhow.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench.errors import StoreError
from workbench.store import clean, engine

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial
    from sqlalchemy import Engine

TOLD = "told"  # a trial's attribute: state, measured, values, why
_PATIENCE = 30  # seconds for another process's write
_TRIES = 4  # of making the tables, which two processes may do at once
_storages: WeakKeyDictionary[Engine, RDBStorage] = WeakKeyDictionary()
_studies: WeakKeyDictionary[Engine, dict[str, OptunaStudy]] = WeakKeyDictionary()


class Record:
    """The trials of one study. Made where it is not there yet."""

    def __init__(self, id: str, directions: Sequence[str], names: Sequence[str]) -> None:
        import optuna
        from optuna.study import StudyDirection

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with _in_words():
            self._storage = storage()
            study = optuna.create_study(
                study_name=id, storage=self._storage, load_if_exists=True,
                directions=[StudyDirection[direction.upper()] for direction in directions],
            )  # fmt: skip
            _silent(study.set_metric_names, list(names))
            self._id = self._storage.get_study_id_from_name(id)
        self._name = id
        self._ids: dict[int, int] = {}  # Optuna's, by number

    def begin(self, template: FrozenTrial) -> int:
        """Write a trial that begins; returns its number."""
        with _in_words():
            id = self._storage.create_new_trial(self._id, template)
            number = self._storage.get_trial_number_from_id(id)
        self._ids[number] = id
        return int(number)

    def step(self, number: int, step: int, value: float) -> None:
        """Note the first objective after `step` questions."""
        with _in_words():
            self._storage.set_trial_intermediate_value(self._trial(number), step, value)

    def end(
        self, number: int, told: Mapping[str, Any], values: Sequence[float] | None = None
    ) -> bool:
        """Note how a trial ended: done with `values`, else by `told["state"]`. Whether it was still
        running: another worker may have told it dead."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        ends = {"pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        state = ends.get(told["state"], TrialState.COMPLETE)
        with _in_words():
            id = self._trial(number)
            try:
                self._storage.set_trial_user_attr(id, TOLD, clean(told))
                whole = list(values) if values and state == TrialState.COMPLETE else None
                return bool(self._storage.set_trial_state_values(id, state, whole))
            except UpdateFinishedTrialError:
                return False

    def trials(self) -> list[FrozenTrial]:
        """All of them, by number; only those that may have changed are read anew."""
        return recorded(self._name)

    def _trial(self, number: int) -> int:
        if number not in self._ids:
            found = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
            self._ids[number] = found
        return self._ids[number]


def recorded(id: str) -> list[FrozenTrial]:
    """The trials of a study; none where it did not begin yet."""
    with _in_words():
        known = _studies.setdefault(engine(), {})
        if id not in known:
            import optuna

            try:
                known[id] = optuna.load_study(study_name=id, storage=storage())
            except KeyError:
                return []
        return list(known[id].get_trials(deepcopy=False))


def unrecorded(id: str) -> None:
    """Forget a study's trials."""
    import optuna

    with _in_words():
        _studies.get(engine(), {}).pop(id, None)
        try:
            optuna.delete_study(study_name=id, storage=storage())
        except KeyError:
            return


def storage() -> RDBStorage:
    """Optuna's storage in the store's database, opened once per process. Raises StoreError."""
    bound = engine()
    if bound not in _storages:
        with _in_words():
            _storages[bound] = _opened(bound)
    return _storages[bound]


def _opened(bound: Engine) -> RDBStorage:
    from optuna.exceptions import OptunaError
    from optuna.storages import RDBStorage
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    url = bound.url.render_as_string(hide_password=False)
    url = url.replace("{", "{{").replace("}", "}}")  # Optuna fills in its own version there
    lite = bound.url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": _PATIENCE}} if lite else {}
    for tried in range(_TRIES):
        try:
            made = RDBStorage(url, engine_kwargs=options or {"pool_pre_ping": True})
            break
        except (OptunaError, SQLAlchemyError):
            if tried == _TRIES - 1:
                raise
            time.sleep(0.2 * 2**tried)
    if lite:
        event.listen(made.engine, "connect", _on_connect)
        made.engine.dispose()  # the connections that were made before
    return made


def _on_connect(connection: Any, record: Any) -> None:
    """As the store's own connections: a kill loses nothing, and nobody waits for the disk."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


@contextmanager
def _in_words() -> Iterator[None]:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (StorageInternalError, DBAPIError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        words = str(getattr(cause, "orig", None) or cause or error).strip().splitlines()[0]
        raise StoreError(
            f"The study's trials cannot be read or written: {words}. What was measured before is "
            "kept; free the database (or its disk) and resume the study."
        ) from error


def _silent(call: Any, *given: Any) -> None:
    """Without Optuna's warning that something is experimental."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(*given)

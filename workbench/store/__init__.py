"""One database for everything we remember: SQLite in the home, or PostgreSQL by URL.

    with session() as s:             # commits at the end, rolls back on an exception
        s.add(StoredJob(...))
    with session(read_only=True) as s:
        s.scalars(select(StoredJob))

The first use in a process opens the database and brings its tables up to date.
"""

from workbench.store._clean import clean
from workbench.store._engine import engine, session
from workbench.store._migrate import SCHEMA
from workbench.store._studies import StoredStudy
from workbench.store._tables import (
    Base,
    StoredAnswer,
    StoredCalibration,
    StoredDataset,
    StoredEstimate,
    StoredJob,
    StoredProgress,
    StoredRun,
    StoredTraining,
    StoredVote,
)
from workbench.store._tuning import StoredTuningAnswer
from workbench.store._vectors import StoredCollection, StoredGeneration, StoredText, StoredVector
from workbench.store._versions import (
    StoredAlias,
    StoredProtection,
    StoredRelease,
    StoredSwitch,
    StoredUpdate,
)

__all__ = [
    "SCHEMA",
    "Base",
    "StoredAlias",
    "StoredAnswer",
    "StoredCalibration",
    "StoredCollection",
    "StoredDataset",
    "StoredEstimate",
    "StoredGeneration",
    "StoredJob",
    "StoredProgress",
    "StoredProtection",
    "StoredRelease",
    "StoredRun",
    "StoredStudy",
    "StoredSwitch",
    "StoredText",
    "StoredTraining",
    "StoredTuningAnswer",
    "StoredUpdate",
    "StoredVector",
    "StoredVote",
    "clean",
    "engine",
    "session",
]

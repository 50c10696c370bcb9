"""Releases, the switches between them, updates, aliases, protections; texts with vectors."""

import sqlalchemy as sa
from alembic import op

from workbench.store._tables import UtcDateTime

revision = "0008"
down_revision = "0007"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TABLES = (
    "releases", "release_switches", "model_aliases", "updates", "protected_patterns",
    "vector_collections", "vector_generations", "vector_texts", "vectors",
)  # fmt: skip


def upgrade() -> None:
    _releases()
    _updates()
    _vectors()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("version", sa.String(64), nullable=False, unique=True),
        sa.Column("parent", sa.String(64), nullable=False),
        sa.Column("members", sa.JSON, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "release_switches",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("vectors", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "model_aliases",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("alias", sa.String(64), nullable=False, unique=True),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )


def _updates() -> None:
    op.create_table(
        "updates",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("steps", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "protected_patterns",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("pattern", sa.String(256), nullable=False, unique=True),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )


def _vectors() -> None:
    op.create_table(
        "vector_collections",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vector_generations",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("collection", _ID, _collection(), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("dimensions", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("collection", "generation"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vector_texts",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("collection", _ID, _collection(), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("collection", "key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vectors",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("text", _ID, sa.ForeignKey("vector_texts.id", ondelete="CASCADE"),
                  nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("text", "generation"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("ix_vectors_generation", "vectors", ["generation", "text"])


def _collection() -> sa.ForeignKey:
    return sa.ForeignKey("vector_collections.number", ondelete="CASCADE")

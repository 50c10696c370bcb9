"""Searches for better settings: what is tuned, how, and what came of it."""

import sqlalchemy as sa
from alembic import op

from workbench.store._tables import UtcDateTime

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "tuning_studies",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("suite", sa.Text, nullable=False),
        sa.Column("space", sa.JSON, nullable=False),
        sa.Column("strategy", sa.String(64), nullable=False),
        sa.Column("objectives", sa.JSON, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("jobs", sa.JSON, nullable=False),
        sa.Column("finisher", sa.String(64), nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tuning_studies_model", "tuning_studies", ["model", "number"])


def downgrade() -> None:
    op.drop_table("tuning_studies")

"""The ledger: estimates beside measurements, and what machines were measured to do."""

import sqlalchemy as sa
from alembic import op

from workbench.store._tables import UtcDateTime

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "estimates",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("backend", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("architecture", sa.String(64), nullable=False),
        sa.Column("quantisation", sa.String(32), nullable=False),
        sa.Column("quantity", sa.String(32), nullable=False),
        sa.Column("load", sa.JSON, nullable=False),
        sa.Column("formula", sa.Integer, nullable=False),
        sa.Column("predicted", sa.Float),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("corrected", sa.Float),
        sa.Column("corrected_low", sa.Float),
        sa.Column("corrected_high", sa.Float),
        sa.Column("measured", sa.Float, nullable=False),
        sa.Column("counts", sa.Boolean, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_estimates_group",
        "estimates",
        ["machine", "quantity", "backend", "architecture", "model"],
    )
    op.create_table(
        "calibrations",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_calibrations_machine", "calibrations", ["machine", "id"])


def downgrade() -> None:
    op.drop_table("calibrations")
    op.drop_table("estimates")

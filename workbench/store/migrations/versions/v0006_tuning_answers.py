"""Tuning's answers: what each was worth, so that none is asked twice."""

import sqlalchemy as sa
from alembic import op

from workbench.store._tables import UtcDateTime

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "tuning_answers",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("setting", sa.String(64), nullable=False),
        sa.Column("question", sa.String(64), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("digest", "setting", "question"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("tuning_answers")

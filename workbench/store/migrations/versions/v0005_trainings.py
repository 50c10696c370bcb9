"""Trainings: what a model was made of and how, and what came of it."""

import sqlalchemy as sa
from alembic import op

from workbench.store._tables import UtcDateTime

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "trainings",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("recipe", sa.String(16), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("base_digest", sa.String(80), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("dataset_name", sa.String(64), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("price", _JSON),
        sa.Column("measured", sa.JSON, nullable=False),
        sa.Column("export", _JSON),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("card", _JSON),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_trainings_name", "trainings", ["name", "number"])
    op.create_index("ix_trainings_digest", "trainings", ["digest"])


def downgrade() -> None:
    op.drop_table("trainings")

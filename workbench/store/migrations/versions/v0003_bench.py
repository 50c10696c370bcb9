"""Benchmarks: runs of models on suites, their answers, and votes between two answers."""

import sqlalchemy as sa
from alembic import op

from workbench.store._tables import UtcDateTime

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "bench_runs",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("cell", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("suite", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("tasks", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("canary", sa.JSON(none_as_null=True)),
        sa.Column("speed", sa.JSON(none_as_null=True)),
        sa.Column("error", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_bench_runs_suite", "bench_runs", ["suite", "number"])
    op.create_table(
        "bench_answers",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column(
            "run",
            _ID,
            sa.ForeignKey("bench_runs.number", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("task", sa.String(128), nullable=False),
        sa.Column("sample", sa.String(128), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("thinking", sa.Text, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("scores", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("run", "task", "sample"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "votes",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("voter", sa.String(256), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("model_a", sa.String(256), nullable=False),
        sa.Column("model_b", sa.String(256), nullable=False),
        sa.Column("digest_a", sa.String(80), nullable=False),
        sa.Column("digest_b", sa.String(80), nullable=False),
        sa.Column("answer_a", sa.Text, nullable=False),
        sa.Column("answer_b", sa.Text, nullable=False),
        sa.Column("winner", sa.String(8), nullable=False),
        sa.Column("more", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("votes")
    op.drop_table("bench_answers")
    op.drop_table("bench_runs")

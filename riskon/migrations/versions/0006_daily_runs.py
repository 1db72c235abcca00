"""Create the daily runs with their steps, and the reports of the watch.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.database import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; runs are renewed while they go, reports are append-only."""
    op.create_table(
        "daily_runs",
        sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("market", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("host", sa.String(256), nullable=False),
        sa.Column("begun_at", Instant, nullable=False),
        sa.Column("heartbeat", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "daily_steps",
        sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("step", sa.String(16), primary_key=True),
        sa.Column("finished_at", Instant, nullable=False),
        sa.Column("changed", sa.Integer, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )
    op.create_table(
        "watch_reports",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("made_at", Instant, nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER watch_reports_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            "ON watch_reports FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER watch_reports_no_{verb.lower()} BEFORE {verb} ON watch_reports "
            "BEGIN SELECT RAISE(ABORT, 'watch_reports is append-only'); END"
        )


def downgrade() -> None:
    """Forget the runs and what the watch found."""
    for table in ("watch_reports", "daily_steps", "daily_runs"):
        op.drop_table(table)

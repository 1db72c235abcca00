"""Create the chain of outcomes, append-only, and the index that history is read by.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.database import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the triggers that keep what is settled."""
    op.create_table(
        "outcomes",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("forecast_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("outcome", sa.SmallInteger, nullable=False),
        sa.Column("label_end", sa.Date, nullable=False),
        sa.Column("begin_close", sa.Double, nullable=False),
        sa.Column("end_close", sa.Double, nullable=False),
        sa.Column("known_at", Instant, nullable=False),
        sa.Column("settled_at", Instant, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("row_hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("forecast_id", "revision", name="uq_outcomes_forecast_revision"),
    )
    op.create_index(
        "ix_forecasts_asset_horizon_days_as_of", "forecasts", ["asset", "horizon_days", "as_of"]
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER outcomes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outcomes "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER outcomes_no_{verb.lower()} BEFORE {verb} ON outcomes "
            "BEGIN SELECT RAISE(ABORT, 'outcomes is append-only'); END"
        )


def downgrade() -> None:
    """Drop the outcomes; the forecasts stay."""
    op.drop_index("ix_forecasts_asset_horizon_days_as_of", "forecasts")
    op.drop_table("outcomes")

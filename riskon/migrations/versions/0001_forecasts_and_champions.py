"""Create the ledger of forecasts and the history of champions, both append-only.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.database import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("forecasts", "champions")


def upgrade() -> None:
    """Create the tables, and the triggers that keep what is written."""
    op.create_table(
        "forecasts",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("forecast_id", sa.String(32), nullable=False),
        sa.Column("issued_at", Instant, nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("asset", sa.String(32), nullable=False),
        sa.Column("horizon_days", sa.Integer, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("lower", sa.Double),
        sa.Column("upper", sa.Double),
        sa.Column("base_rate", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("model_name", sa.String(256), nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("skill_certified", sa.Boolean, nullable=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("drivers", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("row_hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("forecast_id", name="uq_forecasts_forecast_id"),
        sa.UniqueConstraint(
            "model_version", "as_of", "asset", "horizon_days", "threshold",
            name="uq_forecasts_question",
        ),
    )  # fmt: skip
    op.create_index("ix_forecasts_as_of", "forecasts", ["as_of"])
    op.create_table(
        "champions",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("promoted_at", Instant, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("overridden", sa.Boolean, nullable=False),
        sa.Column("fit_to_serve", sa.Boolean, nullable=False),
        sa.Column("skill_certified", sa.Boolean, nullable=False),
        sa.Column("checks", sa.Text, nullable=False),
    )
    for table in APPEND_ONLY:
        _forbid_changes(table)


def downgrade() -> None:
    """Drop the tables with all that was issued."""
    for table in APPEND_ONLY:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _forbid_changes(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )

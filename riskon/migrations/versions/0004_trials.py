"""Create the count of trials on each data snapshot, append-only.

Revision ID: 0004
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the triggers that keep what is counted."""
    op.create_table(
        "trials",
        sa.Column("job", sa.String(64), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("config_digest", sa.String(64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_trials_data_digest", "trials", ["data_digest"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER trials_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON trials "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER trials_no_{verb.lower()} BEFORE {verb} ON trials "
            "BEGIN SELECT RAISE(ABORT, 'trials is append-only'); END"
        )


def downgrade() -> None:
    """Drop the count."""
    op.drop_table("trials")

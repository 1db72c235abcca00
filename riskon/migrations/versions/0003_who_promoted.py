"""Add to the history of champions who promoted each, so that a loser of two can be told by whom.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; who promoted before is not known."""
    op.add_column("champions", sa.Column("promoted_by", sa.String(256)))


def downgrade() -> None:
    """Forget who it was."""
    op.drop_column("champions", "promoted_by")

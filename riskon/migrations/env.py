"""Run migrations on the connection, and in the transaction, of :func:`riskon.database.migrate`."""

from __future__ import annotations

from alembic import context

from riskon.database import VERSION_TABLE
from serving import champions, ledger, monitoring_report, outcomes, runs  # noqa: F401 - tables
from serving.database import metadata
from sources.store import manifest
from training import trials

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[metadata, manifest.metadata, trials.metadata],
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()

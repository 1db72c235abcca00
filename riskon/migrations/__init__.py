"""The migrations of the database, one linear tree, run by :func:`riskon.database.migrate`."""

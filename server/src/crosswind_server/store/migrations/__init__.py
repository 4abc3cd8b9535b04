"""Alembic's environment and revisions. What runs them is `crosswind_server.store.migration`."""

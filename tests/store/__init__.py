"""One suite for the store, on real SQLite and real PostgreSQL."""

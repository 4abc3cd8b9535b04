"""SQL, its schema and migrations. No rules: what may happen is decided in `domain`."""

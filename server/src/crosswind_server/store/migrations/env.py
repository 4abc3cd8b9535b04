"""Runs revisions on the connection, and in the transaction, that the caller hands over."""

from alembic import context

from crosswind_server.store.migration import alembic_version, schema_admission
from crosswind_server.store.schema import metadata

_BOOKKEEPING = {alembic_version.name, schema_admission.name}

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    include_name=lambda name, type_, _: not (type_ == "table" and name in _BOOKKEEPING),
)
context.run_migrations()

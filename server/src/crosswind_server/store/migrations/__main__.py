"""Write the next revision from the difference between `schema` and the revisions so far, for a person to check.

    python -m crosswind_server.store.migrations "Add priorities to pools"

Before the first release, delete `0001_initial.py` and run it with "initial" instead of adding revisions.
"""

from __future__ import annotations

import sys
from typing import Any

from alembic import command
from alembic.operations.ops import CreateIndexOp, CreateTableOp, MigrateOperation, UpgradeOps

from crosswind_server.store.driver import driver_for
from crosswind_server.store.migration import alembic_config, known_revisions
from crosswind_server.store.schema import metadata


def main(message: str) -> None:
    """Write the revision and print where it is."""
    driver = driver_for("sqlite://", create=True)
    with driver.connect(writing=True) as connection:
        config = alembic_config(connection)
        number = f"{len(known_revisions()) + 1:04}"
        if not known_revisions():
            command.revision(
                config, message, autogenerate=True, rev_id=number, process_revision_directives=_create_everything
            )
        else:
            command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=number)


def _create_everything(_context: object, _revision: object, directives: list[Any]) -> None:
    """Take the whole schema as it is: the comparison would pass over indexes of expressions."""
    operations: list[MigrateOperation] = []
    for table in metadata.sorted_tables:
        operations.append(CreateTableOp.from_table(table))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        operations += [CreateIndexOp.from_index(index) for index in indexes]
    directives[0].upgrade_ops = UpgradeOps(operations)


if __name__ == "__main__":
    main(sys.argv[1])

"""What can be wrong with the database as a whole, as opposed to with one request.

Refusals of a request belong to the domain and pass through the store untouched.

    StoreError
    |-- StoreUnavailable      the database cannot be used now; the call may be repeated later
    |-- DatabaseUrlInvalid    the address is not one of a database that the server can use
    |-- DatabaseInUse         another server already works on this SQLite file
    |-- DatabaseNotMigrated   the schema is missing or older than this server
    `-- DatabaseTooNew        the schema is newer than this server, and does not admit it
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of everything that the store itself raises."""


class StoreUnavailable(StoreError):
    """The database is away, full, locked, or a commit's outcome is unknown. The caller repeats its call later.

    A write that was answered so may nevertheless have been committed: what it does must be safe to repeat.
    """


class DatabaseUrlInvalid(StoreError):
    """The database address cannot be understood, or names something that is not a database."""


class DatabaseInUse(StoreError):
    """A second server wants the SQLite file that another one holds."""


class DatabaseNotMigrated(StoreError):
    """The database has no schema, or an older one, and the caller did not allow it to be changed."""


class DatabaseTooNew(StoreError):
    """The database was migrated by a newer server whose schema no longer admits this one."""

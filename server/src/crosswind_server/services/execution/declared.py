"""The variables and connections that a task declared, opened for its start. [AUTH-1]"""

from __future__ import annotations

from collections.abc import Sequence

from crosswind_server.services.access.connections import read_connections
from crosswind_server.services.access.sealing import Sealer
from crosswind_server.services.access.variables import read_variables
from crosswind_server.services.execution.contexts import Declared, DeclaredConnection, DeclaredRequest, DeclaredVariable
from crosswind_server.store.unit_of_work import UnitOfWork


class SealedValues:
    """Reads declared values for `services.contexts`; those that are missing or not granted are left out.

    Args:
        sealer: opens the values.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def read(self, uow: UnitOfWork, requests: Sequence[DeclaredRequest]) -> Sequence[Declared]:
        """One answer a request, in their order."""
        return [self._read(uow, request) for request in requests]

    def _read(self, uow: UnitOfWork, request: DeclaredRequest) -> Declared:
        keys = [key for key in request.variables if request.access.grants_variable(key)]
        ids = [each for each in request.connections if request.access.grants_connection(each)]
        return Declared(
            variables=tuple(
                DeclaredVariable(key=each.key, value=each.value or "", public=each.public)
                for each in read_variables(uow, self._sealer, request.team, keys)
            ),
            connections=tuple(
                DeclaredConnection(
                    connection_id=each.connection_id,
                    conn_type=each.conn_type,
                    host=each.host,
                    port=each.port,
                    schema=each.schema,
                    login=each.login,
                    password=each.password or "",
                    extra_json=each.extra_json or "",
                    description=each.description,
                )
                for each in read_connections(uow, self._sealer, request.team, ids)
            ),
        )

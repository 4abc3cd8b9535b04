"""VariableService and ConnectionService."""

from __future__ import annotations

from crosswind.control.v1 import connections_pb2, connections_pb2_grpc, variables_pb2, variables_pb2_grpc
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.authorisation import require_operator
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import change, read_page, required, timestamp
from crosswind_server.services.access import connections, variables
from crosswind_server.services.dependencies import Services, UnitOfWork


class VariableServicer(variables_pb2_grpc.VariableServiceServicer):
    """Variables for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListVariables(
        self, request: variables_pb2.ListVariablesRequest, context: ServicerContext
    ) -> variables_pb2.ListVariablesResponse:
        team, sealer = caller().team, self._services.sealer
        page = read_page(request, team)
        after = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: variables.list_variables(
                uow, sealer, team, prefix=request.key_prefix, after_key=after, limit=page.limit
            )
        )
        shown, token = page.split(rows, lambda row: [row.key])
        return variables_pb2.ListVariablesResponse(variables=map(variable_message, shown), next_page_token=token)

    async def GetVariable(
        self, request: variables_pb2.GetVariableRequest, context: ServicerContext
    ) -> variables_pb2.GetVariableResponse:
        who, sealer, key = caller(), self._services.sealer, required(request.key, "key")
        found = await self._services.store.read(lambda uow: variables.get_variable(uow, sealer, who.team, key))
        if not found.public:
            require_operator(who, f"Reading the secret variable '{key}'")
        return variables_pb2.GetVariableResponse(variable=variable_message(found))

    async def SetVariable(
        self, request: variables_pb2.SetVariableRequest, context: ServicerContext
    ) -> variables_pb2.SetVariableResponse:
        team, sealer, key = caller().team, self._services.sealer, required(request.key, "key")

        def act(uow: UnitOfWork) -> variables_pb2.SetVariableResponse:
            variable, created = variables.set_variable(
                uow,
                sealer,
                team,
                key=key,
                value=request.value if request.HasField("value") else None,
                public=request.public if request.HasField("public") else None,
                description=request.description if request.HasField("description") else None,
            )
            return variables_pb2.SetVariableResponse(variable=variable_message(variable), created=created)

        return await change(self._services, request, variables_pb2.SetVariableResponse, act)

    async def DeleteVariable(
        self, request: variables_pb2.DeleteVariableRequest, context: ServicerContext
    ) -> variables_pb2.DeleteVariableResponse:
        team, key = caller().team, required(request.key, "key")

        def act(uow: UnitOfWork) -> variables_pb2.DeleteVariableResponse:
            if not variables.delete_variable(uow, team, key):
                raise variables.not_found(team, key)
            return variables_pb2.DeleteVariableResponse()

        return await change(self._services, request, variables_pb2.DeleteVariableResponse, act)


class ConnectionServicer(connections_pb2_grpc.ConnectionServiceServicer):
    """Connections for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListConnections(
        self, request: connections_pb2.ListConnectionsRequest, context: ServicerContext
    ) -> connections_pb2.ListConnectionsResponse:
        team, sealer = caller().team, self._services.sealer
        page = read_page(request, team)
        after = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: connections.list_connections(
                uow, sealer, team, conn_type=request.conn_type, after_id=after, limit=page.limit
            )
        )
        shown, token = page.split(rows, lambda row: [row.connection_id])
        return connections_pb2.ListConnectionsResponse(
            connections=map(connection_message, shown), next_page_token=token
        )

    async def GetConnection(
        self, request: connections_pb2.GetConnectionRequest, context: ServicerContext
    ) -> connections_pb2.GetConnectionResponse:
        team, sealer = caller().team, self._services.sealer
        connection_id = required(request.connection_id, "connection_id")
        found = await self._services.store.read(
            lambda uow: connections.get_connection(uow, sealer, team, connection_id)
        )
        return connections_pb2.GetConnectionResponse(connection=connection_message(found))

    async def SetConnection(
        self, request: connections_pb2.SetConnectionRequest, context: ServicerContext
    ) -> connections_pb2.SetConnectionResponse:
        team, sealer, wanted = caller().team, self._services.sealer, connection_of(request.connection)

        def act(uow: UnitOfWork) -> connections_pb2.SetConnectionResponse:
            connection, created = connections.set_connection(uow, sealer, team, wanted)
            return connections_pb2.SetConnectionResponse(connection=connection_message(connection), created=created)

        return await change(self._services, request, connections_pb2.SetConnectionResponse, act)

    async def DeleteConnection(
        self, request: connections_pb2.DeleteConnectionRequest, context: ServicerContext
    ) -> connections_pb2.DeleteConnectionResponse:
        team, connection_id = caller().team, required(request.connection_id, "connection_id")

        def act(uow: UnitOfWork) -> connections_pb2.DeleteConnectionResponse:
            connections.delete_connection(uow, team, connection_id)
            return connections_pb2.DeleteConnectionResponse()

        return await change(self._services, request, connections_pb2.DeleteConnectionResponse, act)


def variable_message(variable: variables.Variable) -> variables_pb2.Variable:
    """A variable as people see it."""
    return variables_pb2.Variable(
        key=variable.key,
        value=variable.value,
        public=variable.public,
        description=variable.description,
        create_time=timestamp(variable.created_us),
        update_time=timestamp(variable.updated_us),
    )


def connection_message(connection: connections.Connection) -> connections_pb2.Connection:
    """A connection as people see it."""
    return connections_pb2.Connection(
        connection_id=connection.connection_id,
        conn_type=connection.conn_type,
        host=connection.host,
        port=connection.port,
        schema=connection.schema,
        login=connection.login,
        password=connection.password,
        extra_json=connection.extra_json,
        description=connection.description,
        has_password=connection.has_password,
        has_extra=connection.has_extra,
        create_time=timestamp(connection.created_us),
        update_time=timestamp(connection.updated_us),
    )


def connection_of(message: connections_pb2.Connection) -> connections.Connection:
    """A connection as a change wants it."""
    return connections.Connection(
        connection_id=message.connection_id,
        conn_type=message.conn_type,
        host=message.host,
        port=message.port if message.HasField("port") else None,
        schema=message.schema,
        login=message.login,
        password=message.password if message.HasField("password") else None,
        extra_json=message.extra_json if message.HasField("extra_json") else None,
        description=message.description,
    )

"""Rows as records are what was written, also where a statement is executed often enough to be prepared."""

from dataclasses import replace

from crosswind_server.store import connections, variables
from crosswind_server.store.connections import ConnectionRow
from crosswind_server.store.group_commit import each
from crosswind_server.store.variables import VariableRow
from tests.store.flow import TEAM, Flow

VARIABLE = VariableRow(key="k", value_sealed=b"\x00\xff", public=True, description="", created_time=1, updated_time=2)
CONNECTION = ConnectionRow(
    connection_id="c",
    conn_type="http",
    host="h",
    port=None,
    schema="",
    login="",
    secrets_sealed=b"\x00\xff",
    description="",
    created_time=1,
    updated_time=2,
)


def test_a_record_is_read_as_it_was_written(flow: Flow):
    other = replace(CONNECTION, connection_id="d", port=1)

    def write(uow, _):
        variables.put_variable(uow, TEAM, VARIABLE)
        for row in (CONNECTION, other):
            connections.put_connection(uow, TEAM, row)

    flow.store.write_blocking(each(write), None)
    for _ in range(5):
        assert flow.store.read_blocking(lambda uow: variables.get_variables(uow, TEAM, ["k", "none"])) == [VARIABLE]
        read = flow.store.read_blocking(lambda uow: connections.get_connections(uow, TEAM, ["d", "c"]))
        assert sorted(read, key=lambda row: row.connection_id) == [CONNECTION, other]
        listed = flow.store.read_blocking(
            lambda uow: variables.list_variables(uow, TEAM, prefix="", after_key=None, limit=9)
        )
        assert (listed, type(listed[0].value_sealed)) == ([VARIABLE], bytes)

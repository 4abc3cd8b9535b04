"""TaskService: what running tasks ask, forwarded by their workers under the lease of their attempt. [AUTH-1]

Every method enters through `attempt_access.enter` in the transaction that answers it, so a revoked lease ends at once
whatever it could reach.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from google.protobuf.message import Message

from crosswind.execution.v1 import lease_pb2, task_service_pb2_grpc, xcom_pb2
from crosswind.execution.v1 import task_service_pb2 as messages
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server import manifests
from crosswind_server.domain.arguments import RETURN_VALUE, StoredValue
from crosswind_server.domain.states import RunState
from crosswind_server.rpc.authentication import attempt
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.control_runs import checked_run_id
from crosswind_server.rpc.messages import Page, invalid, microseconds, read_page, required, timestamp
from crosswind_server.rpc.task_assets import AssetCalls
from crosswind_server.rpc.task_door import run_of
from crosswind_server.rpc.task_state import StateCalls
from crosswind_server.services.access import connections, variables
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.dependencies import UnitOfWork
from crosswind_server.services.execution import xcom_reads
from crosswind_server.services.execution.attempt_access import AttemptScope
from crosswind_server.services.execution.xcom_reads import XComName
from crosswind_server.services.listing import input_listing, run_listing
from crosswind_server.services.listing.run_listing import ListedRun
from crosswind_server.services.runs.runs import TriggerRun

M = TypeVar("M", bound=Message)
R = TypeVar("R")

_DEFAULT_SLICE = 1_000
_LARGEST_SLICE = 100_000


class TaskServicer(AssetCalls, StateCalls, task_service_pb2_grpc.TaskServiceServicer):
    """What running tasks ask."""

    # --- variables and connections ------------------------------------------------------------------------------------

    async def GetVariable(
        self, request: messages.GetVariableRequest, context: ServicerContext
    ) -> messages.GetVariableResponse:
        key = required(request.key, "key")

        def read(uow: UnitOfWork, scope: AttemptScope) -> variables.Variable:
            scope.check_variable(key)
            return variables.get_variable(uow, self._services.sealer, scope.team, key)

        found = await self._read(read)
        return messages.GetVariableResponse(
            variable=lease_pb2.Variable(key=found.key, value=found.value or "", public=found.public)
        )

    async def SetVariable(
        self, request: messages.SetVariableRequest, context: ServicerContext
    ) -> messages.SetVariableResponse:
        key = required(request.key, "key")

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.SetVariableResponse:
            scope.check_variable(key)
            variables.set_variable(
                uow,
                self._services.sealer,
                scope.team,
                key=key,
                value=request.value,
                public=request.public if request.HasField("public") else None,
                description=request.description if request.HasField("description") else None,
            )
            return messages.SetVariableResponse()

        return await self._change(request, messages.SetVariableResponse, act)

    async def DeleteVariable(
        self, request: messages.DeleteVariableRequest, context: ServicerContext
    ) -> messages.DeleteVariableResponse:
        key = required(request.key, "key")

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.DeleteVariableResponse:
            scope.check_variable(key)
            return messages.DeleteVariableResponse(existed=variables.delete_variable(uow, scope.team, key))

        return await self._change(request, messages.DeleteVariableResponse, act)

    async def GetConnection(
        self, request: messages.GetConnectionRequest, context: ServicerContext
    ) -> messages.GetConnectionResponse:
        connection_id = required(request.connection_id, "connection_id")

        def read(uow: UnitOfWork, scope: AttemptScope) -> connections.Connection:
            scope.check_connection(connection_id)
            return connections.get_connection(uow, self._services.sealer, scope.team, connection_id)

        found = await self._read(read)
        return messages.GetConnectionResponse(
            connection=lease_pb2.Connection(
                connection_id=found.connection_id,
                conn_type=found.conn_type,
                host=found.host,
                port=found.port,
                schema=found.schema,
                login=found.login,
                password=found.password or "",
                extra_json=found.extra_json or "",
                description=found.description,
            )
        )

    # --- XComs --------------------------------------------------------------------------------------------------------

    async def GetXCom(self, request: messages.GetXComRequest, context: ServicerContext) -> messages.GetXComResponse:
        prior = request.include_prior_dates

        def read(uow: UnitOfWork, scope: AttemptScope) -> Any:
            if prior and request.key.HasField("run_id") and request.key.run_id != scope.attempt.run_id:
                raise invalid("key.run_id", "`include_prior_dates` begins with the caller's run; leave `run_id` out.")
            return xcom_reads.read_whole(uow, self._find(uow, scope, request.key, prior=prior))

        value = await self._read(read)
        if isinstance(value, StoredValue):
            return messages.GetXComResponse(value=manifests.payload_of(value))
        return messages.GetXComResponse(list=lease_pb2.PayloadList(payloads=map(_payload_or_none, value)))

    async def GetXComItem(
        self, request: messages.GetXComItemRequest, context: ServicerContext
    ) -> messages.GetXComItemResponse:
        value = await self._read(
            lambda uow, scope: xcom_reads.read_item(uow, self._find(uow, scope, request.key), request.index)
        )
        return messages.GetXComItemResponse(value=manifests.payload_of(value))

    async def SliceXCom(
        self, request: messages.SliceXComRequest, context: ServicerContext
    ) -> messages.SliceXComResponse:
        limit = min(request.limit, _LARGEST_SLICE) if request.HasField("limit") else _DEFAULT_SLICE

        def read(uow: UnitOfWork, scope: AttemptScope) -> tuple[Any, int]:
            found = self._find(uow, scope, request.key)
            return xcom_reads.read_range(uow, found, start=request.start, limit=limit), found.size or 0

        values, total = await self._read(read)
        return messages.SliceXComResponse(values=map(_payload_or_none, values), total_size=total)

    async def SetXCom(self, request: messages.SetXComRequest, context: ServicerContext) -> messages.SetXComResponse:
        if not request.HasField("value"):
            raise invalid("value", "`value` is missing; give it.")
        key, value = required(request.key, "key"), manifests.value_of(request.value)

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.SetXComResponse:
            own = scope.attempt
            xcom_reads.write(
                uow, run_key=own.run_key, task_id=own.task_id, map_index=own.map_index, key=key, value=value
            )
            return messages.SetXComResponse()

        return await self._change(request, messages.SetXComResponse, act)

    async def DeleteXCom(
        self, request: messages.DeleteXComRequest, context: ServicerContext
    ) -> messages.DeleteXComResponse:
        key = required(request.key, "key")

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.DeleteXComResponse:
            own = scope.attempt
            existed = xcom_reads.remove(uow, run_key=own.run_key, task_id=own.task_id, map_index=own.map_index, key=key)
            return messages.DeleteXComResponse(existed=existed)

        return await self._change(request, messages.DeleteXComResponse, act)

    async def ListXComs(
        self, request: messages.ListXComsRequest, context: ServicerContext
    ) -> messages.ListXComsResponse:
        page = read_page(request, attempt().team)
        wanted = request.filter
        after = None
        if page.after:
            task_id, map_index, key = page.after
            after = (str(task_id), int(map_index or 0), str(key))

        def read(uow: UnitOfWork, scope: AttemptScope) -> list[xcom_pb2.XComInfo]:
            dag_id, run_id = run_of(wanted, scope)
            scope.check_run(dag_id, run_id)
            run = run_listing.find_run(uow, scope.team, dag_id, run_id)
            rows = xcom_reads.list_xcoms(
                uow,
                run.id,
                task_id=wanted.task_id if wanted.HasField("task_id") else None,
                map_index=wanted.map_index if wanted.HasField("map_index") else None,
                key=wanted.key if wanted.HasField("key") else None,
                after=after,
                limit=page.limit,
            )
            return [_xcom_info(dag_id, run_id, row) for row in rows]

        found = await self._read(read)
        shown, token = page.split(
            found,
            lambda each: [each.key.task_id, each.key.map_index if each.key.HasField("map_index") else -1, each.key.key],
        )
        return messages.ListXComsResponse(xcoms=shown, next_page_token=token)

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def TriggerDagRun(
        self, request: messages.TriggerDagRunRequest, context: ServicerContext
    ) -> messages.TriggerDagRunResponse:
        dag_id, run_id = required(request.dag_id, "dag_id"), checked_run_id(request.run_id)
        logical = microseconds(request.logical_time, "logical_time") if request.HasField("logical_time") else None

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.TriggerDagRunResponse:
            scope.check_dag(dag_id)
            dag_listing.check_not_paused(uow, scope.team, dag_id)
            run = self._services.heart.runs.trigger(
                uow,
                TriggerRun(
                    team=scope.team,
                    dag_id=dag_id,
                    run_id=run_id,
                    conf=request.conf.SerializeToString() if request.HasField("conf") else None,
                    triggered_by=scope.task_subject,
                    logical_time=logical,
                ),
            )
            return messages.TriggerDagRunResponse(run_id=run.run_id)

        return await self._change(request, messages.TriggerDagRunResponse, act)

    async def GetDagRun(
        self, request: messages.GetDagRunRequest, context: ServicerContext
    ) -> messages.GetDagRunResponse:
        def read(uow: UnitOfWork, scope: AttemptScope) -> ListedRun:
            dag_id, run_id = run_of(request, scope)
            scope.check_run(dag_id, run_id)
            return run_listing.get_run(uow, scope.team, dag_id, run_id)

        run = await self._read(read)
        return messages.GetDagRunResponse(run=_run_context(run), state=run.state)

    async def GetPreviousDagRun(
        self, request: messages.GetPreviousDagRunRequest, context: ServicerContext
    ) -> messages.GetPreviousDagRunResponse:
        state = request.state if request.HasField("state") else None
        if state is not None and state not in {each.value for each in RunState}:
            raise invalid("state", f"`state` '{state[:40]}' is no state of a run; use one such as 'succeeded'.")

        def read(uow: UnitOfWork, scope: AttemptScope) -> ListedRun | None:
            own = scope.attempt
            return run_listing.find_previous(uow, scope.team, own.dag_id, own.run_id, state=state)

        run = await self._read(read)
        if run is None:
            return messages.GetPreviousDagRunResponse()
        return messages.GetPreviousDagRunResponse(run=_run_context(run), state=run.state)

    async def GetInputResponse(
        self, request: messages.GetInputResponseRequest, context: ServicerContext
    ) -> messages.GetInputResponseResponse:
        row = await self._read(lambda uow, scope: input_listing.newest_answer(uow, scope.attempt.task_instance_id))
        if row is None:
            return messages.GetInputResponseResponse()
        return messages.GetInputResponseResponse(
            answered=True,
            chosen_options=json.loads(row.chosen_options_json),
            fields=Payload.FromString(row.fields_message) if row.fields_message is not None else None,
            respondent=row.respondent or "",
            answer_time=timestamp(row.answer_time),
        )

    async def GetTaskStates(
        self, request: messages.GetTaskStatesRequest, context: ServicerContext
    ) -> messages.GetTaskStatesResponse:
        page = read_page(request, attempt().team)
        if not request.page_size:
            page = Page(size=1_000, after=page.after, scope=page.scope)
        after = (int(page.after[0] or 0), int(page.after[1] or 0)) if page.after else None

        def read(uow: UnitOfWork, scope: AttemptScope) -> tuple[str, str, Any]:
            dag_id, run_id = run_of(request, scope)
            scope.check_run(dag_id, run_id)
            run = run_listing.find_run(uow, scope.team, dag_id, run_id)
            rows = run_listing.list_instance_states(
                uow, run.id, task_ids=request.task_ids, after=after, limit=page.limit
            )
            return dag_id, run_id, rows

        dag_id, run_id, rows = await self._read(read)
        shown, token = page.split(rows, lambda row: [row.task_index, row.map_index])
        return messages.GetTaskStatesResponse(
            instances=[
                messages.GetTaskStatesResponse.InstanceState(
                    key=lease_pb2.TaskInstanceKey(
                        dag_id=dag_id,
                        run_id=run_id,
                        task_id=row.task_id,
                        map_index=row.map_index if row.map_index >= 0 else None,
                    ),
                    state=row.state,
                )
                for row in shown
            ],
            next_page_token=token,
        )

    def _find(
        self, uow: UnitOfWork, scope: AttemptScope, key: xcom_pb2.XComKey, *, prior: bool = False
    ) -> xcom_reads.Found:
        dag_id, run_id = run_of(key, scope)
        scope.check_run(dag_id, run_id)
        own = scope.attempt
        task_id = key.task_id if key.HasField("task_id") else own.task_id
        map_index = key.map_index if key.HasField("map_index") else None
        if not key.HasField("task_id") and map_index is None:
            # Its own: a mapped instance means itself, not all instances of its task.
            map_index = own.map_index
        name = XComName(
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=map_index,
            key=key.key if key.HasField("key") else RETURN_VALUE,
        )
        if prior:
            return xcom_reads.find_latest(uow, self._plans, scope.team, name, own_run_key=own.run_key)
        return xcom_reads.find(uow, self._plans, scope.team, name)


def _payload_or_none(value: StoredValue | None) -> Payload:
    return Payload() if value is None else manifests.payload_of(value)


def _xcom_info(dag_id: str, run_id: str, row: Any) -> xcom_pb2.XComInfo:
    return xcom_pb2.XComInfo(
        key=xcom_pb2.XComKey(
            dag_id=dag_id,
            run_id=run_id,
            task_id=row.task_id,
            map_index=row.map_index if row.map_index >= 0 else None,
            key=row.key,
        ),
        encoding=row.encoding,
        size_bytes=row.size_bytes,
        item_count=row.item_count,
        write_time=timestamp(row.write_time),
    )


def _run_context(run: ListedRun) -> lease_pb2.RunContext:
    return lease_pb2.RunContext(
        dag_id=run.dag_id,
        run_id=run.run_id,
        dag_version_id=run.dag_version_id,
        conf=Payload.FromString(run.conf_message) if run.conf_message is not None else None,
        logical_time=timestamp(run.logical_us),
        data_interval_start_time=timestamp(run.interval_start_us),
        data_interval_end_time=timestamp(run.interval_end_us),
        start_time=timestamp(run.start_us),
        run_type=run.run_type,
        partition_key=run.partition_key,
    )

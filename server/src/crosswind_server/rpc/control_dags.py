"""DagService."""

from __future__ import annotations

from collections.abc import Callable

from crosswind.control.v1 import dags_pb2, dags_pb2_grpc
from crosswind.manifest.v1 import dag_pb2
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.dag_facts import facts_of
from crosswind_server.rpc.enums import run_state
from crosswind_server.rpc.messages import change, invalid, read_page, required, timestamp
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.catalog.dag_listing import DagFilter, ListedDag, ListedVersion
from crosswind_server.services.dependencies import Services, UnitOfWork


class DagServicer(dags_pb2_grpc.DagServiceServicer):
    """DAGs for people."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._versions = services.heart.plans.versions

    async def ListDags(self, request: dags_pb2.ListDagsRequest, context: ServicerContext) -> dags_pb2.ListDagsResponse:
        team = caller().team
        page = read_page(request, team)
        wanted = DagFilter(
            contains=request.dag_id_contains,
            paused=request.paused if request.HasField("paused") else None,
            bundle=request.bundle,
            include_removed=request.include_removed,
        )
        rows = await self._services.store.read(
            lambda uow: dag_listing.list_dags(
                uow,
                team,
                wanted,
                versions=self._versions,
                keep=_with_tags(frozenset(request.tags)) if request.tags else None,
                after_id=str(page.after[0]) if page.after else None,
                limit=page.limit,
            )
        )
        shown, token = page.split(rows, lambda row: [row.dag_id])
        return dags_pb2.ListDagsResponse(dags=map(dag_message, shown), next_page_token=token)

    async def GetDag(self, request: dags_pb2.GetDagRequest, context: ServicerContext) -> dags_pb2.GetDagResponse:
        team, dag_id = caller().team, required(request.dag_id, "dag_id")
        if request.dag_version_id and not request.include_manifest:
            raise invalid("dag_version_id", "`dag_version_id` chooses a manifest; set `include_manifest` too.")

        def read(uow: UnitOfWork) -> tuple[ListedDag, ListedVersion | None]:
            dag = dag_listing.get_dag(uow, self._versions, team, dag_id)
            if not request.dag_version_id:
                return dag, None
            return dag, dag_listing.get_version(uow, self._versions, team, dag_id, request.dag_version_id)

        dag, version = await self._services.store.read(read)
        response = dags_pb2.GetDagResponse(dag=dag_message(dag))
        if request.include_manifest:
            response.manifest.CopyFrom(dag_pb2.Dag.FromString(version.message if version else dag.message))
            response.manifest_dag_version_id = version.dag_version_id if version else dag.dag_version_id
        return response

    async def UpdateDag(
        self, request: dags_pb2.UpdateDagRequest, context: ServicerContext
    ) -> dags_pb2.UpdateDagResponse:
        team, dag_id = caller().team, required(request.dag_id, "dag_id")
        paused = request.paused if request.HasField("paused") else None

        def act(uow: UnitOfWork) -> dags_pb2.UpdateDagResponse:
            schedules = self._services.heart.schedules
            listed = dag_listing.pause_dag(uow, self._versions, schedules, team, dag_id, paused=paused)
            return dags_pb2.UpdateDagResponse(dag=dag_message(listed))

        return await change(self._services, request, dags_pb2.UpdateDagResponse, act)

    async def ListDagVersions(
        self, request: dags_pb2.ListDagVersionsRequest, context: ServicerContext
    ) -> dags_pb2.ListDagVersionsResponse:
        team, dag_id = caller().team, required(request.dag_id, "dag_id")
        page = read_page(request, team)
        before = int(page.after[0] or 0) if page.after else None
        rows = await self._services.store.read(
            lambda uow: dag_listing.list_versions(
                uow, self._versions, team, dag_id, before_number=before, limit=page.limit
            )
        )
        shown, token = page.split(rows, lambda row: [row.number])
        return dags_pb2.ListDagVersionsResponse(dag_versions=map(version_message, shown), next_page_token=token)

    async def GetDagVersion(
        self, request: dags_pb2.GetDagVersionRequest, context: ServicerContext
    ) -> dags_pb2.GetDagVersionResponse:
        team, dag_id = caller().team, required(request.dag_id, "dag_id")
        version_id = required(request.dag_version_id, "dag_version_id")
        version = await self._services.store.read(
            lambda uow: dag_listing.get_version(uow, self._versions, team, dag_id, version_id)
        )
        return dags_pb2.GetDagVersionResponse(
            dag_version=version_message(version), manifest=dag_pb2.Dag.FromString(version.message)
        )


def dag_message(dag: ListedDag) -> dags_pb2.Dag:
    """A DAG as people see it."""
    facts = facts_of(dag.dag_version_id, dag.message)
    return dags_pb2.Dag(
        dag_id=dag.dag_id,
        bundle=dag.bundle,
        bundle_version=dag.bundle_version,
        dag_version_id=dag.dag_version_id,
        description=facts.description,
        tags=facts.tags,
        owner=facts.owner,
        paused=dag.paused,
        schedule=facts.schedule,
        next_run_time=timestamp(dag.next_run_us),
        task_count=len(facts.tasks),
        languages=facts.languages,
        offered=dag.offered,
        latest_run_id=dag.latest_run_id,
        latest_run_state=run_state(dag.latest_run_state),
        active_run_count=dag.active_runs,
        create_time=timestamp(dag.created_us),
        update_time=timestamp(dag.updated_us),
        removed=not dag.active,
    )


def version_message(version: ListedVersion) -> dags_pb2.DagVersion:
    """A version of a DAG as people see it."""
    return dags_pb2.DagVersion(
        dag_id=version.dag_id,
        dag_version_id=version.dag_version_id,
        version_number=version.number,
        bundle=version.bundle,
        bundle_versions=version.bundle_versions,
        current=version.current,
        offered=version.offered,
        task_count=len(facts_of(version.dag_version_id, version.message).tasks),
        create_time=timestamp(version.created_us),
    )


def _with_tags(wanted: frozenset[str]) -> Callable[[str, bytes], bool]:
    return lambda version_id, message: wanted <= set(facts_of(version_id, message).tags)

"""WorkerAdminService and BundleCatalogService."""

from __future__ import annotations

import json

from crosswind.control.v1 import bundles_pb2, bundles_pb2_grpc, workers_pb2, workers_pb2_grpc
from crosswind.manifest.v1.bundle_pb2 import Sdk
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.enums import wanted, worker_state
from crosswind_server.rpc.messages import change, invalid, read_page, required, timestamp
from crosswind_server.rpc.worker_messages import role_messages
from crosswind_server.services.catalog import bundle_listing
from crosswind_server.services.catalog.bundle_listing import ListedBundle, ListedVersion
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.fleet import worker_listing
from crosswind_server.services.fleet.worker_listing import ListedWorker


class WorkerAdminServicer(workers_pb2_grpc.WorkerAdminServiceServicer):
    """Workers for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListWorkers(
        self, request: workers_pb2.ListWorkersRequest, context: ServicerContext
    ) -> workers_pb2.ListWorkersResponse:
        team = caller().team
        page = read_page(request, team)
        states = wanted("WorkerState", request.states, "states")
        after = None
        if page.after:
            name, registered, instance_id = page.after
            after = (str(name), int(registered or 0), str(instance_id))
        rows = await self._services.store.read(
            lambda uow: worker_listing.list_workers(
                uow,
                team,
                states=states,
                bundle=request.bundle,
                queue=request.queue,
                after=after,
                limit=page.limit,
            )
        )
        shown, token = page.split(rows, lambda each: [each.row.name, each.row.registered_time, each.row.instance_id])
        return workers_pb2.ListWorkersResponse(workers=map(worker_message, shown), next_page_token=token)

    async def GetWorker(
        self, request: workers_pb2.GetWorkerRequest, context: ServicerContext
    ) -> workers_pb2.GetWorkerResponse:
        team, name = caller().team, required(request.name, "name")
        found = await self._services.store.read(lambda uow: worker_listing.get_worker(uow, team, name))
        return workers_pb2.GetWorkerResponse(worker=worker_message(found))

    async def DrainWorker(
        self, request: workers_pb2.DrainWorkerRequest, context: ServicerContext
    ) -> workers_pb2.DrainWorkerResponse:
        team, name = caller().team, required(request.name, "name")

        def act(uow: UnitOfWork) -> workers_pb2.DrainWorkerResponse:
            return workers_pb2.DrainWorkerResponse(worker=worker_message(worker_listing.drain_worker(uow, team, name)))

        return await change(self._services, request, workers_pb2.DrainWorkerResponse, act)

    async def PauseWorker(
        self, request: workers_pb2.PauseWorkerRequest, context: ServicerContext
    ) -> workers_pb2.PauseWorkerResponse:
        team, name = caller().team, required(request.name, "name")
        if not request.HasField("paused"):
            raise invalid("paused", "`paused` is missing; give true or false.")

        def act(uow: UnitOfWork) -> workers_pb2.PauseWorkerResponse:
            listed = worker_listing.pause_worker(uow, team, name, paused=request.paused)
            return workers_pb2.PauseWorkerResponse(worker=worker_message(listed))

        return await change(self._services, request, workers_pb2.PauseWorkerResponse, act)

    async def MoveWorker(
        self, request: workers_pb2.MoveWorkerRequest, context: ServicerContext
    ) -> workers_pb2.MoveWorkerResponse:
        team, name = caller().team, required(request.name, "name")

        def act(uow: UnitOfWork) -> workers_pb2.MoveWorkerResponse:
            return workers_pb2.MoveWorkerResponse(worker=worker_message(worker_listing.move_worker(uow, team, name)))

        return await change(self._services, request, workers_pb2.MoveWorkerResponse, act)


class BundleCatalogServicer(bundles_pb2_grpc.BundleCatalogServiceServicer):
    """Bundles for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListBundles(
        self, request: bundles_pb2.ListBundlesRequest, context: ServicerContext
    ) -> bundles_pb2.ListBundlesResponse:
        team = caller().team
        page = read_page(request, team)
        after = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: bundle_listing.list_bundles(uow, team, after_name=after, limit=page.limit)
        )
        shown, token = page.split(rows, lambda each: [each.name])
        return bundles_pb2.ListBundlesResponse(bundles=map(bundle_message, shown), next_page_token=token)

    async def ListBundleVersions(
        self, request: bundles_pb2.ListBundleVersionsRequest, context: ServicerContext
    ) -> bundles_pb2.ListBundleVersionsResponse:
        team, name = caller().team, required(request.bundle, "bundle")
        page = read_page(request, team)
        before = (int(page.after[0] or 0), str(page.after[1])) if page.after else None
        rows = await self._services.store.read(
            lambda uow: bundle_listing.list_versions(uow, team, name, before=before, limit=page.limit)
        )
        shown, token = page.split(rows, lambda each: [each.row.created_time, each.row.version])
        return bundles_pb2.ListBundleVersionsResponse(
            bundle_versions=map(version_message, shown), next_page_token=token
        )

    async def SetCurrentBundleVersion(
        self, request: bundles_pb2.SetCurrentBundleVersionRequest, context: ServicerContext
    ) -> bundles_pb2.SetCurrentBundleVersionResponse:
        team, bundles = caller().team, self._services.heart.bundles
        name = required(request.bundle, "bundle")
        version = required(request.bundle_version, "bundle_version")

        def act(uow: UnitOfWork) -> bundles_pb2.SetCurrentBundleVersionResponse:
            bundles.set_current(uow, team=team, bundle=name, version=version)
            listed = bundle_listing.get_bundle(uow, team, name)
            return bundles_pb2.SetCurrentBundleVersionResponse(bundle=bundle_message(listed))

        return await change(self._services, request, bundles_pb2.SetCurrentBundleVersionResponse, act)


def worker_message(listed: ListedWorker) -> workers_pb2.Worker:
    """A worker instance as people see it."""
    row = listed.row
    return workers_pb2.Worker(
        name=row.name,
        instance_id=row.instance_id,
        state=worker_state(row.state),
        paused=row.paused,
        language=row.language,
        language_version=row.language_version,
        sdk_version=row.sdk_version,
        api_version=row.api_version,
        runtimes=json.loads(row.runtimes_json),
        roles=role_messages(json.loads(row.roles_json)),
        queues=json.loads(row.queues_json),
        slots=row.slots,
        used_slots=listed.used_slots,
        labels=json.loads(row.labels_json),
        bundles=[
            workers_pb2.Worker.OfferedBundle(bundle=bundle, bundle_version=version, current=current, api_version=spoken)
            for bundle, version, current, spoken in listed.bundles
        ],
        register_time=timestamp(row.registered_time),
        last_heartbeat_time=timestamp(row.last_heartbeat_time),
        host=row.host,
        address=row.address,
        process_id=row.process_id,
        memory_bytes=row.memory_bytes,
        load=row.load_percent / 100,
        pending_outcomes=row.pending_outcomes,
        moving=row.moving,
    )


def bundle_message(listed: ListedBundle) -> bundles_pb2.Bundle:
    """A bundle as people see it."""
    return bundles_pb2.Bundle(
        bundle=listed.name,
        owner=listed.owner,
        current_version=version_message(listed.current) if listed.current is not None else None,
        version_count=listed.version_count,
        create_time=timestamp(listed.created_us),
        update_time=timestamp(listed.updated_us),
    )


def version_message(listed: ListedVersion) -> bundles_pb2.BundleVersion:
    """A version of a bundle as people see it."""
    row = listed.row
    return bundles_pb2.BundleVersion(
        bundle=row.bundle,
        bundle_version=row.version,
        current=listed.current,
        sdk=Sdk(language=row.language, language_version=row.language_version, version=row.sdk_version),
        api_version=row.api_version,
        dags=[
            bundles_pb2.BundleVersion.DagVersionReference(dag_id=dag_id, dag_version_id=version_id)
            for dag_id, version_id in listed.dags
        ],
        offered_entry_points=listed.entry_points,
        problems=[
            bundles_pb2.BundleProblem(
                dag_id=problem.dag_id,
                source=problem.source,
                line=problem.line,
                reason=f"ERROR_REASON_{problem.reason}" if problem.reason is not None else None,
                message=problem.message,
            )
            for problem in listed.problems
        ],
        published_by=row.published_by,
        workers=listed.workers,
        create_time=timestamp(row.created_time),
    )

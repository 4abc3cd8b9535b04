"""WorkerService: what a worker says to the server. Decode, hand to a service, encode."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc

from crosswind.execution.v1 import worker_service_pb2 as messages
from crosswind.execution.v1 import worker_service_pb2_grpc
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.rpc import worker_messages as convert
from crosswind_server.rpc.authentication import api_version, caller
from crosswind_server.rpc.messages import invalid, required, timestamp, wait_seconds
from crosswind_server.services.access.callers import Caller, CallerKind
from crosswind_server.services.catalog.bundles import PublishBundle
from crosswind_server.services.dependencies import Services
from crosswind_server.services.execution.attempts import StartAttempt
from crosswind_server.services.execution.directives import MOVE_AWAY
from crosswind_server.services.execution.logs import AttemptChunks, LogResult, append_logs
from crosswind_server.services.execution.polling import PollWork
from crosswind_server.services.fleet.workers import Heartbeat, RegisterWorker
from crosswind_server.services.heart import Heart
from crosswind_server.timing import LIMITS

Context = grpc.aio.ServicerContext[Any, Any]

MAX_ATTEMPTS = 10_000


class WorkerServicer(worker_service_pb2_grpc.WorkerServiceServicer):
    """The methods of WorkerService, over one server's services."""

    def __init__(self, services: Services, heart: Heart) -> None:
        self._services = services
        self._store = services.store
        self._heart = heart
        # One object for all calls, so that calls which wait at the same time are answered together.
        self._append_logs = partial(append_logs, grace_us=heart.timing.lease_us)
        self._start = heart.attempts.start
        self._finish = heart.attempts.finish
        self._heartbeat = heart.workers.heartbeat

    async def Negotiate(self, request: messages.NegotiateRequest, context: Context) -> messages.NegotiateResponse:
        """What the server speaks and allows."""
        served = self._services.served
        return messages.NegotiateResponse(
            newest_api_version=str(served.newest),
            oldest_api_version=str(served.oldest),
            chosen_api_version=str(served.choose(request.api_versions) or ""),
            api_versions=map(str, served.versions),
            server_version=self._services.version,
            limits=convert.limits_message(LIMITS),
        )

    async def RegisterWorker(
        self, request: messages.RegisterWorkerRequest, context: Context
    ) -> messages.RegisterWorkerResponse:
        """Announces a worker instance."""
        who = caller()
        instance_id = convert.read_id(request.instance_id, "instance_id")
        previous = self._previous(request, who)
        if who.kind is CallerKind.WORKER and who.instance_id not in (instance_id, previous):
            raise Refused(
                Reason.PERMISSION_DENIED,
                "This worker token belongs to another instance; register with an enrolment token.",
                metadata={"instance_id": instance_id},
            )
        registered = await self._store.write(
            self._heart.register,
            RegisterWorker(
                caller=who,
                name=required(request.name, "name"),
                instance_id=instance_id,
                previous_instance_id=previous,
                held_attempt_ids=tuple(request.held_attempt_ids) if previous else (),
                language=required(request.sdk.language, "sdk.language")[:50],
                language_version=request.sdk.language_version[:50],
                sdk_version=request.sdk.version[:50],
                api_version=api_version(),
                runtimes=tuple(request.runtimes),
                queues=tuple(request.queues),
                slots=request.slots,
                labels=dict(request.labels),
                host=request.host,
                address=convert.read_peer(context.peer()),
                roles=convert.read_roles(request.roles),
                process_id=request.process_id,
                offers=tuple(convert.read_offer(offer) for offer in request.bundles),
            ),
        )
        token = registered.token
        return messages.RegisterWorkerResponse(
            worker_token=token.token if token is not None else "",
            token_expire_time=timestamp(token.caller.expires_us) if token is not None else None,
            timing=convert.timing_message(self._heart.timing),
            limits=convert.limits_message(LIMITS),
            offers=[convert.offer_result(result) for result in registered.offers],
        )

    def _previous(self, request: messages.RegisterWorkerRequest, who: Caller) -> str | None:
        """The instance whose state folder the worker holds, if its token proves it."""
        if not request.previous_instance_id:
            return None
        previous = convert.read_id(request.previous_instance_id, "previous_instance_id")
        if who.kind is CallerKind.WORKER and who.instance_id == previous:
            return previous
        if not request.previous_token:
            return None
        try:
            proven = self._services.verifier.verify(request.previous_token)
        except Refused as refused:
            if refused.reason is Reason.TOKEN_INVALID:
                raise invalid("previous_token", "`previous_token` is not one of this server's; leave it out.") from None
            # Past its grace, or revoked: it proves nothing any more, and the name is free or it is not.
            return None
        return previous if (proven.instance_id, proven.team) == (previous, who.team) else None

    async def PublishBundle(
        self, request: messages.PublishBundleRequest, context: Context
    ) -> messages.PublishBundleResponse:
        """Offers a version of a bundle."""
        who = self._worker(request.instance_id)
        result = await self._store.write(
            self._heart.publish,
            PublishBundle(
                caller=who,
                instance_id=request.instance_id,
                offer=convert.read_offer(request.offer),
                observed_change=request.observed_change,
                withdrawn=tuple((each.bundle, each.bundle_version) for each in request.withdrawn),
            ),
        )
        return messages.PublishBundleResponse(result=convert.offer_result(result))

    async def PollWork(self, request: messages.PollWorkRequest, context: Context) -> messages.PollWorkResponse:
        """Waits for work."""
        who = self._worker(request.instance_id)
        _check_count(request.held_attempt_ids, "held_attempt_ids")
        if request.HasField("max_leases") and request.max_leases < 0:
            raise invalid("max_leases", "`max_leases` is below 0; leave it out for as many as there are free slots.")
        work = await self._heart.farewell.poll(
            PollWork(
                caller=who,
                instance_id=request.instance_id,
                poll_number=request.poll_number,
                held_attempt_ids=tuple(request.held_attempt_ids),
                max_leases=request.max_leases if request.HasField("max_leases") else None,
                known_directives=request.known_directives,
            ),
            wait=wait_seconds(request.wait) if request.HasField("wait") else None,
        )
        return messages.PollWorkResponse(
            leases=[convert.lease_message(lease) for lease in work.leases],
            directives=[convert.directive_message(each, self._heart.timing) for each in work.directives],
            directives_digest=work.digest,
        )

    async def Heartbeat(self, request: messages.HeartbeatRequest, context: Context) -> messages.HeartbeatResponse:
        """Keeps a worker and its attempts alive."""
        who = self._worker(request.instance_id)
        _check_count(request.attempts, "attempts")
        heard = await self._store.write(
            self._heartbeat,
            Heartbeat(
                caller=who,
                instance_id=request.instance_id,
                attempts=tuple((ref.attempt_id, ref.lease) for ref in request.attempts),
                usage=convert.read_usage(request.usage),
            ),
        )
        told = list(heard.directives)
        if self._heart.farewell.is_news_for(request.instance_id):
            told.append(MOVE_AWAY)
        return messages.HeartbeatResponse(
            verdicts=[convert.VERDICTS[verdict] for verdict in heard.verdicts],
            directives=[convert.directive_message(each, self._heart.timing) for each in told],
            worker_token=heard.token.token if heard.token is not None else None,
        )

    async def StartAttempt(
        self, request: messages.StartAttemptRequest, context: Context
    ) -> messages.StartAttemptResponse:
        """Starts an attempt."""
        self._worker(request.instance_id)
        attempt_id, lease = convert.read_ref(request.attempt)
        started = await self._store.write(
            self._start,
            StartAttempt(attempt_id=attempt_id, lease=lease, instance_id=request.instance_id),
            patient=self._heart.polling.is_busy(request.instance_id),
        )
        return messages.StartAttemptResponse(
            context=convert.context_message(started), lease_duration=convert.span(self._heart.timing.lease_us)
        )

    async def FinishAttempt(
        self, request: messages.FinishAttemptRequest, context: Context
    ) -> messages.FinishAttemptResponse:
        """Ends an attempt; the rest of its log rides along and is stored in the same transaction."""
        finished = await self._end(request)
        self._heart.farewell.note_end()
        return finished

    async def _end(self, request: messages.FinishAttemptRequest) -> messages.FinishAttemptResponse:
        who = caller()
        command = convert.read_finish(request)
        patient = self._heart.polling.is_busy(who.instance_id or "")
        if not request.log_chunks or command.log_end is not None:
            finished = await self._store.write(self._finish, command, patient=patient)
            return messages.FinishAttemptResponse(
                recorded_as_cancelled=finished.recorded_as_cancelled, next_log_sequence=finished.next_log_sequence
            )
        logs = (self._chunks(request.attempt.attempt_id, request.attempt.lease, request.log_chunks, who),)
        finished, (logged,) = await asyncio.gather(
            self._store.write(self._finish, command, patient=patient),
            self._store.write(self._append_logs, logs, patient=patient),
        )
        return messages.FinishAttemptResponse(
            recorded_as_cancelled=finished.recorded_as_cancelled,
            next_log_sequence=max(finished.next_log_sequence, logged.next_sequence),
        )

    async def AppendLogs(self, request: messages.AppendLogsRequest, context: Context) -> messages.AppendLogsResponse:
        """Stores log chunks."""
        who = caller()
        chunks = tuple(
            self._chunks(logs.attempt.attempt_id, logs.attempt.lease, logs.chunks, who) for logs in request.logs
        )
        results: Sequence[LogResult] = await self._store.write(self._append_logs, chunks) if chunks else ()
        return messages.AppendLogsResponse(
            results=[messages.LogResult(next_sequence=each.next_sequence, closed=each.closed) for each in results]
        )

    async def DeregisterWorker(
        self, request: messages.DeregisterWorkerRequest, context: Context
    ) -> messages.DeregisterWorkerResponse:
        """Lets a worker go."""
        who = self._worker(request.instance_id)
        await self._store.write(self._heart.deregister, (who.team, request.instance_id))
        return messages.DeregisterWorkerResponse()

    @staticmethod
    def _worker(instance_id: str) -> Caller:
        """The caller, who must be the instance that the message names. Raises `Refused`: PERMISSION_DENIED."""
        who = caller()
        if who.instance_id != instance_id:
            raise Refused(
                Reason.PERMISSION_DENIED,
                "This worker token belongs to another instance than the message names; use the token that "
                "RegisterWorker answered.",
                metadata={"instance_id": instance_id},
            )
        return who

    @staticmethod
    def _chunks(attempt_id: str, lease: bytes, chunks: Sequence[Any], who: Caller) -> AttemptChunks:
        return AttemptChunks(
            attempt_id=attempt_id,
            lease=lease,
            instance_id=who.instance_id or "",
            team=who.team,
            chunks=convert.read_chunks(chunks),
        )


def _check_count(named: Sequence[object], field: str) -> None:
    if len(named) > MAX_ATTEMPTS:
        raise invalid(field, f"`{field}` holds at most {MAX_ATTEMPTS:,} attempts, not {len(named):,}.")

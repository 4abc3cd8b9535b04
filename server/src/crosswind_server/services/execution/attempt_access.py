"""What the call of a task may reach: the check of its lease, and of its DAG's grants. [AUTH-1]

Here belongs the door through which every call of TaskService comes, in the transaction that answers it. What is read or
written behind it belongs to the service of that noun.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import AccessPlan
from crosswind_server.domain.states import AttemptState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.store.attempt_scope import AttemptRow, get_attempt
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptProof:
    """The attempt that a call names, and who forwards it."""

    attempt_id: str
    lease: bytes
    team: str
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptScope:
    """A live attempt under its valid lease, within one transaction."""

    attempt: AttemptRow
    access: AccessPlan

    @property
    def team(self) -> str:
        """The team of the attempt's run."""
        return self.attempt.team

    @property
    def task_subject(self) -> str:
        """How the task is named as the maker of something, such as a run."""
        return f"task {self.attempt.dag_id}/{self.attempt.run_id}/{self.attempt.task_id}"

    def check_variable(self, key: str) -> None:
        """Raises `Refused`: PERMISSION_DENIED where the DAG is strict and does not name the variable."""
        if not self.access.grants_variable(key):
            raise self._denied("variable", key, "variables")

    def check_connection(self, connection_id: str) -> None:
        """Raises `Refused`: PERMISSION_DENIED where the DAG is strict and does not name the connection."""
        if not self.access.grants_connection(connection_id):
            raise self._denied("connection", connection_id, "connections")

    def check_dag(self, dag_id: str) -> None:
        """Raises `Refused`: PERMISSION_DENIED where the DAG is strict and does not name this one."""
        if not self.access.grants_dag(dag_id):
            raise self._denied("DAG", dag_id, "dags")

    def check_run(self, dag_id: str, run_id: str) -> None:
        """Raises `Refused`: PERMISSION_DENIED where the DAG is strict and the run is neither its own nor granted."""
        if (dag_id, run_id) != (self.attempt.dag_id, self.attempt.run_id):
            self.check_dag(dag_id)

    def _denied(self, what: str, name: str, field: str) -> Refused:
        return Refused(
            Reason.PERMISSION_DENIED,
            f"The DAG '{self.attempt.dag_id}' is strict and does not grant the {what} '{name}'; name it in the"
            f" {field} of the DAG's access.",
            metadata={"dag_id": self.attempt.dag_id, what.lower(): name},
        )


def enter(uow: UnitOfWork, plans: PlanCache, proof: AttemptProof, *, writing: bool) -> AttemptScope:
    """Check that an attempt may ask.

    Args:
        plans: of this server.
        proof: what the call says.
        writing: True in a transaction that changes something: the attempt cannot end before it does.

    Raises:
        Refused: UNKNOWN_ATTEMPT, STALE_LEASE, ATTEMPT_CANCELLING or ATTEMPT_NOT_STARTED.
    """
    row = get_attempt(uow, proof.attempt_id, lock=writing)
    metadata = {"attempt_id": proof.attempt_id}
    if row is None or row.team != proof.team:
        raise Refused(
            Reason.UNKNOWN_ATTEMPT, f"There is no attempt {proof.attempt_id}; stop the task.", metadata=metadata
        )
    state = AttemptState(row.state)
    valid = row.instance_id == proof.instance_id and hmac.compare_digest(row.lease, proof.lease)
    if not valid or state not in (AttemptState.RUNNING, AttemptState.ASSIGNED, AttemptState.CANCELLING):
        raise Refused(
            Reason.STALE_LEASE,
            f"The lease of attempt {proof.attempt_id} is not valid any more; stop the task and drop what it made.",
            metadata=metadata,
        )
    if state is AttemptState.CANCELLING:
        raise Refused(
            Reason.ATTEMPT_CANCELLING,
            f"Attempt {proof.attempt_id} is being cancelled and may ask nothing more; stop the task.",
            metadata=metadata,
        )
    if state is AttemptState.ASSIGNED:
        raise Refused(
            Reason.ATTEMPT_NOT_STARTED,
            f"Attempt {proof.attempt_id} has not started; call StartAttempt first.",
            metadata=metadata,
        )
    return AttemptScope(attempt=row, access=plans.get(uow, row.dag_version_id).access)

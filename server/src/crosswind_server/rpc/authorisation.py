"""Which token opens which method. A method that is not in the table is refused. [AUTH-1]

Here belongs the table. What an attempt may reach within its calls is decided in `services.attempt_access`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.callers import Caller, CallerKind, Role
from crosswind_server.services.access.tokens import expired


class Rule(Enum):
    """Who may call a method."""

    ANYONE = auto()
    """No token is asked for."""
    ENROLLING = auto()
    """An enrolment token, or a worker token that may have expired within its grace. [FIN-1]"""
    WORKER = auto()
    """A worker token."""
    WORKER_IN_GRACE = auto()
    """A worker token, which may have expired within its grace. [FIN-1]"""
    TASK = auto()
    """A worker token, and metadata that name an attempt."""
    VIEWER = auto()
    """An access token of any role."""
    OPERATOR = auto()
    """An access token of an operator or administrator."""
    ADMIN = auto()
    """An access token of an administrator."""


_ROLE_OF = {Rule.VIEWER: Role.VIEWER, Rule.OPERATOR: Role.OPERATOR, Rule.ADMIN: Role.ADMIN}

_TABLE: Mapping[str, Mapping[Rule, str]] = {
    "crosswind.execution.v1.WorkerService": {
        Rule.ANYONE: "Negotiate",
        Rule.ENROLLING: "RegisterWorker",
        Rule.WORKER: "PublishBundle PollWork StartAttempt AppendLogs DeregisterWorker",
        Rule.WORKER_IN_GRACE: "Heartbeat FinishAttempt",
    },
    "crosswind.execution.v1.TaskService": {
        Rule.TASK: (
            "GetVariable SetVariable DeleteVariable GetConnection GetXCom GetXComItem SliceXCom SetXCom DeleteXCom"
            " ListXComs CreateBlob AppendBlob ReadBlob TriggerDagRun GetDagRun GetPreviousDagRun GetTaskStates GetState"
            " SetState ListAssetEvents EmitAssetEvent GetInputResponse"
        )
    },
    "crosswind.control.v1.AssetService": {
        Rule.VIEWER: "ListAssets ListAssetEvents",
        Rule.OPERATOR: "CreateAssetEvent",
    },
    "crosswind.control.v1.BackfillService": {
        Rule.VIEWER: "ListBackfills GetBackfill",
        Rule.OPERATOR: "CreateBackfill CancelBackfill",
    },
    "crosswind.control.v1.BundleCatalogService": {
        Rule.VIEWER: "ListBundles ListBundleVersions",
        Rule.OPERATOR: "SetCurrentBundleVersion",
    },
    "crosswind.control.v1.ConnectionService": {
        Rule.VIEWER: "ListConnections",
        Rule.OPERATOR: "GetConnection SetConnection DeleteConnection",
    },
    "crosswind.control.v1.DagRunService": {
        Rule.VIEWER: "ListDagRuns GetDagRun",
        Rule.OPERATOR: "TriggerDagRun CancelDagRun ClearDagRun SetDagRunState UpdateDagRun",
    },
    "crosswind.control.v1.DagService": {
        Rule.VIEWER: "ListDags GetDag ListDagVersions GetDagVersion",
        Rule.OPERATOR: "UpdateDag",
    },
    "crosswind.control.v1.EventService": {Rule.OPERATOR: "DeliverEvent"},
    "crosswind.control.v1.InputRequestService": {
        Rule.VIEWER: "ListInputRequests",
        Rule.OPERATOR: "AnswerInputRequest",
    },
    "crosswind.control.v1.LogService": {Rule.VIEWER: "ReadLogs"},
    "crosswind.control.v1.PoolService": {
        Rule.VIEWER: "ListPools GetPool",
        Rule.OPERATOR: "SetPool DeletePool",
    },
    "crosswind.control.v1.ServerService": {Rule.VIEWER: "GetServerInfo"},
    "crosswind.control.v1.TaskInstanceService": {
        Rule.VIEWER: "ListTaskInstances GetTaskInstance ListAttempts",
        Rule.OPERATOR: "ClearTaskInstances SetTaskInstanceState CancelTaskInstance",
    },
    "crosswind.control.v1.TokenService": {Rule.ADMIN: "CreateEnrolmentToken CreateAccessToken ListTokens RevokeToken"},
    "crosswind.control.v1.VariableService": {
        # A secret's value is for operators; the handler sees whether it is one.
        Rule.VIEWER: "ListVariables GetVariable",
        Rule.OPERATOR: "SetVariable DeleteVariable",
    },
    "crosswind.control.v1.WorkerAdminService": {
        Rule.VIEWER: "ListWorkers GetWorker",
        Rule.OPERATOR: "DrainWorker PauseWorker MoveWorker",
    },
    "crosswind.control.v1.WorkloadService": {Rule.VIEWER: "ListWorkloads GetWorkload ListWorkloadAttempts"},
    "crosswind.control.v1.XComService": {Rule.VIEWER: "ListXComs GetXCom ReadXComBlob"},
}

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        f"/{service}/{method}": rule
        for service, by_rule in _TABLE.items()
        for rule, methods in by_rule.items()
        for method in methods.split()
    }
)
"""The rule of every method, by its full name."""


def authorise(who: Caller, method: str, rules: Mapping[str, Rule] = RULES) -> None:
    """Check that a caller may call a method.

    Args:
        who: the caller.
        method: its full name.
        rules: the table to look in.

    Raises:
        Refused: PERMISSION_DENIED, or TOKEN_EXPIRED for a worker token in its grace that may not call this one.
    """
    rule = rules.get(method)
    role = _ROLE_OF.get(rule) if rule is not None else None
    if role is not None:
        if who.kind is CallerKind.ACCESS and who.role is not None and who.role.covers(role):
            return
        held = f"has the role {who.role}" if who.kind is CallerKind.ACCESS else f"is of the kind {who.kind}"
        raise _denied(who, method, f"needs an access token with the role {role}, and this token {held}")
    if rule is Rule.ENROLLING and who.kind is CallerKind.ENROLMENT:
        return
    if rule in (Rule.ENROLLING, Rule.WORKER, Rule.WORKER_IN_GRACE, Rule.TASK) and who.kind is CallerKind.WORKER:
        if who.expired and rule in (Rule.WORKER, Rule.TASK):
            raise expired(who)
        return
    if rule is None:
        raise _denied(who, method, "is open to nobody")
    wanted = "an enrolment token or a worker token" if rule is Rule.ENROLLING else "a worker token"
    raise _denied(who, method, f"needs {wanted}, and this token is of the kind {who.kind}")


def require_operator(who: Caller, what: str) -> None:
    """Check a right that depends on what was asked for. Raises `Refused`: PERMISSION_DENIED."""
    if who.role is None or not who.role.covers(Role.OPERATOR):
        raise Refused(
            Reason.PERMISSION_DENIED,
            f"{what} needs an access token with the role operator, and this one has the role {who.role}.",
            metadata={"subject": who.subject},
        )


def _denied(who: Caller, method: str, why: str) -> Refused:
    return Refused(
        Reason.PERMISSION_DENIED,
        f"The method {method.rpartition('/')[2]} {why}.",
        metadata={"method": method.lstrip("/"), "subject": who.subject},
    )

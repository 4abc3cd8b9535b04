"""Who may call a real server, in which version, and what they learn when they may not."""

import itertools
import json
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from crosswind.control.v1 import tokens_pb2, variables_pb2, variables_pb2_grpc, xcoms_pb2, xcoms_pb2_grpc
from crosswind.execution.v1 import worker_service_pb2, worker_service_pb2_grpc
from tests.e2e.support.control import API_VERSION, Control, open_channel, reason_of
from tests.e2e.support.processes import BIN, PATIENCE, run
from tests.e2e.support.protocol_worker import ProtocolWorker, Refused
from tests.e2e.support.servers import ServerProcess

MARKER = "mArKeR-of-a-secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("access")
    with ServerProcess(
        f"sqlite:///{folder / 'crosswind.db'}", folder / "server", environment={"CROSSWIND_LOG_LEVEL": "debug"}
    ) as process:
        yield process


@pytest.fixture
def control(server: ServerProcess) -> Iterator[Control]:
    control = server.control()
    yield control
    control.close()


def health_of(channel: grpc.Channel) -> Any:
    """The health service's stub, which its package does not type."""
    return health_pb2_grpc.HealthStub(channel)


def request_id() -> str:
    return str(uuid.uuid4())


def access_token(control: Control, role: str, *, seconds: int = 600) -> Any:
    request = tokens_pb2.CreateAccessTokenRequest(
        subject=role, role=f"ROLE_{role.upper()}", ttl=Duration(seconds=seconds), request_id=request_id()
    )
    return control.call(control.tokens.CreateAccessToken, request)


def refusal(rpc: Any, request: Any, metadata: Any) -> tuple[str, str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=PATIENCE)
    error = refused.value
    return error.code().name, reason_of(error), error.details() or ""


def test_a_call_is_refused_for_its_token_or_its_version(server: ServerProcess, control: Control) -> None:
    """[VER-1]"""
    stub: Any = variables_pb2_grpc.VariableServiceStub(control.channel)
    request = variables_pb2.ListVariablesRequest()
    good, version = control.metadata
    wrong = ("authorization", "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.AAAA")
    cases = [
        ([version], "UNAUTHENTICATED", "TOKEN_MISSING"),
        ([("authorization", "Basic eDp5"), version], "UNAUTHENTICATED", "TOKEN_MISSING"),
        ([wrong, version], "UNAUTHENTICATED", "TOKEN_INVALID"),
        ([good], "INVALID_ARGUMENT", "API_VERSION_MISSING"),
        ([good, (version[0], "yesterday")], "INVALID_ARGUMENT", "API_VERSION_MALFORMED"),
        ([good, (version[0], "2020-01-01")], "FAILED_PRECONDITION", "CLIENT_TOO_OLD"),
        ([good, (version[0], "2999-01-01")], "FAILED_PRECONDITION", "CLIENT_TOO_NEW"),
    ]
    for metadata, code, reason in cases:
        told = refusal(stub.ListVariables, request, metadata)
        assert told[:2] == (code, reason)
        assert API_VERSION in told[2] or "token" in told[2]
    stub.ListVariables(request, metadata=[good, version])


def test_a_refusal_carries_one_error_info_that_names_the_thing(control: Control) -> None:
    stub: Any = variables_pb2_grpc.VariableServiceStub(control.channel)
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetVariable(variables_pb2.GetVariableRequest(key="nowhere"), metadata=control.metadata)
    trailing: Any = refused.value.trailing_metadata()
    details = dict(trailing)["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert len(status.details) == 1
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason, dict(info.metadata)) == ("crosswind", "VARIABLE_NOT_FOUND", {"key": "nowhere"})
    assert status.message == refused.value.details()
    assert status.code == refused.value.code().value[0]


def test_roles_see_and_change_what_they_may(server: ServerProcess, control: Control) -> None:
    def set_variable(**fields: Any) -> Any:
        return variables_pb2.SetVariableRequest(request_id=request_id(), **fields)

    control.call(control.variables.SetVariable, set_variable(key="secret", value="s"))
    control.call(control.variables.SetVariable, set_variable(key="open", value="o", public=True))
    viewer = Control(server.address, access_token(control, "viewer").token)
    operator = Control(server.address, access_token(control, "operator").token)
    listed = {
        each.key: each
        for each in viewer.call(viewer.variables.ListVariables, variables_pb2.ListVariablesRequest()).variables
    }
    assert (listed["secret"].HasField("value"), listed["open"].value) == (False, "o")
    get_open, get_secret = (variables_pb2.GetVariableRequest(key=key) for key in ("open", "secret"))
    assert viewer.call(viewer.variables.GetVariable, get_open).variable.value == "o"
    assert viewer.refused(viewer.variables.GetVariable, get_secret)[1] == "PERMISSION_DENIED"
    assert operator.call(operator.variables.GetVariable, get_secret).variable.value == "s"
    code, reason, sentence = viewer.refused(viewer.variables.SetVariable, set_variable(key="x", value="y"))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert "operator" in sentence
    operator.call(operator.variables.SetVariable, set_variable(key="x", value="y"))
    assert operator.refused(operator.tokens.ListTokens, tokens_pb2.ListTokensRequest())[1] == "PERMISSION_DENIED"
    viewer.close()
    operator.close()


def test_worker_tokens_are_for_workers_and_access_tokens_for_people(server: ServerProcess, control: Control) -> None:
    enrolment = server.enrolment_token_file.read_text().strip()
    worker = ProtocolWorker(server.address, enrolment, name="one")
    with pytest.raises(Refused) as refused:
        worker.poll()
    assert refused.value.reason == "PERMISSION_DENIED"
    worker.register()
    worker.heartbeat()
    as_person = Control(server.address, worker.token)
    request = variables_pb2.ListVariablesRequest()
    assert as_person.refused(as_person.variables.ListVariables, request)[1] == "PERMISSION_DENIED"
    person = ProtocolWorker(server.address, server.access_token_file.read_text().strip(), name="two")
    with pytest.raises(Refused) as refused:
        person.register()
    assert refused.value.reason == "PERMISSION_DENIED"
    for each in (worker, as_person, person):
        each.close()


def test_a_revoked_token_is_refused_at_once_and_with_it_those_of_its_workers(
    server: ServerProcess, control: Control
) -> None:
    made = control.call(
        control.tokens.CreateEnrolmentToken,
        tokens_pb2.CreateEnrolmentTokenRequest(subject="team-a", bundles=["a_*"], request_id=request_id()),
    )
    worker = ProtocolWorker(server.address, made.token, name="revoked")
    worker.register()
    worker.heartbeat()
    revoke = tokens_pb2.RevokeTokenRequest(token_id=made.info.token_id, request_id=request_id())
    assert control.call(control.tokens.RevokeToken, revoke).info.HasField("revoke_time")
    with pytest.raises(Refused) as refused:
        worker.heartbeat()
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    ended = tokens_pb2.ListTokensRequest(kinds=[tokens_pb2.TOKEN_KIND_WORKER], subject="team-a", include_ended=True)
    listed = control.call(control.tokens.ListTokens, ended).tokens
    assert [(each.enrolment_token_id, each.HasField("revoke_time")) for each in listed] == [(made.info.token_id, True)]
    unknown = tokens_pb2.RevokeTokenRequest(token_id=request_id(), request_id=request_id())
    assert control.refused(control.tokens.RevokeToken, unknown)[1] == "TOKEN_NOT_FOUND"
    worker.close()


def test_making_a_token_again_answers_the_same_token(control: Control) -> None:
    request = tokens_pb2.CreateAccessTokenRequest(subject="me", role=tokens_pb2.ROLE_VIEWER, request_id=request_id())
    first = control.call(control.tokens.CreateAccessToken, request)
    assert control.call(control.tokens.CreateAccessToken, request) == first
    bad = tokens_pb2.CreateAccessTokenRequest(subject="me", request_id=request_id())
    assert control.refused(control.tokens.CreateAccessToken, bad)[1] == "INVALID_ARGUMENT"
    none = tokens_pb2.CreateAccessTokenRequest(subject="me", role=tokens_pb2.ROLE_VIEWER, request_id="1")
    assert control.refused(control.tokens.CreateAccessToken, none)[1] == "INVALID_ARGUMENT"


def test_negotiate_health_and_reflection_need_neither_token_nor_version(server: ServerProcess) -> None:
    with open_channel(server.address) as channel:
        answer = worker_service_pb2_grpc.WorkerServiceStub(channel).Negotiate(
            worker_service_pb2.NegotiateRequest(api_versions=["2999-01-01", API_VERSION])
        )
        assert (answer.chosen_api_version, answer.limits.max_message_bytes) == (API_VERSION, 4 * 1024 * 1024)
        health = health_of(channel)
        for name in ("", "crosswind.control.v1.DagService", "crosswind.execution.v1.WorkerService"):
            status = health.Check(health_pb2.HealthCheckRequest(service=name)).status
            assert status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (listed,) = reflection.ServerReflectionInfo(iter([asked]))
        names = {each.name for each in listed.list_services_response.service}
        assert {
            "crosswind.control.v1.LogService",
            "crosswind.execution.v1.TaskService",
            "grpc.health.v1.Health",
        } <= names


def test_what_is_not_supported_says_so(control: Control) -> None:
    stub = xcoms_pb2_grpc.XComServiceStub(control.channel)
    code, reason, sentence = refusal(stub.ReadXComBlob, xcoms_pb2.ReadXComBlobRequest(), control.metadata)
    assert (code, reason) == ("UNIMPLEMENTED", "NOT_SUPPORTED")
    assert "docs/protocol.md" in sentence


def test_a_message_over_the_limit_meets_a_sentence(control: Control) -> None:
    request = variables_pb2.SetVariableRequest(key="k", value="x" * (5 * 1024 * 1024), request_id=request_id())
    code, reason, sentence = refusal(control.variables.SetVariable, request, control.metadata)
    assert (code, reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
    assert str(4 * 1024 * 1024) in sentence


def test_bytes_that_are_no_message_are_refused(control: Control) -> None:
    raw: Any = control.channel.unary_unary("/crosswind.control.v1.VariableService/GetVariable")
    assert refusal(raw, b"\xff\xff\xff", control.metadata)[:2] == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")


def test_files_of_the_home_folder_are_for_their_owner_only(server: ServerProcess) -> None:
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    for name in ("access-token", "enrolment-token", "server.json", "encryption-key"):
        assert stat.S_IMODE((server.home / name).stat().st_mode) == 0o600, name
    facts = json.loads((server.home / "server.json").read_text())
    assert (facts["address"], facts["process_id"]) == (server.address, server.pid)
    assert Path(facts["access_token_file"]) == server.access_token_file
    pointer = Path(server.environment["XDG_STATE_HOME"]) / "crosswind" / "server.json"
    assert json.loads(pointer.read_text()) == facts


def test_token_commands_ask_the_server_that_has_the_database(server: ServerProcess, control: Control) -> None:
    base: list[str | Path] = [BIN / "crosswind-server", "token"]
    flags: list[str | Path] = ["--db", server.database_url, "--home", server.home]
    made = run([*base, "create", "--subject", "ann", "--role", "viewer", *flags], folder=server.folder)
    assert made.returncode == 0, made.stderr
    ann = Control(server.address, made.stdout.strip())
    ann.call(ann.variables.ListVariables, variables_pb2.ListVariablesRequest())
    listed = run([*base, "list", *flags], folder=server.folder).stdout
    (line,) = [line for line in listed.splitlines() if " ann " in line]
    assert "viewer" in line
    revoked = run([*base, "revoke", line.split()[0], *flags], folder=server.folder)
    assert revoked.returncode == 0, revoked.stderr
    assert ann.refused(ann.variables.ListVariables, variables_pb2.ListVariablesRequest())[1] == "TOKEN_REVOKED"
    ann.close()
    unknown = run([*base, "revoke", "nothing", *flags], folder=server.folder)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    bad = run([*base, "create", "--ttl", "soon", *flags], folder=server.folder)
    assert bad.returncode == 2


def test_no_secret_is_in_the_log_an_error_or_the_database(server: ServerProcess, control: Control) -> None:
    secrets = [f"{MARKER}-{n}" for n in range(4)]
    control.call(
        control.variables.SetVariable,
        variables_pb2.SetVariableRequest(key="leak", value=secrets[0], request_id=request_id()),
    )
    assert control.call(control.variables.GetVariable, variables_pb2.GetVariableRequest(key="leak")).variable.value
    sentences = [
        control.refused(
            control.variables.SetVariable,
            variables_pb2.SetVariableRequest(key="leak", value=secret * 10_000, request_id=request_id()),
        )[2]
        for secret in secrets[1:]
    ]
    token = access_token(control, "viewer").token
    broken = Control(server.address, token[:-4] + "AAAA")
    sentences.append(broken.refused(broken.variables.ListVariables, variables_pb2.ListVariablesRequest())[2])
    broken.close()
    own = server.access_token_file.read_text().strip()
    stored = b"".join(
        file.read_bytes() for file in Path(server.database_url.removeprefix("sqlite:///")).parent.glob("crosswind.db*")
    )
    for text in (server.log, *sentences):
        assert MARKER not in text
        assert token not in text
        assert own not in text
    for secret in (MARKER, token, own):
        assert secret.encode() not in stored
    assert "SetVariable" in server.log


def test_many_calls_of_one_token_are_answered_while_others_wait(server: ServerProcess, control: Control) -> None:
    request = variables_pb2.ListVariablesRequest()
    calls = [control.variables.ListVariables.future(request, metadata=tuple(control.metadata)) for _ in range(200)]
    assert all(call.result(timeout=PATIENCE) is not None for call in itertools.islice(calls, 200))

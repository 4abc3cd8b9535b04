"""What a worker agrees on with servers of other API versions. The answers of a server are scripted. [VER-1]"""

from collections.abc import Iterable
from typing import Any

import pytest

from crosswind import api_versions
from crosswind.client.errors import FAILED_PRECONDITION, CallError
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.negotiation import Agreement, NoCommonVersion, agree, spoken_by, unasked
from crosswind.runtime.registration import Registration, WorkerIdentity, WorkerRefused
from crosswind.runtime.server_calls import HEARTBEAT, ServerCalls
from crosswind.runtime.server_connection import ServerConnection

SPOKEN = ("2027-05-01", "2027-02-10")


@pytest.fixture(autouse=True)
def spoken(monkeypatch):
    """An SDK of two versions."""
    monkeypatch.setattr(api_versions, "API_VERSIONS", SPOKEN)


def answer_of(served: Iterable[str]) -> service.NegotiateResponse:
    """What a server answers that serves these, oldest first."""
    served = list(served)
    chosen = next((version for version in SPOKEN if version in served), "")
    return service.NegotiateResponse(
        chosen_api_version=chosen,
        oldest_api_version=served[0],
        newest_api_version=served[-1],
        api_versions=served,
    )


@pytest.mark.parametrize(
    ("served", "chosen"),
    [
        (["2026-12-01", "2027-02-10"], "2027-02-10"),
        (["2027-02-10", "2027-05-01", "2027-08-01"], "2027-05-01"),
    ],
)
def test_the_newest_common_version_is_agreed_on(served, chosen):
    assert agree(answer_of(served), "s:1") == Agreement(chosen, frozenset(served))


@pytest.mark.parametrize(
    ("served", "sentence"),
    [
        (
            ["2026-06-01", "2026-12-01"],
            "The server at s:1 serves API version 2026-06-01 to 2026-12-01, this worker speaks 2027-02-10 to "
            "2027-05-01: upgrade the server, or install an older crosswind-sdk.",
        ),
        (
            ["2027-08-01"],
            "The server at s:1 serves API version 2027-08-01, this worker speaks 2027-02-10 to "
            "2027-05-01: upgrade crosswind-sdk.",
        ),
        (
            ["2026-12-01", "2027-03-01", "2027-08-01"],
            "The server at s:1 serves API version 2026-12-01, 2027-03-01, 2027-08-01, this worker speaks 2027-02-10 to "
            "2027-05-01: install a crosswind-sdk that speaks one of the server's versions.",
        ),
    ],
)
def test_with_nothing_in_common_it_says_both_ranges_and_what_to_do(served, sentence):
    with pytest.raises(NoCommonVersion) as refused:
        agree(answer_of(served), "s:1")
    assert str(refused.value) == sentence


def test_an_answer_that_was_not_asked_for_is_not_taken():
    answer = service.NegotiateResponse(
        chosen_api_version="2030-01-01", oldest_api_version="2030-01-01", newest_api_version="2030-01-01"
    )
    with pytest.raises(NoCommonVersion):
        agree(answer, "s:1")


def test_a_bundle_is_offered_under_the_first_of_its_versions_that_is_served():
    manifest = bundle_pb2.Manifest(api_version="2027-08-01", further_api_versions=["2027-05-01", "2027-02-10"])
    assert spoken_by(manifest) == ("2027-08-01", "2027-05-01", "2027-02-10")
    agreement = Agreement("2027-05-01", frozenset({"2026-12-01", "2027-02-10", "2027-05-01"}))
    assert agreement.version_of(spoken_by(manifest)) == "2027-05-01"
    assert agreement.version_of(("2028-01-01",)) == "2028-01-01"
    assert unasked().version_of(("2028-01-01", "2027-05-01")) == "2028-01-01"


class ScriptedConnection(ServerConnection):
    """A connection whose server says what a test wants; `versions` are those that it serves."""

    def __init__(self, served: list[str]) -> None:
        super().__init__("127.0.0.1:1")
        self.served = served
        self.calls: list[tuple[str, str]] = []

    async def send_bytes(self, path: str, request: bytes, *, timeout: float | None, metadata: Any) -> bytes:
        name, version = path.rpartition("/")[2], dict(metadata)["crosswind-api-version"]
        self.calls.append((name, str(version)))
        if name == "Negotiate":
            return answer_of(self.served).SerializeToString()
        if version not in self.served:
            raise CallError(FAILED_PRECONDITION, "CLIENT_TOO_NEW", "too new")
        if name == "RegisterWorker":
            return service.RegisterWorkerResponse(worker_token="t").SerializeToString()
        return b""


def registration_of(connection: ServerConnection) -> Registration:
    return Registration(
        connection,
        WorkerIdentity(name="w", slots=1, enrolment_token="e"),
        folder=None,
        offers=list,
        held=list,
        on_registered=lambda answer: None,
    )


async def test_calls_are_made_in_the_version_that_was_chosen():
    connection = ScriptedConnection(["2026-12-01", "2027-02-10"])
    registration = registration_of(connection)
    await registration.negotiate()
    await registration.register()
    await ServerCalls(connection, registration).repeat(HEARTBEAT, service.HeartbeatRequest())
    assert connection.calls[1:] == [("RegisterWorker", "2027-02-10"), ("Heartbeat", "2027-02-10")]
    await connection.close()


async def test_a_server_that_has_become_older_is_negotiated_with_again_and_the_worker_registers_anew():
    connection = ScriptedConnection(["2027-02-10", "2027-05-01"])
    registration = registration_of(connection)
    await registration.negotiate()
    await registration.register()
    connection.served = ["2027-02-10"]
    connection.calls.clear()
    await ServerCalls(connection, registration).repeat(HEARTBEAT, service.HeartbeatRequest())
    assert connection.calls == [
        ("Heartbeat", "2027-05-01"),
        ("Negotiate", "2027-05-01"),
        ("RegisterWorker", "2027-02-10"),
        ("Heartbeat", "2027-02-10"),
    ]
    await connection.close()


async def test_a_server_that_has_become_too_old_ends_the_worker():
    connection = ScriptedConnection(["2027-05-01"])
    registration = registration_of(connection)
    await registration.negotiate()
    await registration.register()
    connection.served = ["2026-12-01"]
    with pytest.raises(WorkerRefused, match=r"serves API version 2026-12-01, .* speaks 2027-02-10 to 2027-05-01"):
        await ServerCalls(connection, registration).repeat(HEARTBEAT, service.HeartbeatRequest())
    await connection.close()


async def test_registering_goes_on_where_another_server_answers_than_the_one_that_was_asked():
    connection = ScriptedConnection(["2027-05-01"])
    registration = registration_of(connection)
    await registration.negotiate()
    connection.served = ["2027-02-10"]
    await registration.register()
    assert connection.calls[-1] == ("RegisterWorker", "2027-02-10")
    await connection.close()


async def test_a_refusal_of_a_bundle_does_not_concern_the_worker():
    connection = ScriptedConnection(["2027-05-01"])
    refused = CallError(FAILED_PRECONDITION, "CLIENT_TOO_NEW", "too new", {"bundle": "b"})
    with pytest.raises(CallError):
        await ServerCalls(connection, registration_of(connection)).recover(refused, token="", failures=1)
    assert connection.calls == []
    await connection.close()

"""What a client hears that names no version, or one that is not served, or calls what its version has not."""

import pytest

from crosswind_server.domain.version import METADATA_KEY
from tests.compat.lab.clients import Answer, Clients, metadata_of
from tests.compat.lab.history import NEWEST, VERSIONS

OLDEST = VERSIONS[0]
RANGE = {"server_oldest": OLDEST, "server_newest": NEWEST}
LIST = "lab.v1.LabService/ListTasks"

pytestmark = pytest.mark.timeout(600)  # the first one builds programs


def call(clients: Clients, named: str | None, *, method: str = LIST, stubs: str = NEWEST) -> Answer:
    """A call by the stubs of one version that names another."""
    metadata = {**clients.metadata, **metadata_of(named or "", "edges")}
    if named is None:
        del metadata[METADATA_KEY]
    return clients.of(stubs).call(method, {}, metadata)


@pytest.mark.parametrize("stubs", [OLDEST, NEWEST])
@pytest.mark.parametrize(
    ("named", "code", "reason", "metadata", "sentence"),
    [
        (None, "INVALID_ARGUMENT", "API_VERSION_MISSING", {}, f"send metadata '{METADATA_KEY}: {NEWEST}'"),
        ("", "INVALID_ARGUMENT", "API_VERSION_MISSING", {}, f"send metadata '{METADATA_KEY}: {NEWEST}'"),
        ("newest", "INVALID_ARGUMENT", "API_VERSION_MALFORMED", {"api_version": "newest"}, "is not a date"),
        ("2026-02-30", "INVALID_ARGUMENT", "API_VERSION_MALFORMED", {"api_version": "2026-02-30"}, "is not a date"),
        ("2026-01-01 ", "INVALID_ARGUMENT", "API_VERSION_MALFORMED", {"api_version": "2026-01-01 "}, "is not a date"),
        (
            "2026-01-02",
            "INVALID_ARGUMENT",
            "API_VERSION_UNKNOWN",
            {"client_oldest": "2026-01-02", "client_newest": "2026-01-02"},
            "There is no API version 2026-01-02: this server serves " + ", ".join(VERSIONS),
        ),
        (
            "2025-12-31",
            "FAILED_PRECONDITION",
            "CLIENT_TOO_OLD",
            {"client_oldest": "2025-12-31", "client_newest": "2025-12-31"},
            "Upgrade the client, or use a server that still serves its version.",
        ),
        (
            "2026-08-02",
            "FAILED_PRECONDITION",
            "CLIENT_TOO_NEW",
            {"client_oldest": "2026-08-02", "client_newest": "2026-08-02"},
            "Upgrade the server, or use a client of the server's version.",
        ),
    ],
)
def test_a_version_that_is_none_of_the_server_s(clients, stubs, named, code, reason, metadata, sentence):
    heard = call(clients, named, stubs=stubs)
    assert (heard.code, heard.reason, heard.metadata) == (code, reason, {**metadata, **RANGE})
    assert sentence in heard.message


@pytest.mark.parametrize(
    ("stubs", "named", "method", "having"),
    [
        (NEWEST, "2026-04-01", "LabService/GetStatistics", "2026-05-01 to 2026-08-01"),
        (NEWEST, OLDEST, "OutcomeService/RecordOutcome", "2026-03-01 to 2026-08-01"),
        (OLDEST, NEWEST, "LabService/CountTasks", "2026-01-01 to 2026-05-01"),
        (OLDEST, "2026-06-01", "LabService/CountTasks", "2026-01-01 to 2026-05-01"),
        (OLDEST, "2026-03-01", "LabService/FinishTask", "2026-01-01 to 2026-02-01"),
    ],
)
def test_an_rpc_that_the_named_version_has_not(clients, stubs, named, method, having):
    heard = call(clients, named, method=f"lab.v1.{method}", stubs=stubs)
    assert (heard.code, heard.reason) == ("UNIMPLEMENTED", "NOT_SUPPORTED")
    assert heard.metadata == {"method": f"lab.v1.{method}", "api_version": named}
    assert f"It is in {having}." in heard.message


def test_the_token_is_asked_for_after_the_version(clients):
    metadata = metadata_of(OLDEST, "edges")
    heard = clients.of(OLDEST).call(LIST, {}, metadata)
    assert (heard.code, heard.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING")


def test_every_version_is_served_by_its_own_stubs(clients):
    for version in VERSIONS:
        assert call(clients, version, stubs=version) == Answer("OK", {})

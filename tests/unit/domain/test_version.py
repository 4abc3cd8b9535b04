from __future__ import annotations

import pytest

from crosswind_server.domain.errors import Code, Reason, Refused
from crosswind_server.domain.version import CURRENT, OLDEST, ApiVersion, VersionRange, check_version, negotiate

SERVED = VersionRange(ApiVersion.parse("2026-12-01"), ApiVersion.parse("2027-05-01"))


def span(oldest, newest):
    return VersionRange(ApiVersion.parse(oldest), ApiVersion.parse(newest))


def test_constants():
    assert str(CURRENT) == str(OLDEST) == "2026-12-01"
    assert check_version("2026-12-01") == CURRENT


@pytest.mark.parametrize("text", ["2026-12-01", "2027-02-10", "2027-05-01"])
def test_served_versions(text):
    assert str(check_version(text, served=SERVED)) == text


@pytest.mark.parametrize(
    ("text", "reason", "code"),
    [
        (None, Reason.API_VERSION_MISSING, Code.INVALID_ARGUMENT),
        ("", Reason.API_VERSION_MISSING, Code.INVALID_ARGUMENT),
        ("2026-13-01", Reason.API_VERSION_MALFORMED, Code.INVALID_ARGUMENT),
        ("20261201", Reason.API_VERSION_MALFORMED, Code.INVALID_ARGUMENT),
        ("2026-W49-2", Reason.API_VERSION_MALFORMED, Code.INVALID_ARGUMENT),
        ("٢٠٢٦-12-01", Reason.API_VERSION_MALFORMED, Code.INVALID_ARGUMENT),
        ("2026-12-01\n", Reason.API_VERSION_MALFORMED, Code.INVALID_ARGUMENT),
        ("2026-11-30", Reason.CLIENT_TOO_OLD, Code.FAILED_PRECONDITION),
        ("2027-05-02", Reason.CLIENT_TOO_NEW, Code.FAILED_PRECONDITION),
    ],
)
def test_refused_versions(text, reason, code):
    with pytest.raises(Refused) as refused:
        check_version(text, served=SERVED)
    assert (refused.value.reason, refused.value.code) == (reason, code)
    assert "server_oldest" in refused.value.metadata


def test_both_ranges_and_the_way_out_are_named():
    with pytest.raises(Refused) as old:
        negotiate(span("2026-01-01", "2026-11-30"), served=SERVED)
    assert old.value.message == (
        "The client is too old: it speaks API version 2026-01-01 to 2026-11-30, this server serves"
        " 2026-12-01 to 2027-05-01. Upgrade the client, or use a server that still serves its version."
    )
    with pytest.raises(Refused) as new:
        negotiate(span("2027-05-02", "2027-05-02"), served=SERVED)
    assert new.value.message.startswith("The client is too new: it speaks API version 2027-05-02, this server serves")
    assert new.value.metadata == {
        "client_oldest": "2027-05-02",
        "client_newest": "2027-05-02",
        "server_oldest": "2026-12-01",
        "server_newest": "2027-05-01",
    }


@pytest.mark.parametrize(
    ("client", "agreed"),
    [
        (("2026-01-01", "2026-12-01"), "2026-12-01"),
        (("2026-01-01", "2028-01-01"), "2027-05-01"),
        (("2027-05-01", "2028-01-01"), "2027-05-01"),
        (("2027-01-01", "2027-02-01"), "2027-02-01"),
    ],
)
def test_the_newest_common_version_is_agreed(client, agreed):
    assert str(negotiate(span(*client), served=SERVED)) == agreed


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="empty range"):
        span("2027-01-02", "2027-01-01")

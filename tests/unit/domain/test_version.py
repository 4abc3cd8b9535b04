from __future__ import annotations

import pytest

from crosswind_server.domain.errors import Code, Reason, Refused
from crosswind_server.domain.version import ApiVersion, ServedVersions

SERVED = ServedVersions(map(ApiVersion.parse, ("2026-12-01", "2027-02-10", "2027-05-01")))


@pytest.mark.parametrize("text", ["2026-12-01", "2027-02-10", "2027-05-01"])
def test_served_versions(text):
    assert str(SERVED.check(text)) == text


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
        ("2027-02-11", Reason.API_VERSION_UNKNOWN, Code.INVALID_ARGUMENT),
    ],
)
def test_refused_versions(text, reason, code):
    with pytest.raises(Refused) as refused:
        SERVED.check(text)
    assert (refused.value.reason, refused.value.code) == (reason, code)
    assert "server_oldest" in refused.value.metadata


def test_both_ranges_and_the_way_out_are_named():
    with pytest.raises(Refused) as old:
        SERVED.check("2026-11-30")
    assert old.value.message == (
        "The client is too old: it speaks API version 2026-11-30, this server serves"
        " 2026-12-01 to 2027-05-01. Upgrade the client, or use a server that still serves its version."
    )
    with pytest.raises(Refused) as new:
        SERVED.check("2027-05-02")
    assert new.value.message.startswith("The client is too new: it speaks API version 2027-05-02, this server serves")
    assert new.value.metadata == {
        "client_oldest": "2027-05-02",
        "client_newest": "2027-05-02",
        "server_oldest": "2026-12-01",
        "server_newest": "2027-05-01",
    }
    with pytest.raises(Refused) as between:
        SERVED.check("2027-01-01")
    assert between.value.message == (
        "There is no API version 2027-01-01: this server serves 2026-12-01, 2027-02-10, 2027-05-01."
    )


@pytest.mark.parametrize(
    ("spoken", "chosen"),
    [
        (["2028-01-01", "2027-05-01", "2026-12-01"], "2027-05-01"),
        (["2026-12-01", "2027-05-01"], "2026-12-01"),
        (["2027-03-01", "nonsense", "2027-02-10"], "2027-02-10"),
        (["2028-01-01"], None),
        ([], None),
    ],
)
def test_the_first_version_that_both_speak_is_chosen(spoken, chosen):
    found = SERVED.choose(spoken)
    assert (str(found) if found else None) == chosen


@pytest.mark.parametrize("versions", [[], ["2027-02-10", "2026-12-01"], ["2026-12-01", "2026-12-01"]])
def test_versions_out_of_order_are_refused(versions):
    with pytest.raises(ValueError, match="not in order, or none"):
        ServedVersions(map(ApiVersion.parse, versions))


@pytest.mark.parametrize(
    ("text", "reason", "sentence"),
    [
        (
            "",
            Reason.API_VERSION_MISSING,
            "The manifest of the bundle 'b' names no API version, this server serves 2026-12-01 to 2027-05-01. Build"
            " the bundle again with an SDK of such a version.",
        ),
        (
            "2026-12-01 and more",
            Reason.API_VERSION_MALFORMED,
            "The API version '2026-12-01 and more' of the bundle 'b' is not a date, this server serves 2026-12-01 to"
            " 2027-05-01. Build the bundle again with an SDK of such a version.",
        ),
        (
            "2027-01-01",
            Reason.API_VERSION_UNKNOWN,
            "There is no API version 2027-01-01, in which the manifest of the bundle 'b' is written: this server serves"
            " 2026-12-01, 2027-02-10, 2027-05-01. Build the bundle again with an SDK of one of these.",
        ),
        (
            "2026-11-01",
            Reason.CLIENT_TOO_OLD,
            "The bundle 'b' is too old: its manifest is written in API version 2026-11-01, this server serves"
            " 2026-12-01 to 2027-05-01. Build the bundle again with an SDK of a newer version.",
        ),
        (
            "2027-05-02",
            Reason.CLIENT_TOO_NEW,
            "The bundle 'b' is too new: its manifest is written in API version 2027-05-02, this server serves"
            " 2026-12-01 to 2027-05-01. Upgrade the server, or build the bundle again with an older SDK.",
        ),
    ],
)
def test_a_bundle_is_refused_by_name_and_with_both_ranges(text: str, reason: Reason, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        SERVED.check_bundle("b", text)
    assert (refused.value.reason, refused.value.message) == (reason, sentence)
    assert refused.value.metadata["bundle"] == "b"


def test_a_bundle_of_a_served_version_is_taken() -> None:
    assert str(SERVED.check_bundle("b", "2027-02-10")) == "2027-02-10"

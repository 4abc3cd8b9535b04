"""Until when an API version is served. [VER-1]"""

from datetime import date

import pytest

from crosswind_server.domain.version import ApiVersion
from crosswind_server.domain.version_window import add_months, windows

VERSIONS = [ApiVersion.parse(text) for text in ("2026-12-01", "2027-02-10", "2027-08-31")]


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-12-01", 0, "2026-12-01"),
        ("2026-12-01", 1, "2027-01-01"),
        ("2027-01-31", 1, "2027-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2027-08-31", 24, "2029-08-31"),
    ],
)
def test_months_later_is_the_same_day_or_the_last_of_its_month(day, months, later):
    assert add_months(date.fromisoformat(day), months).isoformat() == later


def test_a_window_begins_with_the_release_of_the_next_version():
    oldest, middle, newest = windows(VERSIONS, months=24, today=date(2029, 2, 10))
    assert (str(oldest.superseded), str(oldest.end), oldest.over, oldest.newest) == (
        "2027-02-10",
        "2029-02-10",
        True,
        False,
    )
    assert (str(middle.superseded), str(middle.end), middle.over) == ("2027-08-31", "2029-08-31", False)
    assert (newest.superseded, newest.end, newest.over, newest.newest) == (None, None, False, True)


def test_a_window_is_over_on_its_last_day_and_not_before():
    assert [each.over for each in windows(VERSIONS, months=24, today=date(2029, 2, 9))] == [False, False, False]
    assert [each.over for each in windows(VERSIONS, months=6, today=date(2030, 1, 1))] == [True, True, False]


def test_a_single_version_has_no_end():
    (only,) = windows(VERSIONS[:1], months=1, today=date(2099, 1, 1))
    assert (only.end, only.over, only.newest) == (None, False, True)

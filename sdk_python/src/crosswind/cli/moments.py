"""Moments as people write them on the command line."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.cli.failures import usage_error


def read_moment(text: str, option: str) -> Timestamp:
    """The moment that somebody typed behind an option: ISO 8601, in UTC where it has no zone.

    Raises:
        CommandError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise usage_error(f"{option} {text!r} is no time: write it as 2026-03-01 or 2026-03-01T06:00+01:00.") from None
    made = Timestamp()
    made.FromDatetime(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
    return made

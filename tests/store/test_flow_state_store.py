"""The state store: writes that insist on what was read, expiry, and who deletes what. On both databases."""

import uuid
from typing import Any

from sqlalchemy import select, update

from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.execution import state_store
from crosswind_server.services.execution.attempts import FinishAttempt
from crosswind_server.services.execution.state_store import StateValue, StateWrite
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import state_value, timer
from tests.store.dags import dag_of, failed, task
from tests.store.flow import Flow, refused
from tests.store.interventions import clear

OWNER = "00000000-0000-4000-8000-000000000000"


def write(flow: Flow, key: str, value: bytes | None, expected: int | None = None, **fields: Any) -> int:
    change = StateWrite(key=key, value=value, **fields)
    return flow.store.write_blocking(
        each(lambda uow, _: state_store.write(uow, OWNER, change, expected_revision=expected)), None
    )


def read(flow: Flow, key: str, owner: str = OWNER) -> StateValue | None:
    return flow.store.read_blocking(lambda uow: state_store.read(uow, owner, key))


def rows(flow: Flow, table: Any) -> list[Any]:
    return list(flow.store.read_blocking(lambda uow: uow.execute(select(table)).all()))


def test_a_write_may_insist_on_what_was_read(flow: Flow):
    first = write(flow, "k", b"1", 0)
    assert refused(lambda: write(flow, "k", b"2", 0)) == "STATE_CHANGED"
    second = write(flow, "k", b"2", first)
    assert second > first
    assert refused(lambda: write(flow, "k", b"3", first)) == "STATE_CHANGED"
    assert read(flow, "k") == StateValue(value=b"2", revision=second)
    assert refused(lambda: write(flow, "other", b"1", 7)) == "STATE_CHANGED"


def test_a_revision_grows_over_a_deletion_too(flow: Flow):
    first = write(flow, "k", b"1")
    assert write(flow, "k", None) == 0
    assert read(flow, "k") is None
    again = write(flow, "k", b"1", 0)
    assert again > first
    assert refused(lambda: write(flow, "k", b"2", first)) == "STATE_CHANGED"


def test_a_value_that_expired_is_not_there_and_is_deleted(flow: Flow):
    write(flow, "short", b"1", time_to_live_us=60_000_000)
    write(flow, "long", b"1")
    assert read(flow, "short") is not None
    assert [row.kind for row in rows(flow, timer)] == [state_store.EXPIRE]
    flow.store.write_blocking(
        each(lambda uow, _: uow.execute(update(state_value).where(state_value.c.key == "short").values(expire_time=1))),
        None,
    )
    assert read(flow, "short") is None
    # For a write it is not there either.
    write(flow, "short", b"2", 0, time_to_live_us=60_000_000)
    flow.store.write_blocking(
        each(lambda uow, _: uow.execute(update(state_value).where(state_value.c.key == "short").values(expire_time=1))),
        None,
    )
    flow.store.write_blocking(
        each(lambda uow, _: state_store.expire(uow, [f"{OWNER}/short", f"{OWNER}/long", f"{OWNER}/none"])), None
    )
    assert [row.key for row in rows(flow, state_value)] == ["long"]


def test_a_write_without_a_time_to_live_is_kept(flow: Flow):
    write(flow, "k", b"1", time_to_live_us=60_000_000)
    write(flow, "k", b"2")
    assert rows(flow, timer) == []
    (row,) = rows(flow, state_value)
    assert row.expire_time is None


def test_checkpoints_land_with_failures_and_a_clear_deletes_them(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1)), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.store.write_blocking(
        flow.heart.attempts.finish,
        FinishAttempt(
            attempt_id=lease.attempt_id,
            lease=lease.lease,
            outcome_id=str(uuid.uuid4()),
            event=Event.FINISH_FAILED,
            failure=failed(),
            checkpoints=(StateWrite(key="page", value=b"7"), StateWrite(key="page", value=b"8")),
        ),
    )
    owner = flow.instance(run, "a").id
    found = read(flow, "page", owner)
    assert found is not None
    assert found.value == b"8"
    clear(flow, run, "a")
    assert read(flow, "page", owner) is None

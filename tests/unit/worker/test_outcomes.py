import os
import stat
import uuid
from pathlib import Path

import pytest

from crosswind.execution.v1 import lease_pb2, outcome_pb2
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.runtime.outcomes import OutcomeStore
from crosswind.runtime.state_folder import InstanceNote, StateFolder, StateFolderInUse, replace_file


def make_request(attempt_id: str | None = None) -> service.FinishAttemptRequest:
    return service.FinishAttemptRequest(
        attempt=lease_pb2.AttemptRef(attempt_id=attempt_id or str(uuid.uuid4()), lease=b"l" * 16),
        outcome_id=str(uuid.uuid4()),
        outcome=outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded()),
    )


def open_store(folder: Path | None, warnings: list[str] | None = None) -> OutcomeStore:
    return OutcomeStore(folder, sync=False, warn=(warnings if warnings is not None else []).append)


@pytest.mark.parametrize("sync", [False, True])
def test_what_is_kept_is_there_after_a_restart(tmp_path, sync):
    store = OutcomeStore(tmp_path, sync=sync, warn=pytest.fail)
    requests = [make_request() for _ in range(3)]
    for request in requests:
        store.keep(request)
    store.forget(requests[0].attempt.attempt_id)
    found = open_store(tmp_path).load()
    assert {request.outcome_id for request in found} == {request.outcome_id for request in requests[1:]}
    assert all(request in requests for request in found)


def test_a_later_outcome_takes_the_place_of_the_first(tmp_path):
    store = open_store(tmp_path)
    request = make_request()
    store.keep(request)
    request.outcome.failed.failure.type = "crosswind.ValueTooLarge"
    store.keep(request)
    assert open_store(tmp_path).load() == [request]


def test_only_the_user_can_read_an_outcome(tmp_path):
    open_store(tmp_path).keep(make_request())
    (path,) = (tmp_path / "outcomes").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_half_a_file_is_set_aside(tmp_path):
    warnings: list[str] = []
    store = open_store(tmp_path, warnings)
    good = make_request()
    store.keep(good)
    (tmp_path / "outcomes" / "broken.finish").write_bytes(b"\xff\xff")
    (tmp_path / "outcomes" / "empty.finish").write_bytes(b"")
    assert open_store(tmp_path, warnings).load() == [good]
    assert len(warnings) == 2
    assert open_store(tmp_path, warnings).load() == [good]
    assert len(warnings) == 2


def test_an_attempt_id_does_not_lead_out_of_the_folder(tmp_path):
    store = open_store(tmp_path / "state") if (tmp_path / "state").mkdir() is None else None
    assert store is not None
    store.keep(make_request("../../escaped"))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_disk_that_refuses_is_told_and_not_fatal(tmp_path):
    warnings: list[str] = []
    store = open_store(tmp_path, warnings)
    (tmp_path / "outcomes").rmdir()
    request = make_request()
    store.keep(request)
    store.forget(request.attempt.attempt_id)
    assert request.attempt.attempt_id in warnings[0]
    assert "memory" in warnings[0]


def test_without_a_folder_nothing_is_kept():
    store = open_store(None)
    store.keep(make_request())
    assert store.load() == []


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"first")
    replace_file(path, b"second", sync=True)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["file"]


def test_a_state_folder_belongs_to_one_worker_at_a_time(tmp_path):
    folder = StateFolder.open(tmp_path / "w")
    with pytest.raises(StateFolderInUse, match="--state-dir"):
        StateFolder.open(tmp_path / "w")
    folder.close()
    StateFolder.open(tmp_path / "w").close()


def test_the_next_worker_finds_the_note_of_the_last(tmp_path):
    folder = StateFolder.open(tmp_path / "w")
    note = InstanceNote(name="w", server="127.0.0.1:1", instance_id="i", token="t")
    folder.note(note)
    folder.close()
    again = StateFolder.open(tmp_path / "w")
    assert again.previous == note
    assert stat.S_IMODE((tmp_path / "w" / "instance.json").stat().st_mode) == 0o600
    again.close()


def test_an_unnamed_worker_takes_its_folder_again_but_not_that_of_another_server(tmp_path):
    first = StateFolder.find(tmp_path, prefix="host-python", server="a:1")
    first.note(InstanceNote(name=first.path.name, server="a:1"))
    beside = StateFolder.find(tmp_path, prefix="host-python", server="a:1")
    assert beside.path != first.path
    first.close()
    again = StateFolder.find(tmp_path, prefix="host-python", server="a:1")
    other = StateFolder.find(tmp_path, prefix="host-python", server="b:1")
    assert again.path == first.path
    assert other.path != first.path
    for folder in (beside, again, other):
        folder.close()

"""Who speaks which API version, as the database knows it. On both databases. [VER-1]"""

import pytest

from crosswind_server.domain.errors import Refused
from crosswind_server.domain.version import ApiVersion, ServedVersions
from crosswind_server.services.catalog.bundles import Offer
from crosswind_server.services.catalog.version_use import VersionUse, read_use
from crosswind_server.services.heart import Heart
from crosswind_server.store import version_use as rows
from crosswind_server.timing import Timing
from crosswind_server.versions.bundles import BundleVersions
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History, Release
from crosswind_server.versions.releases import REASONS, current_descriptors
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker, refused

OLD, NEW = "2026-12-01", "2027-03-01"
SERVED = ServedVersions([ApiVersion.parse(OLD), ApiVersion.parse(NEW)])


def use(flow: Flow) -> dict[str, VersionUse]:
    found = flow.store.read_blocking(lambda uow: read_use(uow, SERVED, months=24))
    return {each.version: each for each in found}


def names(users) -> list[tuple[str, bool]]:
    return [(user.name + (f"@{user.bundle_version}" if user.bundle_version else ""), user.live) for user in users]


def counts(flow: Flow) -> tuple[dict[str, int], dict[str, int]]:
    workers, bundles = flow.store.read_blocking(
        lambda uow: (rows.count_live_workers(uow), rows.count_offered_bundles(uow))
    )
    return {row.api_version: row.number for row in workers}, {row.api_version: row.number for row in bundles}


def test_workers_and_bundles_count_with_their_own_versions(flow: Flow):
    old, new = flow.register("old", api_version=OLD), flow.register("new", api_version=NEW)
    flow.publish(dag_of("a", task("t")), to=new, bundle="young", version="y1", api_version=NEW)
    flow.publish(dag_of("b", task("t")), to=new, bundle="aged", version="a1", api_version=OLD)
    flow.publish(dag_of("b", task("t"), task("u")), to=old, bundle="aged", version="a2", api_version=OLD)
    found = use(flow)
    assert (names(found[OLD].workers), names(found[NEW].workers)) == ([("old", True)], [("new", True)])
    assert names(found[OLD].bundles) == [("aged@a2", True), ("aged@a1", True)]
    assert names(found[NEW].bundles) == [("young@y1", True)]
    assert counts(flow) == ({OLD: 1, NEW: 1}, {OLD: 2, NEW: 1})


def test_who_has_left_is_remembered_for_a_while_and_a_current_bundle_for_as_long_as_it_is(flow: Flow):
    leaver: Worker = flow.register("leaver", api_version=OLD)
    flow.publish(dag_of("a", task("t")), to=leaver, bundle="left", version="l1", api_version=OLD)
    flow.publish(dag_of("a", task("u")), to=leaver, bundle="left", version="l2", api_version=OLD)
    flow.store.write_blocking(flow.heart.deregister, (leaver.caller.team, leaver.instance_id))
    found = use(flow)[OLD]
    assert names(found.workers) == [("leaver", False)]
    assert found.workers[0].seen_us
    assert names(found.bundles) == [("left@l2", False)]
    assert found.bundles[0].seen_us is None
    assert counts(flow) == ({}, {})
    flow.fall_silent(leaver)
    assert names(use(flow)[OLD].workers) == []


def test_a_worker_that_was_upgraded_is_shown_with_both_versions(flow: Flow):
    before = flow.register("w", api_version=OLD)
    flow.register("w", api_version=NEW, previous=before)
    found = use(flow)
    assert (names(found[OLD].workers), names(found[NEW].workers)) == ([("w", False)], [("w", True)])


def test_a_version_that_is_not_served_is_shown_where_it_is_spoken(flow: Flow):
    flow.register("ancient", api_version="2026-01-01")
    found = use(flow)
    assert list(found) == ["2026-01-01", OLD, NEW]
    assert found["2026-01-01"].window is None
    assert found[OLD].window is not None


@pytest.fixture
def gated(flow: Flow) -> Flow:
    """A flow whose server serves two versions."""
    releases = tuple(Release(ApiVersion.parse(version), current_descriptors) for version in (OLD, NEW))
    flow.heart = Heart(flow.store, Timing(), versions=BundleVersions(Gates(History(releases, REASONS))))
    return flow


@pytest.mark.parametrize(
    ("api_version", "reason"),
    [
        ("", "API_VERSION_MISSING"),
        ("next year", "API_VERSION_MALFORMED"),
        ("2027-01-01", "API_VERSION_UNKNOWN"),
        ("2026-01-01", "CLIENT_TOO_OLD"),
        ("2099-01-01", "CLIENT_TOO_NEW"),
    ],
)
def test_a_bundle_of_another_version_is_refused_before_anything_of_it_is_stored(gated: Flow, api_version, reason):
    worker = gated.register()
    publish = {"to": worker, "bundle": "other", "version": "v1", "api_version": api_version}
    assert refused(lambda: gated.publish(dag_of("d", task("t")), **publish)) == reason
    assert use(gated).keys() == {OLD, NEW}
    assert refused(lambda: gated.trigger("d")) == "DAG_NOT_FOUND"
    assert gated.publish(dag_of("d", task("t")), to=worker, bundle="other", version="v1").current


def test_a_registration_is_not_refused_for_the_version_of_a_bundle(gated: Flow):
    worker = gated.register()
    gated.publish(dag_of("d", task("t")), to=worker, bundle="b", version="v1")
    releases = (Release(ApiVersion.parse(NEW), current_descriptors),)
    gated.heart = Heart(gated.store, Timing(), versions=BundleVersions(Gates(History(releases, REASONS))))
    again = gated.register("w2", offers=[Offer(bundle="b", version="v1")])
    assert (
        refused(lambda: gated.publish(dag_of("d", task("t")), to=again, bundle="b", version="v1")) == "CLIENT_TOO_OLD"
    )
    # What was stored is read as far as it can be: its runs go on being shown, and can be ended.
    key = gated.trigger("d")
    assert gated.states(key) == {"t": "queued"}
    assert gated.take(again) == []
    with pytest.raises(Refused, match=r"this server serves 2027-03-01"):
        gated.publish(dag_of("d", task("t")), to=again, bundle="b", version="v1")

"""The trigger rules alone: counting, as the server does, against trying every way in which things could end."""

from __future__ import annotations

from itertools import product

import pytest

from crosswind_server.domain.readiness import Counts, Readiness, TriggerRule, judge
from tests.lifecycle.graph_twin import FAILED, READY, SKIPPED, SUCCEEDED, UPSTREAM_FAILED, WAITING, decide
from tests.lifecycle.graphs import RULES

_SAID = {
    Readiness.WAIT: WAITING,
    Readiness.RUN: READY,
    Readiness.SKIP: SKIPPED,
    Readiness.UPSTREAM_FAILED: UPSTREAM_FAILED,
}


@pytest.mark.parametrize("rule", RULES)
def test_counting_says_what_trying_every_way_says(rule: str):
    for size in range(5):
        for before in product((SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED, WAITING), repeat=size):
            counts = Counts(
                total=size,
                succeeded=before.count(SUCCEEDED),
                failed=before.count(FAILED),
                skipped=before.count(SKIPPED),
                upstream_failed=before.count(UPSTREAM_FAILED),
            )
            assert _SAID[judge(TriggerRule(rule), counts)] == decide(rule, before), before

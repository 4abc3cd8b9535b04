"""The laboratory's cases, by clients of every version: around stubs in two languages, and without a socket."""

import pytest

from crosswind_server.versions.changes import Change
from tests.compat.lab.case import Case, differences
from tests.compat.lab.cases import CASES
from tests.compat.lab.history import MODULES

pytestmark = pytest.mark.timeout(600)  # the first one builds programs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_by_generated_stubs(case: Case, clients):
    assert [line for version in case.versions for line in differences(case, version, clients)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_within_the_process(case: Case, direct):
    assert [line for version in case.versions for line in differences(case, version, direct)] == []


def test_every_case_has_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_kind_of_change_is_used_and_has_a_case():
    kinds = {type(change).__name__ for module in MODULES for change in module.CHANGES}
    assert kinds == {kind.__name__ for kind in Change.__subclasses__()}
    assert kinds <= {case.name.partition("/")[0] for case in CASES}

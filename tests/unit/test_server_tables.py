"""The tables of the server against the protocol: every method has a rule, every gap stands in the documents."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import crosswind.control.v1
import crosswind.execution.v1
from crosswind.execution.v1 import errors_pb2
from crosswind_server.domain.errors import CODE_OF, Reason, Refused
from crosswind_server.rpc.authorisation import RULES, Rule, authorise
from crosswind_server.rpc.unsupported import UNSUPPORTED, describe_unsupported
from crosswind_server.services.access.callers import Caller, CallerKind, Role

ROOT = Path(__file__).resolve().parents[2]


def methods() -> dict[str, str]:
    """Every method of the services that the server has, with its comment in the proto."""
    found = {}
    for package in (crosswind.control.v1, crosswind.execution.v1):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_pb2"):
                descriptor = importlib.import_module(f"{package.__name__}.{module.name}").DESCRIPTOR
                text = (ROOT / "proto" / descriptor.name).read_text()
                for service in descriptor.services_by_name.values():
                    for method in service.methods:
                        comment = re.search(rf"((?:^ +//.*\n)+) +rpc {method.name}\(", text, re.MULTILINE)
                        assert comment is not None
                        words = re.sub(r"\s+//\s*|\s+", " ", comment[1])
                        found[f"/{service.full_name}/{method.name}"] = words
    return found


METHODS = methods()


def test_every_method_has_a_rule_and_no_rule_is_left_over():
    assert set(RULES) == set(METHODS)


@pytest.mark.parametrize("method", sorted(m for m in METHODS if ".control." in m))
def test_the_rule_is_the_role_that_the_proto_names(method):
    role = re.search(r"Role: (VIEWER|OPERATOR; VIEWER|OPERATOR|ADMIN)", METHODS[method])
    assert role is not None
    # Where a viewer may call for some things, the table lets it in and the handler looks closer.
    assert RULES[method].name == role[1].split("; ")[-1]


def test_a_method_outside_the_table_is_open_to_nobody():
    for kind in CallerKind:
        who = Caller(team="default", subject="s", kind=kind, token_id="t", role=Role.ADMIN, instance_id="i")
        with pytest.raises(Refused) as refused:
            authorise(who, "/crosswind.control.v1.DagService/Unheard")
        assert refused.value.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize("method", sorted(RULES))
@pytest.mark.parametrize(
    ("kind", "role", "opens"),
    [
        (CallerKind.ACCESS, Role.VIEWER, {Rule.VIEWER}),
        (CallerKind.ACCESS, Role.OPERATOR, {Rule.VIEWER, Rule.OPERATOR}),
        (CallerKind.ACCESS, Role.ADMIN, {Rule.VIEWER, Rule.OPERATOR, Rule.ADMIN}),
        (CallerKind.ENROLMENT, None, {Rule.ENROLLING}),
        (CallerKind.WORKER, None, {Rule.ENROLLING, Rule.WORKER, Rule.WORKER_IN_GRACE, Rule.TASK}),
    ],
)
def test_a_token_opens_what_its_kind_and_role_allow(method, kind, role, opens):
    who = Caller(team="default", subject="s", kind=kind, token_id="t", role=role, instance_id="i")
    if RULES[method] in opens:
        authorise(who, method)
    elif RULES[method] is not Rule.ANYONE:
        with pytest.raises(Refused) as refused:
            authorise(who, method)
        assert refused.value.reason is Reason.PERMISSION_DENIED


def test_an_expired_worker_token_registers_heartbeats_and_finishes_only():
    who = Caller(team="default", subject="s", kind=CallerKind.WORKER, token_id="t", instance_id="i", expired=True)
    reasons: dict[str, Reason | None] = {}
    for method, rule in RULES.items():
        if rule in (Rule.ENROLLING, Rule.WORKER, Rule.WORKER_IN_GRACE, Rule.TASK):
            try:
                authorise(who, method)
                reasons[method.rpartition("/")[2]] = None
            except Refused as refused:
                reasons[method.rpartition("/")[2]] = refused.reason
    assert {name for name, reason in reasons.items() if reason is None} == {
        "RegisterWorker",
        "Heartbeat",
        "FinishAttempt",
    }
    assert set(reasons.values()) == {None, Reason.TOKEN_EXPIRED}


def test_the_document_says_what_is_not_supported():
    text = (ROOT / "docs" / "protocol.md").read_text()
    block = text.partition("<!-- unsupported: begin -->")[2].partition("<!-- unsupported: end -->")[0]
    assert block.strip() == describe_unsupported()
    assert set(UNSUPPORTED) <= set(METHODS)


def test_reasons_and_their_codes_are_those_of_the_proto():
    text = (ROOT / "proto" / "crosswind" / "execution" / "v1" / "errors.proto").read_text()
    told = re.findall(r"// ([A-Z_]+)\. .*\n(?:\s*//.*\n)*\s*ERROR_REASON_(\w+) =", text)
    codes = {reason: code for code, reason in told}
    names = {
        name.removeprefix("ERROR_REASON_")
        for name in errors_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_name
    } - {"UNSPECIFIED"}
    assert {reason.value for reason in Reason} == names
    assert {reason.value: code.value for reason, code in CODE_OF.items()} == codes


def test_a_pattern_of_a_token_is_a_name_or_a_prefix():
    who = Caller(team="t", subject="s", kind=CallerKind.ENROLMENT, token_id="i", bundles=("a", "b_*"), queues=("*",))
    assert [who.may_publish(name) for name in ("a", "ab", "b_1", "b")] == [True, False, True, False]
    assert who.may_serve("anything")

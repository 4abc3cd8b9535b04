"""Envelopes and tokens, without a database."""

import dataclasses

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.callers import Caller, CallerKind, Role
from crosswind_server.services.access.sealing import CannotOpen, Sealer, make_key
from crosswind_server.services.access.tokens import DAY_US, TokenSigner, needs_renewal

NOW = 1_800_000_000_000_000


def test_an_envelope_opens_with_its_key_and_at_its_place_only():
    key, other = make_key(), make_key()
    sealer = Sealer([key])
    envelope = sealer.seal(b"secret", "variable:a/b")
    assert b"secret" not in envelope
    assert sealer.seal(b"secret", "variable:a/b") != envelope
    assert sealer.open(envelope, "variable:a/b") == b"secret"
    with pytest.raises(CannotOpen, match="another place"):
        sealer.open(envelope, "variable:a/c")
    with pytest.raises(CannotOpen, match="changed"):
        sealer.open(envelope[:-1] + bytes([envelope[-1] ^ 1]), "variable:a/b")
    with pytest.raises(CannotOpen, match="--encryption-key-file"):
        Sealer([other]).open(envelope, "variable:a/b")
    with pytest.raises(CannotOpen, match="not an envelope"):
        sealer.open(b"plain", "variable:a/b")


def test_keys_rotate():
    old, new = make_key(), make_key()
    envelope = Sealer([old]).seal(b"secret", "p")
    both = Sealer([new, old])
    assert both.open(envelope, "p") == b"secret"
    with pytest.raises(CannotOpen):
        Sealer([old]).open(both.seal(b"secret", "p"), "p")


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(Ed25519PrivateKey.generate())


def caller(kind: CallerKind, **fields: object) -> Caller:
    plain = Caller(
        team="default",
        subject="me",
        kind=kind,
        token_id="id",
        role=Role.VIEWER if kind is CallerKind.ACCESS else None,
        instance_id="i" if kind is CallerKind.WORKER else None,
        enrolment_token_id="e" if kind is CallerKind.WORKER else None,
        bundles=() if kind is CallerKind.ACCESS else ("a", "b*"),
        queues=() if kind is CallerKind.ACCESS else ("*",),
        issued_us=NOW,
        expires_us=NOW + DAY_US,
    )
    return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]  # fields of Caller


@pytest.mark.parametrize("kind", list(CallerKind))
def test_a_token_says_who_holds_it(signer, kind):
    who = caller(kind)
    verifier = signer.verifier()
    token = signer.sign(who)
    assert verifier.verify(token, now_us=NOW) == who
    assert verifier.verify(token, now_us=NOW) is verifier.verify(token, now_us=NOW)


def refusal(verifier, token, now_us) -> Reason:
    with pytest.raises(Refused) as refused:
        verifier.verify(token, now_us=now_us)
    assert token not in refused.value.message
    return refused.value.reason


def test_a_token_of_another_key_or_kind_is_none_of_ours(signer):
    verifier = signer.verifier()
    foreign = TokenSigner(Ed25519PrivateKey.generate()).sign(caller(CallerKind.ACCESS))
    unsigned = jwt.encode({"sub": "me"}, key="", algorithm="none")
    shared = jwt.encode({"sub": "me"}, key="k" * 32, algorithm="HS256")
    for token in (foreign, unsigned, shared, "x", signer.sign(caller(CallerKind.ACCESS))[:-2]):
        assert refusal(verifier, token, NOW) is Reason.TOKEN_INVALID


def test_only_worker_tokens_have_a_grace(signer):
    verifier = signer.verifier()
    after = NOW + DAY_US + 1_000_000
    assert refusal(verifier, signer.sign(caller(CallerKind.ACCESS)), after) is Reason.TOKEN_EXPIRED
    assert refusal(verifier, signer.sign(caller(CallerKind.ENROLMENT)), after) is Reason.TOKEN_EXPIRED
    worker = signer.sign(caller(CallerKind.WORKER))
    assert not verifier.verify(worker, now_us=NOW).expired
    assert verifier.verify(worker, now_us=after).expired
    assert refusal(verifier, worker, after + 7 * DAY_US) is Reason.TOKEN_EXPIRED


def test_revoking_ends_a_known_token_and_those_exchanged_for_it(signer):
    verifier = signer.verifier()
    access, worker = signer.sign(caller(CallerKind.ACCESS)), signer.sign(caller(CallerKind.WORKER, token_id="w"))
    verifier.verify(access, now_us=NOW)
    verifier.verify(worker, now_us=NOW)
    verifier.replace_revoked(["id"])
    assert refusal(verifier, access, NOW) is Reason.TOKEN_REVOKED
    verifier.verify(worker, now_us=NOW)
    verifier.replace_revoked(["e"])
    assert refusal(verifier, worker, NOW) is Reason.TOKEN_REVOKED


def test_a_token_is_renewed_in_the_second_half_of_its_life():
    who = caller(CallerKind.WORKER)
    assert not needs_renewal(who, NOW + DAY_US // 2)
    assert needs_renewal(who, NOW + DAY_US // 2 + 1)

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind.execution.v1 import failure_pb2, lease_pb2
from crosswind.runtime.masking import MASK, Masker

secrets = st.text(min_size=3, max_size=30).filter(lambda text: len(text.strip()) >= 3 and "*" not in text)


def masker_of(*texts: str) -> Masker:
    masker = Masker()
    for text in texts:
        masker.add(text)
    return masker


@given(secret=secrets, before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_secret_never_stands_in_a_masked_text(secret, before, after):
    assert secret not in masker_of(secret).mask(before + secret + after)


@given(secret=secrets.filter(lambda text: text.isprintable()))
def test_the_forms_of_a_secret_are_masked(secret):
    masker = masker_of(secret)
    data = secret.encode()
    for form in (
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
    ):
        assert form not in masker.mask(f"<{form}>")


@given(texts=st.lists(secrets, min_size=1, max_size=12))
def test_the_longest_of_several_secrets_wins(texts):
    masker = masker_of(*texts)
    for text in texts:
        assert masker.mask(text) in (MASK, masker.mask(text.strip()).join(text.split(text.strip(), 1)))


def test_a_secret_that_begins_another_hides_nothing_of_it():
    masker = masker_of("pass", "password", "password1234")
    assert masker.mask("password1234 password pass") == f"{MASK} {MASK} {MASK}"


@pytest.mark.parametrize("login", ["a", "ab", "abc", "admin"])
def test_basic_authentication_is_masked(login):
    password = "correct horse battery"
    header = base64.b64encode(f"{login}:{password}".encode()).decode()
    masked = masker_of(password).mask(f"Authorization: Basic {header}")
    assert MASK in masked
    hidden = base64.b64encode(password.encode()).decode()
    assert all(hidden[i : i + 12] not in masked for i in range(len(hidden) - 12))


def test_a_url_with_a_password_is_masked():
    masked = masker_of("p@ss/w:rd").mask("postgresql://u:p%40ss%2Fw%3Ard@db/x and p%40ss%2fw%3ard")
    assert masked == f"postgresql://u:{MASK}@db/x and {MASK}"


def test_each_line_of_a_secret_is_masked():
    masker = masker_of("-----BEGIN KEY-----\n  abcdef\nghijkl\n-----END KEY-----\n")
    assert masker.mask("abcdef") == MASK
    assert masker.mask("x ghijkl y") == f"x {MASK} y"


def test_two_characters_are_no_secret():
    assert masker_of("ab", "").mask("abab") == "abab"


def test_a_variable_is_a_secret_unless_it_is_public():
    masker = Masker()
    masker.add_variable(lease_pb2.Variable(key="a", value="hidden"))
    masker.add_variable(lease_pb2.Variable(key="b", value="shown", public=True))
    masker.add_variable(lease_pb2.Variable(key="c", value='{"user": "alice", "keys": ["first-key"], "size": 500}'))
    assert masker.mask("hidden shown alice first-key 500") == f"{MASK} shown {MASK} {MASK} 500"


def test_the_secrets_of_a_connection_are_its_password_and_settings():
    masker = Masker()
    masker.add_connection(
        lease_pb2.Connection(
            connection_id="db", host="db.example", login="bob", password="pa55", extra_json='{"token": "tok3n"}'
        )
    )
    assert masker.mask("db db.example bob pa55 tok3n") == f"db db.example bob {MASK} {MASK}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)
def test_masked_json_stays_json(value):
    masker = masker_of("secret", "123", 'quo"te')
    holder = {"value": value, "secret": ['the quo"te', 123, "secret"]}
    masked = json.loads(masker.mask_json(json.dumps(holder)))
    assert masked[MASK] == [f"the {MASK}", MASK, MASK]


def test_half_a_secret_at_a_cut_is_taken_away():
    masker = masker_of("0123456789abcdef")
    assert masker.mask_cut("text 0123456789a") == "text "
    assert masker.mask_cut("text 0123456789abcdef") == f"text {MASK}"
    assert masker.mask_cut("text 01") == "text 01"


def test_a_failure_is_masked_with_its_causes():
    failure = failure_pb2.Failure(
        message="no hunter2",
        frames=[failure_pb2.Failure.Frame(code="login('hunter2')")],
        cause=failure_pb2.Failure(message="hunter2!", exit=failure_pb2.Failure.ProcessExit(stderr_tail="was hunter2")),
    )
    masker_of("hunter2").mask_failure(failure)
    assert "hunter2" not in str(failure)
    assert failure.cause.exit.stderr_tail == f"was {MASK}"


def test_a_secret_counts_from_when_it_is_added():
    masker = masker_of("first")
    assert masker.mask("first second") == f"{MASK} second"
    masker.add("second")
    assert masker.mask("first second") == f"{MASK} {MASK}"


def test_secrets_are_shared_with_the_masker_of_a_process():
    shared, first, second = Masker(), masker_of("early"), Masker()
    first.share_with(shared)
    second.share_with(shared)
    first.share_with(shared)
    second.add("later\nin two lines")
    assert shared.mask("early later in two lines") == f"{MASK} {MASK} {MASK}"
    assert first.mask("later") == "later"

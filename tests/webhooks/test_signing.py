"""Messages: what they say, who signed them, and what is refused."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import IntegrityError, UsageError
from holdfast.webhooks import verify
from holdfast.webhooks.signing import Message, headers, new_secret

# The example that the reference libraries of Standard Webhooks are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KNOWN = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'


def test_what_the_reference_signs_is_verified() -> None:
    assert verify(SECRET, KNOWN, BODY, now=1614265330) == {"test": 2432232314}


def test_what_is_signed_here_is_what_the_reference_signs() -> None:
    assert (
        headers(Message(KNOWN["webhook-id"], BODY), [SECRET], 1614265330.9)["webhook-signature"]
        == (KNOWN["webhook-signature"])
    )


@given(st.dictionaries(st.text(max_size=9), st.integers(-99, 99)), st.integers(0, 2**40))
def test_what_was_signed_says_what_it_said(said: dict[str, int], moment: int) -> None:
    secret = new_secret()
    message = Message("wh_1_7", json.dumps(said).encode())
    assert verify(secret, headers(message, [secret], moment), message.body, now=moment) == said


def test_a_message_of_two_secrets_is_verified_by_either_and_by_a_receiver_that_knows_both() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    message = Message("wh_1_7", b"{}")
    said = headers(message, [new, old], time.time())
    assert said["webhook-signature"].count("v1,") == 2
    for known in (old, new, [other, old]):
        assert verify(known, said, message.body) == {}
    with pytest.raises(IntegrityError, match="no signature"):
        verify(other, said, message.body)


@pytest.mark.parametrize(
    ("name", "value", "body", "now", "why"),
    [
        ("webhook-id", "msg_another", BODY, 1614265330, "no signature"),
        ("webhook-timestamp", "1614265331", BODY, 1614265330, "no signature"),
        ("webhook-id", KNOWN["webhook-id"], BODY + b" ", 1614265330, "no signature"),
        ("webhook-id", KNOWN["webhook-id"], BODY, 1614265330 + 301, "300 seconds from now"),
        ("webhook-id", KNOWN["webhook-id"], BODY, 1614265330 - 301, "300 seconds from now"),
        ("webhook-id", "", BODY, 1614265330, "headers"),
        ("webhook-timestamp", "-1", BODY, 1614265330, "headers"),
        ("webhook-timestamp", "9" * 400, BODY, 1614265330, "headers"),
        ("webhook-signature", "v1,ü", BODY, 1614265330, "no signature"),
        ("webhook-signature", KNOWN["webhook-signature"].replace("v1,", "v2,"), BODY, 1614265330, "no signature"),
    ],
)
def test_what_was_touched_or_kept_back_is_refused(name: str, value: str, body: bytes, now: float, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        verify(SECRET, {**KNOWN, name: value}, body, now=now)


def test_names_of_headers_are_read_in_any_case() -> None:
    assert verify(SECRET, {name.title(): value for name, value in KNOWN.items()}, BODY, now=1614265330)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_###", "plain words"])
def test_what_is_no_secret_is_told_as_that(secret: str) -> None:
    with pytest.raises(UsageError, match="no secret"):
        verify(secret, KNOWN, BODY)

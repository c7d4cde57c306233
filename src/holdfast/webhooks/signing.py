"""Messages as Standard Webhooks has them: an id, a moment, a body, and an HMAC-SHA256 over the three.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Law: `verify(secret, headers(message, [secret], now), message.body, now=now)` gives what the body says.
"""

import hashlib
import hmac
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.canonical import JsonObject, decode, encode
from holdfast.database.times import to_text
from holdfast.errors import IntegrityError, UsageError
from holdfast.registry.records import Event

__all__ = [
    "TOLERANCE_SECONDS",
    "Message",
    "Sent",
    "headers",
    "message_of",
    "new_secret",
    "our_words",
    "test_message",
    "verify",
]

TOLERANCE_SECONDS = 300.0
"""How far the moment of a message may lie from the receiver's clock: what is older may be somebody's replay."""

_PREFIX = "whsec_"

_SECRET_BYTES = 32
"""As many as the hash gives; the specification asks for 24 to 64."""

_HASH_DIGITS = 12
"""Of an event's hash: what tells two histories of one log apart."""

_SECRET_BYTES_MIN, _SECRET_BYTES_MAX = 24, 64


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        id: the same each time that the same event is sent to the same webhook: receivers drop doubles by it.
        body: the JSON, byte for byte what is signed.
    """

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A message with all that goes with it.

    Attributes:
        headers: which sign it.
        body: byte for byte what is signed.
    """

    headers: Mapping[str, str]
    body: bytes


def our_words(webhook: str, event: Event, signers: Sequence[str], seconds: float) -> Sent:
    """How a webhook is told of an event at a moment, in seconds since 1970; each of the secrets signs."""
    message = message_of(webhook, event)
    return Sent(headers(message, signers, seconds), message.body)


def message_of(webhook: str, event: Event) -> Message:
    """The message that tells a webhook of an event."""
    said = {"type": event.action.replace(":", "."), "timestamp": to_text(event.time), "data": event.to_json()}
    # The hash tells it from an event that had this index in a log that was put back from a backup.
    return Message(f"{webhook}_{event.index}_{event.hash.rpartition(':')[2][:_HASH_DIGITS]}", encode(said))


def test_message(webhook: str, once: str, moment: str) -> Message:
    """A message that tells of nothing.

    Args:
        webhook: whose.
        once: an id that nothing had before.
        moment: when, as text.
    """
    said = {"type": "server.webhook.test", "timestamp": moment, "data": {"webhook": webhook}}
    return Message(f"{webhook}_test_{once}", encode(said))


def new_secret() -> str:
    """A secret that nobody has: `whsec_` and base 64."""
    return _PREFIX + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(message: Message, signers: Sequence[str], seconds: float) -> dict[str, str]:
    """The headers of a message that is sent at a moment.

    Args:
        message: what is sent.
        signers: secrets; each signs, and a receiver needs to know one.
        seconds: the moment, since 1970.
    """
    moment = str(int(seconds))
    signed = " ".join(f"v1,{_signature(_key(one), message.id, moment, message.body)}" for one in signers)
    return {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": moment,
        "webhook-signature": signed,
    }


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> JsonObject:
    """What a message says, once it is known to be from who has the secret, and from just now.

    It does not remember messages: a receiver that must not act twice keeps the `webhook-id`s that it has dealt with.

    Args:
        secret: `whsec_…`; or several, while one takes another's place.
        headers: of the request; the case of their names does not matter.
        body: of the request, byte for byte.
        now: the moment, in seconds since 1970; None: the clock of this machine.
        tolerance_seconds: how far the message's own moment may lie from it.

    Raises:
        IntegrityError: not signed with the secret, or not from just now.
        UsageError: not such a secret.
    """
    keys = [_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    said = {name.lower(): value for name, value in headers.items()}
    name, moment = said.get("webhook-id", ""), said.get("webhook-timestamp", "")
    if not name or not (moment.isascii() and moment.isdigit() and len(moment) < 16):  # noqa: PLR2004 - a number of seconds
        raise _refused("its headers do not say which message it is, and from when")
    found = [one.removeprefix("v1,") for one in said.get("webhook-signature", "").split(" ") if one.startswith("v1,")]
    wanted = [_signature(key, name, moment, body) for key in keys]
    # Every pair is compared, each in constant time: how long it takes says nothing of how near a guess was.
    fits = [hmac.compare_digest(one.encode(), other.encode()) for one in found for other in wanted]
    if not any(fits):
        raise _refused("no signature on it is by this secret")
    if abs((time.time() if now is None else now) - int(moment)) > tolerance_seconds:
        raise _refused(f"it was signed more than {tolerance_seconds:g} seconds from now")
    said_in_it = decode(body, what="the message", exact=True)
    if not isinstance(said_in_it, dict):
        raise _refused("its body is no JSON object")
    return said_in_it


def _signature(key: bytes, name: str, moment: str, body: bytes) -> str:
    signed = b".".join((name.encode(), moment.encode(), body))
    return b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not _SECRET_BYTES_MIN <= len(key) <= _SECRET_BYTES_MAX:
        raise UsageError(
            "that is no secret of a webhook", hint="It begins with whsec_, and `holdfast webhook add` told it once."
        )
    return key


def _refused(why: str) -> IntegrityError:
    return IntegrityError(f"the message is not to be trusted: {why}", hint="Answer 401, and do nothing that it says.")

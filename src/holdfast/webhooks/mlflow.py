"""Webhooks that MLflow's clients made: told in MLflow's words, with MLflow's headers and its signature.

    X-MLflow-Signature: v1,base64(HMAC-SHA256(secret, "<delivery id>.<seconds>.<body>"))

mlflow.org, "Webhooks". They are webhooks like all others otherwise: the log is their outbox, addresses are judged, and
a message is sent again, under the same id, until its receiver takes it.
"""

import asyncio
import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from holdfast.canonical import JsonObject
from holdfast.digest import hash_bytes
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.hooks import Hook, HookEvent, HookStatus, SqlHooks
from holdfast.registry.records import Event
from holdfast.registry.webhooks import Claim, NewWebhook, Webhook, Wish
from holdfast.registry.webhooks.interface import Ledger
from holdfast.webhooks.sealing import Seal
from holdfast.webhooks.sending import Sender
from holdfast.webhooks.signing import Sent, our_words

__all__ = ["Asked", "Held", "HookOffice", "Words"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", re.IGNORECASE)

_SECRET_CHARACTERS_MAX = 1_000
"""What MLflow's own store keeps."""

_DESCRIPTION_CHARACTERS_MAX = 1_000

_UUID_BYTES = 16

_NO_TIME = timedelta()
"""A secret that a client replaces signs nothing from then on, as with MLflow."""

_EXAMPLES: dict[HookEvent, JsonObject] = {
    ("registered_model", "created"): {"name": "churn", "tags": {}, "description": None},
    ("model_version", "created"): {
        "name": "churn",
        "version": "1",
        "source": "models:/m-0",
        "run_id": None,
        "tags": {},
        "description": None,
    },
    ("model_version_alias", "created"): {"name": "churn", "alias": "champion", "version": "1"},
    ("model_version_alias", "deleted"): {"name": "churn", "alias": "champion"},
}
"""What a trial says."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants of a webhook; None where it says nothing of it.

    Attributes:
        name, url, description: of the webhook.
        events: which it is told of.
        secret: what it is signed with; empty: nothing signs.
        status: whether it is told.
    """

    name: str | None = None
    url: str | None = None
    description: str | None = None
    events: tuple[HookEvent, ...] | None = None
    secret: str | None = None
    status: HookStatus | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise UsageError(
                f"Webhook name {self.name[:100]!r} is invalid. It must start and end with a letter or digit, be less "
                "than 63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens "
                "(-).",
                hint="Take another one.",
            )
        for text, limit in (
            (self.secret, _SECRET_CHARACTERS_MAX),
            (self.description, _DESCRIPTION_CHARACTERS_MAX),
        ):
            if text is not None and len(text) > limit:
                raise UsageError(f"A webhook's secret and description may have {limit} characters.", hint="Shorten it.")


@dataclass(frozen=True, slots=True)
class Held:
    """A webhook, and what its client said of it."""

    hook: Hook
    webhook: Webhook


class HookOffice:
    """What MLflow's clients ask of webhooks.

    Args:
        ledger: where all webhooks are.
        hooks: what clients say of theirs.
        seal: for their secrets.
        sender: knows which addresses may be told, and tells one.
        clock: gives the moment, in UTC.
    """

    def __init__(
        self, ledger: Ledger, hooks: SqlHooks, seal: Seal, sender: Sender, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._hooks = hooks
        self._seal = seal
        self._sender = sender
        self._clock = clock

    def add(self, name: str, url: str, events: tuple[HookEvent, ...], asked: Asked, actor: str) -> Held:
        """Have an address told of these events from here on.

        Raises:
            UsageError, PermissionRefused: no address that may be told.
            TooLarge: there are as many webhooks as there can be.
        """
        self._sender.target(url)
        id_, now = self._ledger.new_id(), self._now_ms()
        hook = Hook(id_, name, asked.description or None, events, asked.status or HookStatus.ACTIVE, now, now)
        # First what is said of it: a webhook of which nothing is said would be told in our own words.
        self._hooks.add(hook)
        sealed = self._seal.seal(asked.secret or "", id_)
        return Held(hook, self._ledger.add(id_, _new(url, hook), sealed, actor))

    def all(self) -> list[Held]:
        """The webhooks of clients, the newest first."""
        known = {one.id: one for one in self._ledger.webhooks()}
        return [Held(hook, known[hook.id]) for hook in self._hooks.all() if hook.id in known]

    def find(self, id_: str) -> Held:
        """One of them.

        Raises:
            NotFound: there is none such.
        """
        hook = self._hooks.find(id_)
        webhook = next((one for one in self._ledger.webhooks() if one.id == id_), None)
        if webhook is None:
            raise NotFound(f"Webhook with ID {id_} not found.", hint="List the webhooks.")
        return Held(hook, webhook)

    def change(self, id_: str, asked: Asked, actor: str) -> Held:
        """Change what is said; where it leads, and what it is told, change with an event of the log.

        Raises:
            NotFound: there is none such.
            As `add`.
        """
        held = self.find(id_)
        url = asked.url or held.webhook.url
        self._sender.target(url)
        said = {
            name: value
            for name in ("name", "description", "events", "status")
            if (value := getattr(asked, name)) is not None
        }
        hook = replace(held.hook, **said)
        if asked.secret is not None:
            self._ledger.rotate(id_, self._seal.seal(asked.secret, id_), overlap=_NO_TIME, actor=actor)
        webhook = held.webhook
        if (url, hook.actions()) != (webhook.url, webhook.wish.actions):
            webhook = self._ledger.readdress(id_, _new(url, hook), actor)
        return Held(self._hooks.change(hook, self._now_ms()), webhook)

    def remove(self, id_: str, actor: str) -> None:
        """Tell the address nothing more.

        Raises:
            NotFound: there is none such.
        """
        self.find(id_)
        self._ledger.remove(id_, actor)
        self._hooks.remove(id_)

    def test(self, id_: str, event: HookEvent | None = None) -> JsonObject:
        """Send an example now, and say what came of it. It runs an event loop of its own: ask it from a thread.

        What the receiver answered beside its status is not told: it may come from where nobody should look.
        """
        held, claim, now = self.find(id_), self._ledger.find(id_), self._clock()
        event = event or held.hook.events[0]
        sent = _sent(event, _EXAMPLES[event], now, (self._ledger.new_id(), self._opened(claim), now.timestamp()))
        answer = asyncio.run(self._sender.send(claim.url, sent.headers, sent.body))
        result: JsonObject = {"success": answer.taken}
        if answer.status is not None:
            result["response_status"] = answer.status
        if not answer.taken:
            result["error_message"] = f"Failed to test webhook: {answer.sentence}"
        return result

    def _opened(self, claim: Claim) -> str:
        return self._seal.open(claim.secrets[0], claim.id)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


class Words:
    """How every webhook is told: those of MLflow's clients in MLflow's words, the others in ours.

    Args:
        hooks: what clients said of theirs.
    """

    def __init__(self, hooks: SqlHooks) -> None:
        self._hooks = hooks

    def __call__(self, webhook: str, event: Event, signers: list[str], seconds: float) -> Sent | None:
        """What is sent of an event; None where the webhook is not to hear of it."""
        hook = self._hooks.maybe(webhook)
        if hook is None:
            return our_words(webhook, event, signers, seconds)
        told = hook.told(event.action)
        if told is None:
            return None
        message = f"{webhook}_{event.index}_{event.hash}"
        return _sent(told, self._hooks.data(told, event), event.time, (message, signers[0], seconds))


def _new(url: str, hook: Hook) -> NewWebhook:
    return NewWebhook(url, Wish.of(hook.actions()))


def _sent(told: HookEvent, data: JsonObject, when: datetime, signed: tuple[str, str, float]) -> Sent:
    """A message and its headers; `signed` has what its id is made of, the secret, and the moment of sending."""
    name, secret, seconds = signed
    entity, action = told
    said = {"entity": entity, "action": action, "timestamp": when.isoformat(), "data": data}
    body = json.dumps(said).encode()
    # The same each time that the same event is sent, so that receivers can drop doubles by it.
    delivery = str(UUID(bytes=bytes.fromhex(hash_bytes(name.encode()).hex)[:_UUID_BYTES], version=4))
    moment = str(int(seconds))
    headers = {
        "content-type": "application/json",
        "x-mlflow-delivery-id": delivery,
        "x-mlflow-timestamp": moment,
    }
    if secret:
        content = b".".join((delivery.encode(), moment.encode(), body))
        mac = hmac.new(secret.encode(), content, hashlib.sha256).digest()
        headers["x-mlflow-signature"] = f"v1,{b64encode(mac).decode()}"
    return Sent(headers, body)

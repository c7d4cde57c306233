"""What administrators ask of the webhooks of this project."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from holdfast.database.times import to_text
from holdfast.registry.webhooks import Given, NewWebhook, Trial, Webhook
from holdfast.registry.webhooks.interface import OVERLAP, Ledger
from holdfast.webhooks.sealing import Seal
from holdfast.webhooks.sending import Sender
from holdfast.webhooks.signing import headers, new_secret, test_message

__all__ = ["Office"]


class Office:
    """`Webhooks` of a database: it judges addresses, makes secrets, and seals them.

    Args:
        ledger: where they are kept.
        seal: for their secrets.
        sender: knows which addresses may be told, and tells one.
        clock: gives the moment, in UTC.
    """

    def __init__(self, ledger: Ledger, seal: Seal, sender: Sender, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._seal = seal
        self._sender = sender
        self._clock = clock

    def add(self, new: NewWebhook, actor: str) -> Given:
        """See `Webhooks.add`."""
        self._sender.target(new.url)
        name, secret = self._ledger.new_id(), new_secret()
        return Given(self._ledger.add(name, new, self._seal.seal(secret, name), actor), secret)

    def webhooks(self) -> tuple[Webhook, ...]:
        """See `Webhooks.webhooks`."""
        return self._ledger.webhooks()

    def rotate(self, webhook: str, actor: str, overlap: timedelta = OVERLAP) -> Given:
        """See `Webhooks.rotate`."""
        secret = new_secret()
        return Given(self._ledger.rotate(webhook, self._seal.seal(secret, webhook), overlap, actor), secret)

    def resume(self, webhook: str, actor: str, *, skip: bool = False) -> Webhook:
        """See `Webhooks.resume`."""
        return self._ledger.resume(webhook, actor, skip=skip)

    def remove(self, webhook: str, actor: str) -> Webhook:
        """See `Webhooks.remove`."""
        return self._ledger.remove(webhook, actor)

    def test(self, webhook: str) -> Trial:
        """See `Webhooks.test`. It runs an event loop of its own: ask it from a thread that has none."""
        found = self._ledger.find(webhook)
        now = self._clock()
        message = test_message(webhook, self._ledger.new_id(), to_text(now))
        signers = [self._seal.open(one, webhook) for one in found.secrets]
        begun = time.perf_counter()
        answer = asyncio.run(self._sender.send(found.url, headers(message, signers, now.timestamp()), message.body))
        took = round((time.perf_counter() - begun) * 1000, 3)
        return Trial(answer.taken, answer.status, answer.sentence, took)

"""What administrators ask of webhooks, and what the deliverer asks of the outbox."""

from datetime import datetime, timedelta
from typing import Protocol

from holdfast.registry.webhooks.values import Claim, Due, Given, NewWebhook, Trial, Webhook

__all__ = ["OVERLAP", "Ledger", "Outbox", "Webhooks"]

OVERLAP = timedelta(hours=24)
"""How long a replaced secret signs too: a day to bring the new one to every receiver."""


class Webhooks(Protocol):
    """What administrators ask. Each change is an event of the log, in one transaction with it."""

    def add(self, new: NewWebhook, actor: str) -> Given:
        """Have an address told of every event that comes behind this one.

        Raises:
            UsageError: no address that may be told.
            TooLarge: there are as many webhooks as there can be.
        """

    def webhooks(self) -> tuple[Webhook, ...]:
        """All of them, in the order in which they were added."""

    def rotate(self, webhook: str, actor: str, overlap: timedelta = OVERLAP) -> Given:
        """Another secret; the one that it replaces signs too until the overlap is over.

        Raises:
            NotFound: no such webhook.
            UsageError: an overlap that is negative or past 30 days.
        """

    def resume(self, webhook: str, actor: str, *, skip: bool = False) -> Webhook:
        """Try again at once; a webhook that has stopped goes on.

        Args:
            webhook: which.
            actor: who asks.
            skip: leave out the event that its receiver does not take; the log keeps which.

        Raises:
            NotFound: no such webhook.
            UsageError: there is no event to leave out.
        """

    def remove(self, webhook: str, actor: str) -> Webhook:
        """Tell the address nothing more; what it was.

        Raises:
            NotFound: no such webhook.
        """

    def test(self, webhook: str) -> Trial:
        """Send one message that says nothing, now; it counts as no delivery.

        Raises:
            NotFound: no such webhook.
        """


class Ledger(Protocol):
    """Where webhooks are kept, with secrets that are sealed already."""

    def new_id(self) -> str:
        """An id for a webhook, before it is added: its secret is sealed under it."""

    def add(self, webhook: str, new: NewWebhook, secret: str, actor: str) -> Webhook:
        """See `Webhooks.add`."""

    def webhooks(self) -> tuple[Webhook, ...]:
        """See `Webhooks.webhooks`."""

    def find(self, webhook: str) -> Claim:
        """What is needed to send one message to a webhook, whoever has claimed it.

        Raises:
            NotFound: no such webhook.
        """

    def readdress(self, webhook: str, new: NewWebhook, actor: str) -> Webhook:
        """Have another address told, or of other events, from where it is in the log; its secret stays.

        Raises:
            NotFound: no such webhook.
        """

    def rotate(self, webhook: str, secret: str, overlap: timedelta, actor: str) -> Webhook:
        """See `Webhooks.rotate`."""

    def resume(self, webhook: str, actor: str, *, skip: bool) -> Webhook:
        """See `Webhooks.resume`."""

    def remove(self, webhook: str, actor: str) -> Webhook:
        """See `Webhooks.remove`."""


class Outbox(Protocol):
    """What the deliverer asks.

    The log is the outbox: an event stands in it in the same transaction as what it tells of, and each webhook has a
    place in it. A place goes forward only for the deliverer whose claim holds, so that two of them can at worst send
    one event twice, under one id.
    """

    def due(self, holder: str) -> tuple[Due, ...]:
        """The webhooks that have events before them, whose time has come, and which nobody else has claimed."""

    def claim(self, webhook: str, holder: str) -> Claim | None:
        """Have a webhook for a while; None when somebody else has it, or it has gone, stopped, or must wait."""

    def delivered(self, claim: Claim, holder: str, index: int) -> Claim | None:
        """The receiver took this event: the place is behind it now. None when the claim was lost."""

    def passed(self, claim: Claim, holder: str, index: int) -> Claim | None:
        """Nothing up to and with this event is meant. None when the claim was lost."""

    def failed(self, claim: Claim, holder: str, index: int, error: str, again_at: datetime | None) -> bool:
        """The receiver did not take this event; it is tried again then, or, with None, the webhook stops here."""

    def let_go(self, holder: str) -> None:
        """Let go of all claims: somebody else may go on at once."""

"""Webhooks: who is told of events, from which one on, and how far they have been told.

values.py      a webhook, what its owner asks for, and which events that means
interface.py   `Webhooks`, what administrators ask; `Outbox`, what the deliverer asks
sql.py         the outbox in the database: a row for each webhook, and the log behind it
http.py        `Webhooks` behind a server
"""

from holdfast.registry.webhooks.interface import Outbox, Webhooks
from holdfast.registry.webhooks.values import (
    Claim,
    Due,
    Given,
    NewWebhook,
    Trial,
    Webhook,
    WebhookState,
    Wish,
)

__all__ = ["Claim", "Due", "Given", "NewWebhook", "Outbox", "Trial", "Webhook", "WebhookState", "Webhooks", "Wish"]

"""Alerts told to webhooks: signed and sent as events are, from a queue in memory; nobody waits for a receiver."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from holdfast.canonical import JsonObject, encode
from holdfast.database.times import to_text
from holdfast.serving.alerts import Alert
from holdfast.serving.route import Route
from holdfast.webhooks.delivering import Patience
from holdfast.webhooks.sending import Sender
from holdfast.webhooks.signing import Message, headers

__all__ = ["AlertSender"]

_LOG = logging.getLogger("holdfast.serving")

_QUEUE_MAX = 100
"""Alerts that wait for one receiver; what is older than a hundred others is told by `/alerts` and the log."""

_PATIENCE = Patience(attempts=6, first=1.0, growth=4.0, most=300.0)
"""Five minutes and some: an alert that is told later than that is told to somebody who knows."""

_STOP_SECONDS = 2.0
"""How long a replica that ends waits for what is on its way."""


class AlertSender:
    """Tells receivers of alerts; a listener of `Watch`.

    Args:
        urls: of the receivers; each is told by itself, so that one that is slow holds up no other.
        secret: signs each message, as a webhook's does.
        sender: sends it, to addresses that may be told.
        about: what every message says besides: model, stage, replica.
        new_id: gives an id that nobody had.
        patience: with receivers.
    """

    def __init__(
        self,
        urls: Sequence[str],
        secret: str,
        sender: Sender,
        *,
        about: JsonObject,
        new_id: Callable[[], str],
        patience: Patience = _PATIENCE,
    ) -> None:
        self._queues: dict[str, deque[Message]] = {url: deque(maxlen=_QUEUE_MAX) for url in urls}
        self._secret = secret
        self._sender = sender
        self._about = about
        self._new_id = new_id
        self._patience = patience
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def tell(self, alert: Alert) -> None:
        """Send it to everybody, in time."""
        said: JsonObject = {
            "type": f"serving.alert.{alert.state}",
            "timestamp": to_text(datetime.fromtimestamp(alert.changed, UTC)),
            "data": {**self._about, **alert.to_json()},
        }
        message = Message(f"alert_{self._new_id()}", encode(said))
        for url, queue in self._queues.items():
            queue.append(message)
            running = self._tasks.get(url)
            if running is None or running.done():
                self._tasks[url] = asyncio.create_task(self._serve(url, queue))

    def look(self, firing: Sequence[Alert], route: Route | None) -> None:
        """Nothing is told again while it goes on."""

    async def stop(self) -> None:
        """Wait a moment for what is on its way."""
        going = [task for task in self._tasks.values() if not task.done()]
        if going:
            _, late = await asyncio.wait(going, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, url: str, queue: deque[Message]) -> None:
        while queue:
            message = queue.popleft()
            if not await self._delivered(url, message):
                _LOG.error("an alert was not told to a webhook, and is given up: %s", message.id)

    async def _delivered(self, url: str, message: Message) -> bool:
        failures = 0
        while True:
            answer = await self._sender.send(url, headers(message, [self._secret], time.time()), message.body)
            if answer.taken:
                return True
            failures += 1
            pause = None if answer.gone else self._patience.pause_seconds(failures, answer.retry_after_seconds)
            _LOG.warning("an alert was not told to a webhook: %s", answer.sentence)
            if pause is None:
                return False
            await asyncio.sleep(pause)

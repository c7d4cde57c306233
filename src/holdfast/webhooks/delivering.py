"""The deliverer: a task of a server that sends every webhook what it is to be told, in the order of the log.

A webhook is served by one deliverer at a time, by a claim that runs out when its holder is gone. Each has a task of
its own, so that a receiver that is slow, or away, holds up nobody else. A message counts as sent when its receiver has
answered with success, and the place in the log goes forward then: what a killed process had sent without noting it is
sent again under the same id.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.registry.records import Event
from holdfast.registry.webhooks import Claim, Due, Outbox
from holdfast.webhooks.sealing import Seal
from holdfast.webhooks.sending import SECONDS_MAX, Answer, Sender
from holdfast.webhooks.signing import Sent, our_words

__all__ = ["Deliverer", "Patience", "Words"]

_LOG = logging.getLogger("holdfast.webhooks")

_LOOK_SECONDS = 0.25
"""How often the outbox is looked at: one read of a small table and of the end of an index."""

_TROUBLE_SECONDS = 2.0
"""The pause after the database did not answer."""

_PAGE = 100
"""Events read at once for one webhook."""

_NOTE_SECONDS = 30.0
"""How often it is written down that the log was looked at and nothing was meant: what a restart looks at again."""

_UNOPENED_SECONDS = 300.0
"""How long a webhook is left to others whose secret this server cannot open."""

_SPARE = timedelta(seconds=SECONDS_MAX + 5)
"""What must be left of a claim before a message is sent: as long as sending it may take, and some more."""


Words = Callable[[str, Event, list[str], float], Sent | None]
"""What is sent to a webhook of an event, signed with these secrets at a moment; None where it is not to hear of it."""


class Log(Protocol):
    """What the deliverer reads of the registry."""

    def following(self, after: int, *, limit: int = 100) -> tuple[Event, ...]:
        """Events behind the one with this index, oldest first."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a receiver is tried, before its webhook stops.

    The pause behind the n-th failure is `first * growth ** (n - 1)` seconds, never more than `most`, and by chance as
    little as half of that, so that many webhooks of one receiver do not all come back at once.

    Attributes:
        attempts: how often one event is tried.
        first: seconds.
        growth: a factor.
        most: seconds.
    """

    attempts: int = 12
    first: float = 5.0
    growth: float = 3.0
    most: float = 28_800.0

    def pause_seconds(self, failures: int, asked: float | None = None) -> float | None:
        """How long to wait behind so many failures; None when it was the last."""
        if failures >= self.attempts:
            return None
        longest = min(self.first * self.growth ** (failures - 1), self.most)
        return max(longest * random.uniform(0.5, 1.0), asked or 0.0)  # noqa: S311 - no secret


class Deliverer:
    """Delivers what is due, for as long as it runs.

    Args:
        outbox: which webhooks there are, and how far they are.
        log: the events.
        sender: sends messages.
        seal: opens secrets.
        clock: gives the moment, in UTC.
        holder: a name that no other deliverer has.
        patience: with receivers.
        told: is told of every attempt: `delivered`, `failed` or `stopped`.
        words: how a webhook is told of an event.
    """

    def __init__(
        self,
        outbox: Outbox,
        log: Log,
        sender: Sender,
        seal: Seal,
        *,
        clock: Callable[[], datetime],
        holder: str,
        patience: Patience | None = None,
        told: Callable[[str], object] = lambda _: None,
        words: Words = our_words,
    ) -> None:
        self._outbox = outbox
        self._log = log
        self._sender = sender
        self._seal = seal
        self._clock = clock
        self._holder = holder
        self._patience = patience or Patience()
        self._told = told
        self._words = words
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unopened: dict[str, float] = {}
        self._looked: dict[str, int] = {}
        self._noted: dict[str, float] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Deliver until `stop`, and let what is on its way arrive."""
        try:
            while not self._stopping.is_set():
                pause = await self._look()
                try:
                    await asyncio.wait_for(self._stopping.wait(), pause)
                except TimeoutError:
                    continue
            await asyncio.gather(*self._tasks.values())
            await asyncio.to_thread(self._let_go)
        finally:
            for task in self._tasks.values():
                task.cancel()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def _let_go(self) -> None:
        try:
            self._outbox.let_go(self._holder)
        except HoldfastError as error:
            _LOG.warning("claims of webhooks were not let go of, and will run out: %s", error.message)

    async def _look(self) -> float:
        self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
        try:
            found = await asyncio.to_thread(self._outbox.due, self._holder)
        except HoldfastError as error:
            _LOG.warning("the outbox of webhooks did not answer: %s", error.message)
            return _TROUBLE_SECONDS
        now = time.monotonic()
        for due in found:
            is_new = max(due.next_event, self._looked.get(due.id, 0)) < due.size
            if due.id not in self._tasks and is_new and self._unopened.get(due.id, now) <= now:
                self._tasks[due.id] = asyncio.create_task(self._serve(due))
        return _LOOK_SECONDS

    async def _serve(self, due: Due) -> None:
        try:
            while await self._page(due) and not self._stopping.is_set():
                pass
        except HoldfastError as error:
            _LOG.warning("webhook %s could not be served: %s", due.id, error.message)

    async def _page(self, due: Due) -> bool:
        """Deliver what is meant of the next events; whether there may be more."""
        place = max(due.next_event, self._looked.get(due.id, 0))
        found = await asyncio.to_thread(lambda: self._log.following(place - 1, limit=_PAGE))
        wanted = [event for event in found if due.wish.wants(event)]
        if wanted and not await self._deliver_all(due.id, wanted):
            return False
        if found:
            self._looked[due.id] = found[-1].index + 1
            await self._note(due.id, found[-1].index)
        return len(found) == _PAGE

    async def _note(self, webhook: str, index: int) -> None:
        """Have it known now and then how far the log was looked at; nobody pays for each event that is not meant."""
        now = time.monotonic()
        if now - self._noted.get(webhook, -_NOTE_SECONDS) < _NOTE_SECONDS:
            return
        claim = await asyncio.to_thread(self._outbox.claim, webhook, self._holder)
        if claim is not None:
            await asyncio.to_thread(self._outbox.passed, claim, self._holder, index)
            self._noted[webhook] = now

    async def _deliver_all(self, webhook: str, wanted: list[Event]) -> bool:
        claim = await asyncio.to_thread(self._outbox.claim, webhook, self._holder)
        for event in wanted:
            if claim is not None and claim.until - self._clock() < _SPARE:
                claim = await asyncio.to_thread(self._outbox.claim, webhook, self._holder)
            if claim is None or self._stopping.is_set():
                return False
            if event.index >= claim.next_event:  # somebody else may have been here meanwhile
                claim = await self._deliver(claim, event)
        return claim is not None

    async def _deliver(self, claim: Claim, event: Event) -> Claim | None:
        try:
            signers = [self._seal.open(one, claim.id) for one in claim.secrets]
        except HoldfastError as error:
            self._unopened[claim.id] = time.monotonic() + _UNOPENED_SECONDS
            _LOG.error("%s", error.message)
            return None
        seconds = self._clock().timestamp()
        sent = await asyncio.to_thread(self._words, claim.id, event, signers, seconds)
        if sent is None:
            return await asyncio.to_thread(self._outbox.passed, claim, self._holder, event.index)
        answer = await self._sender.send(claim.url, sent.headers, sent.body)
        if not answer.taken:
            await self._failed(claim, event.index, answer)
            return None
        self._told("delivered")
        told = {"event": "webhook.delivered", "webhook": claim.id, "index": event.index}
        _LOG.info("webhook %s took event %d", claim.id, event.index, extra={"said": told})
        return await asyncio.to_thread(self._outbox.delivered, claim, self._holder, event.index)

    async def _failed(self, claim: Claim, index: int, answer: Answer) -> None:
        failures = claim.attempts + 1 if claim.next_event == index else 1
        pause = None if answer.gone else self._patience.pause_seconds(failures, answer.retry_after_seconds)
        again_at = None if pause is None else self._clock() + timedelta(seconds=pause)
        outcome = "failed" if pause is not None else "stopped"
        self._told(outcome)
        _LOG.log(
            logging.WARNING if pause is not None else logging.ERROR,
            "webhook %s did not take event %d: %s; %s",
            claim.id,
            index,
            answer.sentence,
            "it stopped: holdfast webhook resume" if pause is None else f"again in {pause:.0f} s",
            extra={
                "said": {"event": f"webhook.{outcome}", "webhook": claim.id, "index": index, "status": answer.status}
            },
        )
        await asyncio.to_thread(self._outbox.failed, claim, self._holder, index, answer.sentence, again_at)

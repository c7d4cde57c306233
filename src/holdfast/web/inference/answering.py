"""One request, however it came: which version it asks for, that version's answer, and those who watch.

REST (`scoring.py`) and gRPC (`grpc_service.py`) are shells over this: both take the route once, both are counted alike.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from holdfast.errors import HoldfastError, NotFound, TooLate, Unavailable
from holdfast.runtime.sent import Sent
from holdfast.serving.live import Live
from holdfast.serving.observing import Observed
from holdfast.serving.pipe import RETRY_SECONDS
from holdfast.serving.replica import Replica
from holdfast.serving.route import OVERRIDE
from holdfast.web.inference.override import Overriding, nobody
from holdfast.web.inference.stamp import Spoken

__all__ = ["Answering", "Asked", "addressed", "named_in"]

_VERSION = b"x-holdfast-version"
"""The number of a held version, which is to answer instead of the one that the route gives."""


class Asked(NamedTuple):
    """What is asked.

    Attributes:
        shape: a name of `holdfast.runtime.shapes`.
        body: the request's bytes.
        sent: what they are, and what the answer's bytes are to be.
        seconds: how long the answer may take; None where the caller does not say.
    """

    shape: str
    body: bytes
    sent: Sent
    seconds: float | None = None


class Answering:
    """What scores requests for one replica.

    Args:
        replica: whose versions answer.
        overriding: who may name another version than the one that the route gives.
    """

    def __init__(self, replica: Replica, overriding: Overriding = nobody) -> None:
        self.replica = replica
        self._overriding = overriding

    async def chosen(
        self, spoken: Spoken, model: str | None, number: str | None, headers: Mapping[bytes, bytes]
    ) -> Live:
        """The version that answers: the route's, or the one with the number that path or header name.

        The version that holds the stage may be named by everybody, since it is what everybody gets.

        Raises:
            NotFound: another model, or a version that is not held.
            Unavailable: nothing is open yet.
            PermissionRefused, Unauthenticated: the caller may not choose.
        """
        before, reason = spoken.live, spoken.reason
        live = addressed(spoken, self.replica, model, number)
        if spoken.reason == OVERRIDE:
            try:
                await self._overriding(headers)
            except HoldfastError:
                # The answer is nobody's but the route's: it says so.
                spoken.live, spoken.reason = before, reason
                raise
        return live

    async def score(self, spoken: Spoken, live: Live, asked: Asked) -> bytes:
        """The version's answer; a failure is told to those who watch.

        Raises:
            HoldfastError: what the version refused or could not do.
        """
        spoken.asked = time.perf_counter()
        try:
            answer = await live.predict(asked.shape, asked.body, asked.seconds, asked.sent)
        except HoldfastError as error:
            spoken.answered = time.perf_counter()
            self.tell(spoken, live, asked, None, error.code)
            raise
        except asyncio.CancelledError:
            # gRPC takes a call away when its time is over, or its caller is gone: the version was too slow for it.
            spoken.answered = time.perf_counter()
            self.tell(spoken, live, asked, None, TooLate.code)
            raise
        spoken.answered = time.perf_counter()
        return answer

    def tell(self, spoken: Spoken, live: Live, asked: Asked, answer: bytes | None, error: str | None = None) -> None:
        """Tell those who watch, after the answer has been handed over; nobody waits for them."""
        if not (observers := self.replica.observers) or spoken.route is None:
            return
        observed = Observed(
            request_id=spoken.request_id,
            at=time.time(),
            route=spoken.route,
            live=live,
            reason=spoken.reason,
            key=spoken.key,
            seconds=time.perf_counter() - spoken.began,
            shape=asked.shape,
            request=asked.body,
            answer=answer,
            error=error,
            worker_seconds=spoken.answered - spoken.asked,
            traceparent=spoken.traceparent,
            sent=asked.sent,
        )
        for observer in observers:
            observer.see(observed)


def addressed(spoken: Spoken, replica: Replica, model: str | None, number: str | None) -> Live:
    """The version that a path names; from now on it is the one that speaks.

    Args:
        spoken: what the request took.
        replica: who is asked.
        model: the model in the path; None where the path names none.
        number: the version in the path; None for the one that the route gives.

    Raises:
        NotFound: another model, or a version that is not held.
        Unavailable: nothing is open yet.
    """
    if model is not None and model != str(replica.model):
        raise NotFound(f"this replica does not serve {model[:128]!r}", hint=f"It serves {replica.model}.")
    if spoken.route is None or spoken.live is None:
        raise Unavailable(
            f"{replica.model}@{replica.stage} is not open yet",
            hint=f"Try again in {RETRY_SECONDS} s; /readyz says what it waits for.",
        )
    if number is None:
        return spoken.live
    held = spoken.route.held(number)
    if held is None:
        names = ", ".join(str(one.number) for one in spoken.route.lives)
        raise NotFound(f"this replica does not hold version {number[:20]!r}", hint=f"It holds: {names}.")
    if held is not spoken.route.primary:
        spoken.live, spoken.reason = held, OVERRIDE
    return held


def named_in(headers: Mapping[bytes, bytes]) -> str | None:
    """The number of the version that a request names in its headers; None where it names none."""
    said = headers.get(_VERSION)
    return None if said is None else said.decode("latin-1").strip()

"""What those who watch a replica are told of each request, and what they promise in return."""

from typing import NamedTuple, Protocol

from holdfast.runtime.sent import Sent
from holdfast.serving.live import Live
from holdfast.serving.route import Route

__all__ = ["Observed", "Observer"]


class Observed(NamedTuple):
    """One request that reached a version, after its answer has been sent.

    Attributes:
        request_id: the caller's, or made here.
        at: when it was answered, in seconds since 1970, UTC.
        route: the route that the request took.
        live: the version that answered.
        reason: why that one: `primary`, `canary` or `override`.
        key: what the request was assigned by; None where nothing is assigned.
        seconds: from the first byte of the request's head to the answer.
        shape: the shape of request and answer: a name of `holdfast.runtime.shapes`.
        request: the request's bytes.
        answer: the answer's bytes; None where there is none.
        error: the error's code; None for a good answer.
        worker_seconds: how much of `seconds` the version's process had it, waiting for its turn included.
        traceparent: the caller's place in a trace, as W3C Trace Context writes it; None where there is none.
        sent: what the request's bytes are, and the answer's: JSON, unless the caller said otherwise. Whoever hands the
            request to another version hands this over too.
    """

    request_id: str
    at: float
    route: Route
    live: Live
    reason: str
    key: str | None
    seconds: float
    shape: str
    request: bytes
    answer: bytes | None
    error: str | None
    worker_seconds: float = 0.0
    traceparent: str | None = None
    sent: Sent = Sent()


class Observer(Protocol):
    """Whoever counts, compares or writes down what is answered."""

    def see(self, observed: Observed) -> None:
        """Take notice of one request.

        Called on the event loop, after the answer has been handed over: it MUST return within microseconds, MUST NOT
        raise, and MUST bound what it keeps. Whatever needs longer is put into a queue, and dropped where that is full.
        """
        ...

    async def start(self) -> None:
        """The replica starts."""
        ...

    async def stop(self) -> None:
        """The replica ends: write down what is still held."""
        ...

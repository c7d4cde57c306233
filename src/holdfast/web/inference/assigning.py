"""Which version a request is assigned to, once it has been read: while a canary runs, its key decides."""

from collections.abc import Iterable

from holdfast.serving.live import Live
from holdfast.serving.route import CANARY
from holdfast.web.inference.answering import Asked
from holdfast.web.inference.stamp import Spoken

__all__ = ["assigned"]


def assigned(spoken: Spoken, live: Live, headers: Iterable[tuple[bytes, bytes]], asked: Asked) -> Live:
    """The version that answers a request which names none; from now on it is the one that speaks.

    Nothing is looked at unless a canary runs. A canary that is down for the moment is answered for by the version that
    holds the stage: nobody waits for a version that is only tried. Whoever counts knows that it was meant.

    Args:
        spoken: what the request took; gets its key.
        live: the version that holds the stage.
        headers: of the request, their names in small letters.
        asked: the request.
    """
    canary = None if spoken.route is None else spoken.route.canary
    if canary is None:
        return live
    spoken.key = canary.key.find(headers, asked.shape, asked.body, asked.sent) or spoken.request_id
    if not canary.takes(spoken.key) or not canary.live.up:
        return live
    spoken.live, spoken.reason = canary.live, CANARY
    return canary.live

"""What a caller is told of an error, by whichever way it came."""

import logging

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError
from holdfast.serving.pipe import ENDED
from holdfast.web.inference.stamp import Spoken
from holdfast.web.problems import UNEXPECTED, status_of

__all__ = ["silent", "told"]

_LOG = logging.getLogger("holdfast.serving")

_MAY_SPEAK = {"unavailable", "not_confirmed", "too_late"}
"""Codes from 500 on whose sentences are ours alone; the others may quote a path or a bundle's own error."""


def told(error: HoldfastError, asked: str, spoken: Spoken | None) -> JsonObject:
    """The error as its caller sees it; what is kept from them goes into the log.

    Args:
        error: what happened.
        asked: the request, for the log.
        spoken: which one, and who was to answer, for the log; None where it had not come so far.
    """
    if status_of(error) >= UNEXPECTED and error.code not in _MAY_SPEAK:
        live = None if spoken is None else spoken.live
        whose = "no version" if live is None else f"version {live.number}"
        which = "-" if spoken is None else spoken.request_id
        _LOG.error("%s: request %s, %s: %s: %s", asked, which, whose, error.code, error.message)
        return silent(error.code, ended=error.details.get(ENDED) is True)
    return error.to_json()


def silent(code: str, *, ended: bool = False) -> JsonObject:
    """An error that says its kind and keeps the rest for the log: no path, query or stack leaves the process.

    Args:
        code: its kind.
        ended: whether the process that was to answer is gone: by these rows, by lack of memory or by somebody's hand.
    """
    if ended:
        message = "the process that ran the version ended before it had answered"
        return {"code": code, "message": message, "hint": "It is started again; the replica's log says how it ended."}
    message = (
        "the version's own code failed on these rows" if code == "bundle_failed" else "the replica could not answer"
    )
    return {"code": code, "message": message, "hint": "The replica's log says why."}

"""What a caller is told of an error, by whichever way it came."""

import logging

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError
from holdfast.web.problems import UNEXPECTED, status_of

__all__ = ["silent", "told"]

_LOG = logging.getLogger("holdfast.serving")

_MAY_SPEAK = {"unavailable", "not_confirmed", "too_late"}
"""Codes from 500 on whose sentences are ours alone; the others may quote a path or a bundle's own error."""


def told(error: HoldfastError, asked: str) -> JsonObject:
    """The error as its caller sees it; what is kept from them goes into the log.

    Args:
        error: what happened.
        asked: the request, for the log.
    """
    if status_of(error) >= UNEXPECTED and error.code not in _MAY_SPEAK:
        _LOG.error("%s: %s: %s", asked, error.code, error.message)
        return silent(error.code)
    return error.to_json()


def silent(code: str) -> JsonObject:
    """An error that says its kind and keeps the rest for the log: no path, query or stack leaves the process."""
    message = (
        "the version's own code failed on these rows" if code == "bundle_failed" else "the replica could not answer"
    )
    return {"code": code, "message": message, "hint": "The replica's log says why."}

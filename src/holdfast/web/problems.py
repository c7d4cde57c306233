"""Errors over HTTP: one status for each error code, and one shape of answer.

    {"error": {"code": "stage_moved", "message": "...", "hint": "...", "expected": 6, "found": 7}}

`docs/ERRORS.md` explains each code; a test compares it with this table. Nothing here knows a web framework.
"""

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError

__all__ = ["HTTP_STATUS", "UNEXPECTED", "problem", "status_of"]

UNEXPECTED = 500
"""An error that nobody raised on purpose; the answer says so and keeps its details for the server's own log."""

HTTP_STATUS: dict[str, int] = {
    "unexpected": UNEXPECTED,
    "usage": 400,
    "not_found": 404,
    "incomplete_version": 422,
    "gate_refused": 422,
    "stage_moved": 409,
    "approval_required": 403,
    "integrity": 500,
    "wrong_bytes": 422,
    "already_exists": 409,
    "too_large": 413,
    "unavailable": 503,
    "busy": 429,
    "too_late": 504,
    "not_confirmed": 504,  # the work is done; the confirmation behind it did not come in time
    "source_changed": 409,
    "no_space": 507,
    "unsupported_format": 422,
    "invalid_input": 422,
    "unsupported_media": 415,
    "bundle_failed": 500,
    "cannot_package": 422,
    "missing_extra": 501,
    "unauthenticated": 401,
    "permission_refused": 403,
    "no_project": 404,
    "archived": 409,
}
"""The HTTP status of each error code. Below 500 the request must change; from 500 on the server must."""


def status_of(error: HoldfastError) -> int:
    """The HTTP status that answers `error`."""
    return HTTP_STATUS.get(error.code, UNEXPECTED)


def problem(error: HoldfastError) -> JsonObject:
    """The JSON body that answers `error`; the same object that a command prints with `--json`."""
    return {"error": error.to_json()}

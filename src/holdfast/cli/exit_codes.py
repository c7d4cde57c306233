"""Exit codes: what a shell script learns about an error without reading a word of it.

The numbers are a promise: a code keeps its number for good, and a number is never used again. `docs/ERRORS.md` explains
each; a test compares it with this table.
"""

from holdfast.errors import HoldfastError

__all__ = ["EXIT_CODES", "INTERRUPTED", "SUCCESS", "UNEXPECTED", "exit_code_of"]

SUCCESS = 0

UNEXPECTED = 1
"""An error that nobody raised on purpose: a fault in Holdfast, or in the machine under it."""

INTERRUPTED = 130
"""Ctrl-C; 128 plus the number of SIGINT, as shells report it."""

EXIT_CODES: dict[str, int] = {
    "unexpected": UNEXPECTED,
    "usage": 2,  # what click and argparse answer to an unknown option
    "not_found": 10,
    "incomplete_version": 11,
    "gate_refused": 12,
    "stage_moved": 13,
    "approval_required": 14,
    "integrity": 15,
    "already_exists": 16,
    "too_large": 17,
    "unavailable": 18,
    "not_confirmed": 19,
    "source_changed": 20,
    "no_space": 21,
    "unsupported_format": 22,
    "invalid_input": 23,
    "bundle_failed": 24,
    "cannot_package": 25,
    "missing_extra": 26,
    "permission_refused": 27,
    "no_project": 28,
    "interrupted": INTERRUPTED,
}
"""The exit code of each error code. Numbers from 10 stay clear of what shells and option parsers use themselves."""


def exit_code_of(error: BaseException) -> int:
    """The exit code of a process that ends because of `error`."""
    match error:
        case HoldfastError():
            return EXIT_CODES.get(error.code, UNEXPECTED)
        case KeyboardInterrupt():
            return INTERRUPTED
    return UNEXPECTED

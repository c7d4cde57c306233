"""Exit codes: what a shell script learns about an error without reading a word of it.

The numbers are a promise: a code keeps its number for good, and a number is never used again. `docs/ERRORS.md` explains
each; a test compares it with this table.
"""

from holdfast.errors import HoldfastError

__all__ = ["ENDINGS", "EXIT_CODES", "INTERRUPTED", "SUCCESS", "UNEXPECTED", "epilog", "exit_code_of"]

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
    "archived": 29,
    "unauthenticated": 30,
    "wrong_bytes": 31,
    "gate_inconclusive": 32,
    "replay_differs": 33,
    "busy": 34,
    "too_late": 35,
    "unsupported_media": 36,
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


_OPENING = (
    *("usage", "not_found", "integrity", "unavailable", "no_space"),
    *("unsupported_format", "permission_refused", "no_project", "unauthenticated"),
)
"""How any command may end that opens a project, whatever it does there."""

_BUNDLING = (
    *("incomplete_version", "already_exists", "too_large", "source_changed"),
    *("bundle_failed", "cannot_package", "missing_extra", "wrong_bytes"),
)
"""What may go wrong while a bundle is put together."""

_MOVING = ("gate_refused", "stage_moved", "not_confirmed")
"""What may keep a stage from moving, or a replica from following."""

ENDINGS: dict[str, tuple[str, ...]] = {
    "init": (*(code for code in _OPENING if code not in {"integrity", "no_project"}), "already_exists"),
    "inventory": ("usage", "not_found", "permission_refused"),
    "run": _OPENING,
    "snapshot": (*_OPENING, "too_large", "source_changed", "wrong_bytes"),
    "register": (*_OPENING, *_BUNDLING, "invalid_input", "archived"),
    "adopt": (*_OPENING, *_BUNDLING, "invalid_input", "stage_moved", "archived"),
    "key make": ("usage", "not_found", "unavailable", "already_exists", "no_space", "integrity", "permission_refused"),
    "key show": (
        *("usage", "not_found", "unavailable", "too_large", "no_space", "integrity"),
        *("unsupported_format", "permission_refused"),
    ),
    "sign": (*_OPENING, "already_exists", "too_large", "archived"),
    "verify": (*_OPENING, "too_large", "archived"),
    "list": _OPENING,
    "show": (*_OPENING, "archived"),
    "search": (*_OPENING, "too_large"),
    "gate judge": (*_OPENING, "gate_refused", "gate_inconclusive", "archived"),
    "gate show": _OPENING,
    "gate replay": (*_OPENING, "gate_inconclusive", "replay_differs", "archived"),
    "ci": (*_OPENING, "incomplete_version", "gate_refused", "gate_inconclusive", "approval_required", "archived"),
    "approve": _OPENING,
    "promote": (*_OPENING, *_MOVING, "approval_required", "already_exists", "archived"),
    "rollback": (*_OPENING, *_MOVING, "incomplete_version", "already_exists", "archived"),
    "clear": (*_OPENING, "stage_moved", "too_large"),
    "rehearse": (
        *(*_OPENING, "gate_refused", "not_confirmed", "incomplete_version"),
        *("too_large", "bundle_failed", "missing_extra", "archived"),
    ),
    "live": _OPENING,
    "history": _OPENING,
    "log": _OPENING,
    "lineage": _OPENING,
    "serve": (*_OPENING, "too_large", "bundle_failed", "missing_extra"),
    "serve-bundle": (
        *("usage", "not_found", "unavailable", "too_large", "no_space", "integrity", "unsupported_format"),
        *("permission_refused", "bundle_failed", "missing_extra"),
    ),
    "decision": (
        *(*_OPENING, "too_large", "archived"),
        *("bundle_failed", "missing_extra", "replay_differs"),
    ),
    "watch": _OPENING,
    "shadow": (*_OPENING, "already_exists", "stage_moved", "incomplete_version", "too_large", "archived"),
    "canary": (
        *(*_OPENING, "gate_refused", "stage_moved", "approval_required", "already_exists"),
        *("incomplete_version", "too_large", "archived"),
    ),
    "truth": (*_OPENING, "invalid_input", "too_large"),
    "server": (*_OPENING, "missing_extra"),
    "login": ("usage", "unauthenticated", "unavailable", "no_space", "unsupported_format", "permission_refused"),
    "logout": ("usage", "no_space", "unsupported_format", "permission_refused"),
    "whoami": _OPENING,
    "user add": (*_OPENING, "already_exists"),
    "user list": _OPENING,
    "user grant": (*_OPENING, "already_exists"),
    "user revoke": _OPENING,
    "user disable": (*_OPENING, "already_exists", "too_large"),
    "token create": _OPENING,
    "token list": _OPENING,
    "token revoke": (*_OPENING, "already_exists"),
    "webhook add": (*_OPENING, "too_large"),
    "webhook list": _OPENING,
    "webhook test": _OPENING,
    "webhook rotate": _OPENING,
    "webhook resume": _OPENING,
    "webhook remove": _OPENING,
    "checkout": (*_OPENING, "already_exists", "archived"),
    "export image": (*_OPENING, "already_exists", "archived"),
    "export oci": (*_OPENING, "already_exists", "archived"),
    "export mlflow": _OPENING,
    "import mlflow": (*_OPENING, "too_large", "missing_extra"),
    "export kserve": (*_OPENING, "archived"),
    "remote add": (*_OPENING, "already_exists"),
    "remote list": _OPENING,
    "remote remove": _OPENING,
    "push": (*_OPENING, "already_exists", "too_large", "archived"),
    "pull": (*_OPENING, "already_exists", "too_large"),
    "clone": (*(code for code in _OPENING if code != "no_project"), "already_exists", "too_large"),
    "check": _OPENING,
    "archive": (*_OPENING, "already_exists", "stage_moved", "too_large", "archived"),
    "restore": (*_OPENING, "too_large", "archived"),
    "gc": _OPENING,
    "hold add": (*_OPENING, "too_large"),
    "hold lift": (*_OPENING, "too_large"),
    "hold list": _OPENING,
    "backup make": (*_OPENING, "already_exists", "too_large"),
    "backup list": tuple(code for code in _OPENING if code not in {"no_project", "integrity", "no_space"}),
    "backup restore": (*(code for code in _OPENING if code != "no_project"), "already_exists", "too_large"),
    "policy show": _OPENING,
    "policy set": (*_OPENING, "already_exists", "too_large"),
    "policy history": _OPENING,
    "policy check": _OPENING,
    "audit verify": _OPENING,
    "audit key": _OPENING,
    "audit checkpoint": _OPENING,
    "audit proof": _OPENING,
    "audit export": _OPENING,
    "audit verifier": ("usage",),
    "audit accept": (*_OPENING, "too_large"),
    "doctor": ("usage",),
    "demo": ("usage", "integrity", "unavailable", "no_space", "missing_extra", "permission_refused"),
}
"""The error codes that each command can end with. Beside them any command may be interrupted, or meet a defect."""


def epilog(command: str, example: str) -> str:
    """The end of a command's help: an example, and the exit codes that a script may meet."""
    codes = sorted((EXIT_CODES[code], code) for code in (*ENDINGS[command], "unexpected", "interrupted"))
    said = ", ".join(f"{number} {code}" for number, code in codes)
    return f"Example: {example}\n\nExit codes: 0 done, {said}. docs/ERRORS.md explains each."

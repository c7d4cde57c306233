"""The one exception tree of Holdfast.

    HoldfastError                       catch this to catch everything that Holdfast raises on purpose
    ├── UsageError          usage               the request itself makes no sense
    ├── NotFound            not_found           a name that nobody has registered
    │   └── NoProject       no_project          no `.holdfast/` here or above
    ├── Incomplete          incomplete_version  one of the five parts, or required evidence, is missing
    ├── GateRefused         gate_refused        the gate's verdict is not `pass`
    ├── StageMoved          stage_moved         compare-and-set lost: somebody moved the stage first
    ├── ApprovalRequired    approval_required   a second person must approve first
    ├── Archived            archived            the bytes are in an archive, and not here
    ├── IntegrityError      integrity           bytes do not match the digest that names them
    │   └── WrongBytes      wrong_bytes         so does what was sent; nothing of it was kept
    ├── AlreadyExists       already_exists      the same name with other content, or the same content again
    ├── TooLarge            too_large           a limit was passed
    ├── Unavailable         unavailable         a server or a replica did not answer in time
    │   ├── NotConfirmed    not_confirmed       the stage moved; not every replica has reported it yet
    │   ├── Busy            busy                as much waits for an answer as may
    │   └── TooLate         too_late            the time that a request had is over
    ├── SourceChanged       source_changed      data changed while it was being frozen
    ├── NoSpace             no_space            the disk or the quota is full
    ├── UnsupportedFormat   unsupported_format  written by a newer Holdfast, or not by Holdfast at all
    ├── InvalidInput        invalid_input       rows that do not fit the version's feature schema
    ├── UnsupportedMedia    unsupported_media   a request's content type that the version does not take
    ├── BundleFailed        bundle_failed       the bundle's own code, model or environment raised
    ├── CannotPackage       cannot_package      code or a model that cannot be carried into a bundle
    ├── MissingExtra        missing_extra       an optional library is not installed
    ├── Unauthenticated     unauthenticated     the server does not know who asks
    └── PermissionRefused   permission_refused  the operating system, the policy or a role said no

Each class has one code, which is public; each instance carries a message (what happened), a hint (what to do),
and details, which are JSON values for programs. Exit codes and HTTP statuses are not here: each has one table, in
`holdfast.cli.exit_codes` and `holdfast.web.problems`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "AlreadyExists",
    "ApprovalRequired",
    "Archived",
    "BundleFailed",
    "Busy",
    "CannotPackage",
    "GateRefused",
    "HoldfastError",
    "Incomplete",
    "IntegrityError",
    "InvalidInput",
    "MissingExtra",
    "NoProject",
    "NoSpace",
    "NotConfirmed",
    "NotFound",
    "PermissionRefused",
    "SourceChanged",
    "StageMoved",
    "TooLarge",
    "TooLate",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedFormat",
    "UnsupportedMedia",
    "UsageError",
    "WrongBytes",
    "from_json",
]


class HoldfastError(Exception):
    """The base of all errors that Holdfast raises on purpose.

    Attributes:
        code: the public name of the kind of error; constant for a class.
        message: one sentence that says what happened.
        hint: one sentence that says what to do about it.
        details: JSON values for programs, merged into the `error` object of `--json`.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: Mapping[str, Any] = details

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is pickled by its positional arguments alone, and these have a keyword that is required.
        return _again, (type(self), self.message, self.hint, dict(self.details))

    def to_json(self) -> dict[str, Any]:
        """The value of `error` in the JSON answer of a command or a server."""
        return {**self.details, "code": self.code, "message": self.message, "hint": self.hint}


class UsageError(HoldfastError):
    """The request makes no sense as it was written."""

    code = "usage"


class NotFound(HoldfastError):
    """A name that nobody has registered; the hint offers the nearest names."""

    code = "not_found"


class NoProject(NotFound):
    """There is no `.holdfast/` folder here or in any folder above."""

    code = "no_project"


class Incomplete(HoldfastError):
    """A version lacks one of the five parts or required evidence; `missing` in the details names each."""

    code = "incomplete_version"


class GateRefused(HoldfastError):
    """The verdict of a gate is not `pass`; `findings` in the details holds every finding."""

    code = "gate_refused"


class StageMoved(HoldfastError):
    """The stage no longer holds what the caller expected; the details say who moved it, when, from what to what."""

    code = "stage_moved"


class ApprovalRequired(HoldfastError):
    """Policy asks for an approval that has not been given."""

    code = "approval_required"


class Archived(HoldfastError):
    """The bytes of a version or a snapshot were archived and are not here; the details say where they are."""

    code = "archived"


class IntegrityError(HoldfastError):
    """Bytes do not match the digest that names them, or the audit log does not match itself."""

    code = "integrity"


class WrongBytes(IntegrityError):
    """Bytes were sent under a digest that they do not have; the details give the `key` and what was `found`."""

    code = "wrong_bytes"


class AlreadyExists(HoldfastError):
    """The name is taken, or the same content is registered already; the details name it."""

    code = "already_exists"


class TooLarge(HoldfastError):
    """A limit was passed; the details give the limit and what sets it."""

    code = "too_large"


class Unavailable(HoldfastError):
    """Something that should answer did not, within its time."""

    code = "unavailable"


class NotConfirmed(Unavailable):
    """The stage has moved, and at least one live replica has not reported the new version yet."""

    code = "not_confirmed"


class Busy(Unavailable):
    """As many requests wait for an answer as may; nothing was done for this one."""

    code = "busy"


class TooLate(Unavailable):
    """A request was not answered within its time; if its turn had not come by then, nothing was computed for it."""

    code = "too_late"


class SourceChanged(HoldfastError):
    """A file or folder changed while it was being frozen; nothing was recorded."""

    code = "source_changed"


class NoSpace(HoldfastError):
    """The disk or the quota is full; what was there before is as it was."""

    code = "no_space"


class UnsupportedFormat(HoldfastError):
    """Data of a format version that this Holdfast does not read, or not Holdfast's data at all."""

    code = "unsupported_format"


class InvalidInput(HoldfastError):
    """Rows that do not fit the feature schema of the version that was asked to score them."""

    code = "invalid_input"


class UnsupportedMedia(HoldfastError):
    """A request's body, or the answer that it asks for, is of a content type that the version cannot take or give."""

    code = "unsupported_media"


class BundleFailed(HoldfastError):
    """The bundle's own code, model or environment raised while it was opened or asked to score."""

    code = "bundle_failed"


class CannotPackage(HoldfastError):
    """Code or a model that cannot be carried into a bundle as it stands."""

    code = "cannot_package"


class MissingExtra(HoldfastError):
    """An optional library is not installed; the hint names the extra that brings it."""

    code = "missing_extra"


class Unauthenticated(HoldfastError):
    """A server asks who one is, and was shown no token, or none that is good."""

    code = "unauthenticated"


class PermissionRefused(HoldfastError):
    """The operating system or the policy refused, or a server whose user lacks the role; then the details name it."""

    code = "permission_refused"


def from_json(value: Mapping[str, Any]) -> HoldfastError:
    """The error that another process described with `to_json`; an unknown code gives the base class."""
    details = {key: item for key, item in value.items() if key not in {"code", "message", "hint", "self"}}
    kind = _by_code(HoldfastError).get(str(value.get("code")), HoldfastError)
    return kind(str(value.get("message", "")), hint=str(value.get("hint", "")), **details)


def _again(kind: type[HoldfastError], message: str, hint: str, details: dict[str, Any]) -> HoldfastError:
    return kind(message, hint=hint, **details)


def _by_code(base: type[HoldfastError]) -> dict[str, type[HoldfastError]]:
    found = {base.code: base}
    for kind in base.__subclasses__():
        found.update(_by_code(kind))
    return found

"""One decision: what one request was answered, by which version, and why by that one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.canonical import Json, JsonObject, decode
from holdfast.database.times import to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError
from holdfast.runtime.sent import JSON, Sent

__all__ = ["HASHED", "NOTHING", "REDACTED", "WHOLE", "Decision", "salted"]

WHOLE = "whole"
"""Of the input: it is kept as it was sent."""

REDACTED = "redacted"
"""Of the input: it is kept without some of its fields."""

HASHED = "hashed"
"""Of the input: its digest is kept, and nothing else."""

NOTHING = "none"
"""Of the input: nothing is kept."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def salted(salt: bytes, data: bytes) -> Digest:
    """The digest of some bytes behind a salt: equal bytes do not show, but who has them can tell."""
    return hash_bytes(salt + data)


@dataclass(frozen=True, slots=True)
class Decision:
    """A row of the ledger.

    Attributes:
        request_id: the caller's, or made by the replica; a caller may have used it twice.
        at_us: when it was answered, in microseconds since 1970, UTC.
        version: the number of the version that answered.
        digest: of its bundle.
        epoch: of the stage.
        reason: why that version: `primary`, `canary`, `override`.
        key_digest: of what the request was assigned by, behind the salt; None where nothing was assigned.
        salt: random bytes of this row; empty where the whole input is kept, which hides nothing.
        shape: of request and answer, a name of `holdfast.runtime.shapes`.
        input_kept: how much of the input is kept: `whole`, `redacted`, `hashed` or `none`.
        input_digest: of the input as it was sent, behind the salt; None where nothing is kept.
        input: what is kept of it.
        output: the answer's bytes; None where there was none.
        error: the code of the error; None for a good answer.
        seconds: from the request's head to the answer.
        sent: what the request's bytes are: a kind of `holdfast.runtime.sent`.
        wanted: what the answer's bytes are.
        head: how many of the request's bytes are JSON, where tensors follow them in binary.
    """

    request_id: str
    at_us: int
    version: int
    digest: str
    epoch: int
    reason: str
    key_digest: str | None
    salt: bytes
    shape: str
    input_kept: str
    input_digest: str | None
    input: bytes | None
    output: bytes | None
    error: str | None
    seconds: float
    sent: str = JSON
    wanted: str = JSON
    head: int | None = None

    @property
    def form(self) -> Sent:
        """The form of the request and of its answer."""
        return Sent(self.sent, self.wanted, self.head)

    @property
    def at(self) -> datetime:
        """When it was answered, UTC."""
        return _EPOCH + timedelta(microseconds=self.at_us)

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return 512 + len(self.input or b"") + len(self.output or b"")

    def is_input(self, data: bytes) -> bool:
        """Whether these bytes are what was sent."""
        return self.input_digest is not None and str(salted(self.salt, data)) == self.input_digest

    def brief(self) -> JsonObject:
        """One line of a list."""
        return {
            "request": self.request_id,
            "at": to_text(self.at),
            "version": self.version,
            "digest": self.digest,
            "epoch": self.epoch,
            "reason": self.reason,
            "error": self.error,
            "seconds": self.seconds,
        }

    def to_json(self) -> JsonObject:
        """All of it; bytes that are JSON are shown as what they say, others as text, or in hexadecimal digits."""
        return {
            **self.brief(),
            "key_digest": self.key_digest,
            "salt": self.salt.hex(),
            "shape": self.shape,
            "form": self.form.to_json(),
            "input": {"kept": self.input_kept, "digest": self.input_digest, "value": _shown(self.input)},
            "output": _shown(self.output),
        }


def _shown(data: bytes | None) -> Json:
    if data is None:
        return None
    try:
        shown: Any = decode(data, what="what was said")
    except HoldfastError:
        shown = _text(data)
    return shown


def _text(data: bytes) -> JsonObject:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"hex": data.hex()}

"""Certificates: what is kept of a rehearsed rollback. All frozen.

Law: `NewRehearsal.of(rehearsal.body)` says of the rehearsal what its row says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from holdfast.canonical import JsonObject, Reader, decode, encode, plain
from holdfast.database.times import to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import UnsupportedFormat
from holdfast.names import ModelName, StageName, VersionNumber

__all__ = ["FORMAT", "FORMAT_VERSION", "REHEARSALS_MAX", "NewRehearsal", "Rehearsal", "Rehearsals", "read_rehearsal"]

FORMAT = "holdfast.rehearsal"
FORMAT_VERSION = "1.0"

REHEARSALS_MAX = 1_000
"""Certificates in one answer: a few megabytes of JSON, and two years of daily rehearsals."""

_OUTCOMES = frozenset({"pass", "fail"})


@dataclass(frozen=True, slots=True)
class NewRehearsal:
    """A certificate about to be kept; the digest of its canonical bytes will name it.

    Attributes:
        model: whose stage.
        stage: the stage whose rollback was rehearsed; it did not move.
        from_number: the version that was left.
        from_digest: of it.
        to_number: the version that was gone back to.
        to_digest: of it.
        outcome: `pass` or `fail`.
        body: the whole certificate.
    """

    model: ModelName
    stage: StageName
    from_number: VersionNumber
    from_digest: Digest
    to_number: VersionNumber
    to_digest: Digest
    outcome: str
    body: JsonObject

    @classmethod
    def of(cls, certificate: Mapping[str, object]) -> "NewRehearsal":
        """What a certificate says of itself.

        Raises:
            UnsupportedFormat: it is no certificate, or a newer one.
            UsageError: a name in it is none.
        """
        body = plain(certificate)
        found = Reader(body, "certificate")
        name, version, outcome = found.text("format"), found.text("format_version"), found.text("outcome")
        if name != FORMAT or version.partition(".")[0] != FORMAT_VERSION.partition(".")[0] or outcome not in _OUTCOMES:
            raise UnsupportedFormat(
                f"a certificate of format {name[:40]} {version[:20]} with outcome {outcome[:20]!r}",
                hint="A newer Holdfast made it: install that one here too.",
            )
        left, back = found.reader("from"), found.reader("to")
        return cls(
            model=ModelName(found.text("model")),
            stage=StageName(found.text("stage")),
            from_number=VersionNumber(left.integer("version")),
            from_digest=Digest.parse(left.text("digest")),
            to_number=VersionNumber(back.integer("version")),
            to_digest=Digest.parse(back.text("digest")),
            outcome=outcome,
            body=body,
        )

    @property
    def digest(self) -> Digest:
        """The name that the certificate will have."""
        return hash_bytes(encode(self.body))


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A certificate as it is kept.

    Attributes:
        digest: of its canonical bytes.
        said: what it says.
        event: the entry of the log that came with it.
        created_at: when that was, by the registry's clock.
        created_by: who rehearsed.
    """

    digest: Digest
    said: NewRehearsal
    event: int
    created_at: datetime
    created_by: str

    @property
    def failure(self) -> str:
        """The step that failed and why, as the certificate tells it; empty when none did."""
        failed = self.said.body.get("failed")
        return f"step {failed['step']} ({failed['name']}): {failed['why']}" if isinstance(failed, dict) else ""

    def to_json(self) -> JsonObject:
        """One entry of `rehearsals`: what a list shows, and the whole certificate."""
        return {**self.brief(), "body": self.said.body}

    def brief(self) -> JsonObject:
        """What a list shows of it."""
        said = self.said
        return {
            "certificate": str(self.digest),
            "model": str(said.model),
            "stage": str(said.stage),
            "from": said.from_number,
            "to": said.to_number,
            "outcome": said.outcome,
            "event": self.event,
            "created_at": to_text(self.created_at),
            "created_by": self.created_by,
        }


class Rehearsals(Protocol):
    """What a registry keeps of rehearsals."""

    def put_rehearsal(self, certificate: Mapping[str, object], actor: str, *, key: str | None = None) -> Rehearsal:
        """Keeps a certificate under its digest, with its event; keeping it again changes nothing.

        Raises:
            NotFound: no such model, stage or version.
            UsageError: a version in it has another digest here.
            UnsupportedFormat: it is no certificate.
            TooLarge: it is past what a certificate may hold.
        """

    def rehearsals(
        self, model: ModelName, stage: StageName, *, to: VersionNumber | None = None, limit: int = 100
    ) -> tuple[Rehearsal, ...]:
        """The rehearsals of a stage's rollback, newest first; only those that went back to the version `to`.

        Raises:
            NotFound: no such model or stage.
            UsageError: the limit is not 1 to `REHEARSALS_MAX`.
            IntegrityError: a certificate is not what its digest names.
        """


def read_rehearsal(body: bytes) -> NewRehearsal:
    """The certificate in its stored bytes.

    Raises:
        UnsupportedFormat: they are none.
    """
    return NewRehearsal.of(Reader(decode(body, what="a certificate"), "certificate").rest())

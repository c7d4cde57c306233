"""The values that say where a version is and was: archives of its bytes, and the stages that it held. All frozen."""

from dataclasses import dataclass
from datetime import datetime

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.errors import Archived
from holdfast.names import ModelName, Reference, StageName, VersionNumber

__all__ = ["Archive", "NewArchive", "Tenure"]


@dataclass(frozen=True, slots=True)
class NewArchive:
    """A copy of a version or a snapshot, proved to be whole in a remote, that asks to be written down.

    Attributes:
        what: the version, or the digest of the snapshot.
        remote: what this project calls the remote.
        url: where that is.
        blobs: how many the copy has.
        bytes: how many they hold.
        reason: why, in a person's words.
        expect: the index of the last event when nothing kept it; None: whatever has happened since.
    """

    what: Reference | Digest
    remote: str
    url: str
    blobs: int
    bytes: int
    reason: str = ""
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """A copy in a remote that stands in for the bytes here, until they are restored.

    Attributes:
        id: the index of the event that made it.
        digest: of the version, or of the snapshot's tree.
        model: of the version; None when it is a snapshot.
        version: its number; None likewise.
        remote: what the project called the remote.
        url: where that was.
        blobs: how many the copy has.
        bytes: how many they hold.
        reason: why.
        by: who asked.
        since: when.
    """

    id: int
    digest: Digest
    model: str | None
    version: int | None
    remote: str
    url: str
    blobs: int
    bytes: int
    reason: str
    by: str
    since: datetime

    @property
    def name(self) -> str:
        """What a person calls it: `churn@1`, or the digest of a snapshot."""
        return str(self.digest) if self.model is None else f"{self.model}@{self.version}"

    def away(self) -> Archived:
        """The error for whoever needs the bytes here."""
        return Archived(
            f"{self.name} is archived in {self.remote} since {to_text(self.since)[:10]}",
            hint=f"Bring it back with: holdfast restore {self.name}",
            **self.to_json(),
        )

    def to_json(self) -> JsonObject:
        """One archive as `show` and `check` print it."""
        return {
            "archive": self.id,
            "digest": str(self.digest),
            "model": self.model,
            "version": self.version,
            "remote": self.remote,
            "url": self.url,
            "blobs": self.blobs,
            "bytes": self.bytes,
            "reason": self.reason,
            "by": self.by,
            "since": to_text(self.since),
        }


@dataclass(frozen=True, slots=True)
class Tenure:
    """One time that a version held a stage.

    Attributes:
        model: whose stage.
        stage: which one.
        number: the version that held it.
        event: the index of the event that began it.
        since: when that was.
        until: when another version took its place; None while it holds the stage.
    """

    model: ModelName
    stage: StageName
    number: VersionNumber
    event: int
    since: datetime
    until: datetime | None

    def to_json(self) -> JsonObject:
        """One entry of a list of tenures."""
        return {
            "model": str(self.model),
            "stage": str(self.stage),
            "version": self.number,
            "event": self.event,
            "since": to_text(self.since),
            "until": None if self.until is None else to_text(self.until),
        }

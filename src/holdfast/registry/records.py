"""The values that are evidence: events, approvals, verdicts, who was live when, and what an audit found. All frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from holdfast.canonical import JsonObject, encode, plain
from holdfast.database.times import to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.merkle import Head

__all__ = [
    "Approval",
    "Audit",
    "Event",
    "Hold",
    "Holding",
    "Live",
    "Meaning",
    "NewApproval",
    "NewEvent",
    "NewVerdict",
    "Verdict",
    "VerdictEntry",
    "outcome_text",
    "waivers_in",
]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def outcome_text(outcome: str, waived: Sequence[object]) -> str:
    """An outcome for people: a pass that rests on waivers says so, wherever it is shown."""
    if outcome != "pass" or not waived:
        return outcome
    return f"passed with {len(waived)} waiver{'' if len(waived) == 1 else 's'}"


def waivers_in(details: JsonObject) -> tuple[JsonObject, ...]:
    """The waivers that the details of an event name; a list of tables, or none."""
    found = details.get("waived")
    return tuple(one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened and that changed nothing but the log, such as a gate's refusal."""

    action: Action
    model: ModelName | None = None
    stage: StageName | None = None
    from_number: VersionNumber | None = None
    to_number: VersionNumber | None = None
    reason: str = ""
    verdict: Digest | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the audit log; it names the entry before it by hash, and is named by its own.

    Law: `event.hash == hash_bytes(event.body())`.

    Attributes:
        index: its place, counted from 0 without a gap.
        time: when; never before the event in front of it, whatever the clocks say.
        actor: who.
        action: what.
        model: the model that it concerns.
        stage: the stage that it concerns.
        from_number: the version before.
        from_digest: of that version.
        to_number: the version after, or the one version that it concerns.
        to_digest: of that version.
        epoch: the stage's epoch after the move.
        last_known_good: the stage's last-known-good after the move.
        reason: why, in a person's words.
        verdict: the digest of the verdict that it rests on.
        approvals: the approvals that it rests on.
        idempotency_key: of the request that caused it.
        details: what belongs to this action alone.
        prev: the hash of the event in front of it; None for the first.
        hash: SHA-256 of `body()`.
    """

    index: int
    time: datetime
    actor: str
    action: str
    model: str | None
    stage: str | None
    from_number: int | None
    from_digest: str | None
    to_number: int | None
    to_digest: str | None
    epoch: int | None
    last_known_good: int | None
    reason: str
    verdict: str | None
    approvals: tuple[JsonObject, ...]
    idempotency_key: str | None
    details: JsonObject
    prev: str | None
    hash: str

    @property
    def waived(self) -> tuple[JsonObject, ...]:
        """The waivers that a promotion rests on: by rule, who answers for it, why and until when."""
        return waivers_in(self.details)

    def to_json(self) -> JsonObject:
        """One entry of `log`: everything that the hash covers, and the hash."""
        return {
            "index": self.index,
            "time": to_text(self.time),
            "actor": self.actor,
            "action": self.action,
            "model": self.model,
            "stage": self.stage,
            "from": self.from_number,
            "from_digest": self.from_digest,
            "to": self.to_number,
            "to_digest": self.to_digest,
            "epoch": self.epoch,
            "last_known_good": self.last_known_good,
            "reason": self.reason,
            "verdict": self.verdict,
            "approvals": list(self.approvals),
            "idempotency_key": self.idempotency_key,
            "details": self.details,
            "prev": self.prev,
            "hash": self.hash,
        }

    def body(self) -> bytes:
        """The canonical JSON of all fields but the hash: the bytes that the hash is of."""
        fields = self.to_json()
        del fields["hash"]
        return encode(fields)


class Meaning(StrEnum):
    """What a person's signature under a version means."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class NewApproval:
    """A person's judgement of one version for one stage, about to be written down.

    `digest` is what the person looked at; it must be the version's, so that no judgement lands on other content.
    """

    model: ModelName
    number: VersionNumber
    digest: Digest
    stage: StageName
    meaning: Meaning = Meaning.APPROVE
    reason: str = ""
    verdict: Digest | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's judgement of one version for one stage; bound to the digests of the version and of the verdict."""

    id: str
    model: ModelName
    number: VersionNumber
    digest: Digest
    stage: StageName
    meaning: Meaning
    approver: str
    reason: str
    verdict: Digest | None
    created_at: datetime

    def to_json(self) -> JsonObject:
        """The approval as events and `show` carry it."""
        return {
            "id": self.id,
            "model": str(self.model),
            "version": self.number,
            "digest": str(self.digest),
            "stage": str(self.stage),
            "meaning": str(self.meaning),
            "approver": self.approver,
            "reason": self.reason,
            "verdict": _text(self.verdict),
            "created_at": to_text(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """A gate's results about to be kept; the digest of the canonical body will name them."""

    model: ModelName
    number: VersionNumber
    stage: StageName
    outcome: str
    body: Mapping[str, object]

    @property
    def digest(self) -> Digest:
        """The name that the verdict will have."""
        return hash_bytes(encode(plain(self.body)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's results, with their inputs; replayable."""

    digest: Digest
    model: ModelName
    number: VersionNumber
    stage: StageName
    outcome: str
    body: JsonObject
    created_at: datetime

    def is_against(self, holder: VersionNumber | None) -> bool:
        """Whether it compared with the version that holds the stage; one that names no comparison is not asked."""
        inputs = self.body.get("inputs")
        if not isinstance(inputs, dict) or "baseline" not in inputs:
            return True
        against = inputs["baseline"]
        return against is None if holder is None else isinstance(against, dict) and against.get("version") == holder

    def to_json(self) -> JsonObject:
        """The verdict with its whole body."""
        return {
            "verdict": str(self.digest),
            "model": str(self.model),
            "version": self.number,
            "stage": str(self.stage),
            "outcome": self.outcome,
            "body": self.body,
            "created_at": to_text(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class VerdictEntry:
    """A verdict in a list: what it says, without its body.

    Attributes:
        digest: its name.
        model, number, stage: what was judged, and for which stage.
        outcome: of the gate.
        blobs: what it keeps in the store, such as the answers that it rests on.
        created_at: when it was kept.
    """

    digest: Digest
    model: ModelName
    number: VersionNumber
    stage: StageName
    outcome: str
    blobs: tuple[Digest, ...]
    created_at: datetime

    def to_json(self) -> JsonObject:
        """One entry of a list of verdicts."""
        return {
            "verdict": str(self.digest),
            "model": str(self.model),
            "version": self.number,
            "stage": str(self.stage),
            "outcome": self.outcome,
            "blobs": [str(blob) for blob in self.blobs],
            "created_at": to_text(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class Hold:
    """A wish that something be kept, until it is taken back.

    Attributes:
        id: the index of the event that made it.
        digest: what is kept, with all that it names: a version, a snapshot, or a single blob.
        model: of the version; None when it is none.
        version: its number; None likewise.
        reason: why.
        by: who asked.
        since: when.
    """

    id: int
    digest: Digest
    model: str | None
    version: int | None
    reason: str
    by: str
    since: datetime

    def to_json(self) -> JsonObject:
        """One entry of `hold list`."""
        return {
            "hold": self.id,
            "digest": str(self.digest),
            "model": self.model,
            "version": self.version,
            "reason": self.reason,
            "by": self.by,
            "since": to_text(self.since),
        }


@dataclass(frozen=True, slots=True)
class Holding:
    """The version that held a stage at a moment: since when, by whose hand, by which event, and on which waivers."""

    version: VersionNumber
    digest: Digest
    since: datetime
    by: str
    event: int
    waived: tuple[JsonObject, ...] = ()

    def to_json(self) -> JsonObject:
        """One stage of `live`."""
        return {
            "version": self.version,
            "digest": str(self.digest),
            "since": to_text(self.since),
            "by": self.by,
            "event": self.event,
            "waived": list(self.waived),
        }


@dataclass(frozen=True, slots=True)
class Live:
    """What held each stage of a model at a moment, read from the events.

    Attributes:
        model: the model.
        at: the moment; None for now.
        stages: each stage that was defined then, with what held it; None where nothing did.
    """

    model: ModelName
    at: datetime | None
    stages: Mapping[str, Holding | None]

    def to_json(self) -> JsonObject:
        """What `live` prints; a stage that nothing held is null."""
        return {
            "model": str(self.model),
            "at": None if self.at is None else to_text(self.at),
            "stages": {name: None if held is None else held.to_json() for name, held in self.stages.items()},
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        ok: whether the log is whole, and the registry is as the log says.
        size: the number of events.
        root: the RFC 6962 tree hash over their bodies, `sha256:…`.
        first_bad: the index of the first event that is not as it was written, or gone; None when every event is, or
            nobody can say which one.
        sentence: the finding in words.
        unlike: what was seen of the log before, and it does not begin with.
    """

    ok: bool
    size: int
    root: Digest
    first_bad: int | None
    sentence: str
    unlike: tuple[Head, ...] = ()

    def to_json(self) -> JsonObject:
        """What `audit verify` prints."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": str(self.root),
            "first_bad": self.first_bad,
            "sentence": self.sentence,
            "unlike": [head.to_json() for head in self.unlike],
        }

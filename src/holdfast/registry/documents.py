"""The registry's values as JSON documents, as they travel between a server and those who ask it.

What a value says of itself is its own `to_json`; here is the way back:

    version(Reader(found.to_json(), "version")) == found

Fields that are not known here are passed over: a newer server may say more.
"""

from base64 import b64decode
from datetime import datetime

from holdfast.canonical import Reader
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest
from holdfast.errors import UnsupportedFormat
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.clearing import Cleared
from holdfast.registry.merkle import Head
from holdfast.registry.proofs import Consistency, Inclusion
from holdfast.registry.records import (
    Approval,
    Audit,
    Event,
    Hold,
    Holding,
    Live,
    Meaning,
    Verdict,
    waivers_in,
)
from holdfast.registry.values import Edge, Model, Move, Replica, ReplicaState, Stage, Version
from holdfast.registry.whereabouts import Archive, Tenure

__all__ = [
    "approval",
    "archive",
    "audit",
    "cleared",
    "consistency",
    "edge",
    "event",
    "hashes",
    "head",
    "hold",
    "inclusion",
    "judged",
    "live",
    "model",
    "moment",
    "move",
    "replica",
    "stage",
    "tenure",
    "verdict",
    "version",
]


def model(found: Reader) -> Model:
    """A model."""
    return Model(
        name=ModelName(found.text("model")),
        description=found.text("description"),
        created_at=_time(found, "created_at"),
        created_by=_by(found),
        known_as=found.maybe_text("known_as"),
    )


def version(found: Reader) -> Version:
    """A version."""
    return Version(
        model=ModelName(found.text("model")),
        number=VersionNumber(found.integer("version")),
        digest=Digest.parse(found.text("digest")),
        complete=found.flag("complete"),
        missing=found.texts("missing"),
        run_id=found.maybe_text("run"),
        semver=found.maybe_text("semver"),
        summary=found.mapping("summary"),
        created_at=_time(found, "created_at"),
        created_by=_by(found),
    )


def stage(found: Reader) -> Stage:
    """A stage as it stood."""
    return Stage(
        model=ModelName(found.text("model")),
        name=StageName(found.text("stage")),
        number=_number(found, "version"),
        digest=_digest(found, "digest"),
        epoch=found.integer("epoch"),
        last_known_good=_number(found, "last_known_good"),
        event=found.maybe_integer("event"),
        changed_at=_time(found, "changed_at"),
    )


def move(found: Reader) -> Move:
    """A move that has happened."""
    return Move(
        model=ModelName(found.text("model")),
        stage=StageName(found.text("stage")),
        action=Action(found.text("action")),
        from_number=_number(found, "from"),
        to_number=VersionNumber(found.integer("to")),
        to_digest=Digest.parse(found.text("digest")),
        epoch=found.integer("epoch"),
        last_known_good=_number(found, "last_known_good"),
        event=found.integer("event"),
        time=_time(found, "time"),
        verdict=_digest(found, "verdict"),
    )


def cleared(found: Reader) -> Cleared:
    """A stage that was emptied."""
    return Cleared(
        model=ModelName(found.text("model")),
        stage=StageName(found.text("stage")),
        number=VersionNumber(found.integer("from")),
        digest=Digest.parse(found.text("from_digest")),
        epoch=found.integer("epoch"),
        event=found.integer("event"),
        time=_time(found, "time"),
    )


def event(found: Reader) -> Event:
    """An entry of the log; whether it is as it was written is not looked at."""
    return Event(
        index=found.integer("index"),
        time=_time(found, "time"),
        actor=found.text("actor"),
        action=found.text("action"),
        model=found.maybe_text("model"),
        stage=found.maybe_text("stage"),
        from_number=found.maybe_integer("from"),
        from_digest=found.maybe_text("from_digest"),
        to_number=found.maybe_integer("to"),
        to_digest=found.maybe_text("to_digest"),
        epoch=found.maybe_integer("epoch"),
        last_known_good=found.maybe_integer("last_known_good"),
        reason=found.text("reason"),
        verdict=found.maybe_text("verdict"),
        approvals=tuple(Reader(one, "approval").rest() for one in found.items("approvals")),
        idempotency_key=found.maybe_text("idempotency_key"),
        details=found.mapping("details"),
        prev=found.maybe_text("prev"),
        hash=found.text("hash"),
    )


def approval(found: Reader) -> Approval:
    """A judgement."""
    return Approval(
        id=found.text("id"),
        model=ModelName(found.text("model")),
        number=VersionNumber(found.integer("version")),
        digest=Digest.parse(found.text("digest")),
        stage=StageName(found.text("stage")),
        meaning=Meaning(found.text("meaning")),
        approver=found.text("approver"),
        reason=found.text("reason"),
        verdict=_digest(found, "verdict"),
        created_at=_time(found, "created_at"),
    )


def verdict(found: Reader) -> Verdict:
    """A verdict with its body."""
    return Verdict(
        digest=Digest.parse(found.text("verdict")),
        model=ModelName(found.text("model")),
        number=VersionNumber(found.integer("version")),
        stage=StageName(found.text("stage")),
        outcome=found.text("outcome"),
        body=found.mapping("body"),
        created_at=_time(found, "created_at"),
    )


def judged(found: Reader) -> tuple[VersionNumber, ...]:
    """The numbers of versions that were judged on the same rows."""
    numbers = found.items("versions")
    if not all(isinstance(number, int) for number in numbers):
        raise UnsupportedFormat("a version's number is none", hint="Ask whoever runs the server.")
    return tuple(VersionNumber(number) for number in numbers if isinstance(number, int))


def edge(found: Reader) -> Edge:
    """A step of lineage."""
    child, parent = found.reader("child"), found.reader("parent")
    return Edge(
        child.text("kind"), child.text("name"), found.text("relation"), parent.text("kind"), parent.text("name")
    )


def hold(found: Reader) -> Hold:
    """A hold."""
    return Hold(
        id=found.integer("hold"),
        digest=Digest.parse(found.text("digest")),
        model=found.maybe_text("model"),
        version=found.maybe_integer("version"),
        reason=found.text("reason"),
        by=found.text("by"),
        since=_time(found, "since"),
    )


def archive(found: Reader) -> Archive:
    """A copy in a remote."""
    return Archive(
        id=found.integer("archive"),
        digest=Digest.parse(found.text("digest")),
        model=found.maybe_text("model"),
        version=found.maybe_integer("version"),
        remote=found.text("remote"),
        url=found.text("url"),
        blobs=found.integer("blobs"),
        bytes=found.integer("bytes"),
        reason=found.text("reason"),
        by=found.text("by"),
        since=_time(found, "since"),
    )


def tenure(found: Reader) -> Tenure:
    """A time that a version held a stage."""
    until = found.maybe_text("until")
    return Tenure(
        model=ModelName(found.text("model")),
        stage=StageName(found.text("stage")),
        number=VersionNumber(found.integer("version")),
        event=found.integer("event"),
        since=_time(found, "since"),
        until=None if until is None else from_text(until),
    )


def live(found: Reader) -> Live:
    """What held the stages of a model."""
    at = found.maybe_text("at")
    stages = found.mapping("stages")
    return Live(
        ModelName(found.text("model")),
        None if at is None else from_text(at),
        {name: None if held is None else _holding(Reader(held, name)) for name, held in stages.items()},
    )


def _holding(found: Reader) -> Holding:
    return Holding(
        version=VersionNumber(found.integer("version")),
        digest=Digest.parse(found.text("digest")),
        since=_time(found, "since"),
        by=found.text("by"),
        event=found.integer("event"),
        waived=waivers_in(found.rest()),
    )


def head(found: Reader) -> Head:
    """What the log was with so many events."""
    return Head(found.integer("size"), Digest.parse(found.text("root")))


def inclusion(found: Reader) -> Inclusion:
    """That an event is in the log."""
    return Inclusion(found.integer("index"), found.text("body").encode(), head(found), hashes(found, "path"))


def consistency(found: Reader) -> Consistency:
    """That the log begins with what it was."""
    return Consistency(head(found.reader("old")), head(found.reader("new")), hashes(found, "path"))


def hashes(found: Reader, key: str) -> tuple[bytes, ...]:
    """Hashes in base 64.

    Raises:
        UnsupportedFormat: something else.
    """
    try:
        return tuple(b64decode(text, validate=True) for text in found.texts(key))
    except ValueError as error:
        raise UnsupportedFormat(
            f"{found.where}.{key} is not base 64", hint="The document was not written by Holdfast."
        ) from error


def audit(found: Reader) -> Audit:
    """What an audit found."""
    return Audit(
        ok=found.flag("ok"),
        size=found.integer("size"),
        root=Digest.parse(found.text("root")),
        first_bad=found.maybe_integer("first_bad"),
        sentence=found.text("sentence"),
        unlike=tuple(head(Reader(one, "head")) for one in found.items("unlike")),
    )


def replica(found: Reader) -> Replica:
    """A replica's word."""
    return Replica(
        id=found.text("id"),
        model=ModelName(found.text("model")),
        stage=StageName(found.text("stage")),
        host=found.text("host"),
        pid=found.integer("pid"),
        url=found.text("url"),
        number=_number(found, "version"),
        digest=_digest(found, "digest"),
        epoch=found.maybe_integer("epoch"),
        state=ReplicaState(found.text("state")),
        error=found.maybe_text("error"),
        started_at=_time(found, "started_at"),
        reported_at=_time(found, "reported_at"),
        since=None if (since := found.maybe_text("since")) is None else from_text(since),
    )


def moment(at: datetime | None) -> str | None:
    """A moment as a question names it."""
    return None if at is None else to_text(at)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(found: Reader, key: str) -> VersionNumber | None:
    value = found.maybe_integer(key)
    return None if value is None else VersionNumber(value)


def _digest(found: Reader, key: str) -> Digest | None:
    value = found.maybe_text(key)
    return None if value is None else Digest.parse(value)


def _time(found: Reader, key: str) -> datetime:
    return from_text(found.text(key))


def _by(found: Reader) -> str:
    return found.text("created_by")

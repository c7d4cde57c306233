"""The values of the registry: models, versions, stages and their moves, lineage, replicas. All frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.facts import Facts

__all__ = [
    "STAGES",
    "Edge",
    "Model",
    "Move",
    "MoveStage",
    "NewVersion",
    "Replica",
    "ReplicaState",
    "Stage",
    "Version",
]

STAGES = (StageName("staging"), StageName("production"), StageName("archived"))
"""The stages of a new model, unless it is given others: stages are data."""


@dataclass(frozen=True, slots=True)
class Model:
    """A named line of versions; `known_as` is what MLflow's clients call it, where that is another name."""

    name: ModelName
    description: str
    created_at: datetime
    created_by: str
    known_as: str | None = None

    def to_json(self) -> JsonObject:
        """One entry of a list of models."""
        return {
            "model": str(self.name),
            "description": self.description,
            "created_at": to_text(self.created_at),
            "created_by": self.created_by,
            "known_as": self.known_as,
        }


@dataclass(frozen=True, order=True, slots=True)
class Edge:
    """One step of lineage: `child` was made from, with or by `parent`.

    Attributes:
        child_kind: what the child is: `version`, `run`, `snapshot` …
        child: its name: a digest for versions and snapshots, an id for runs.
        relation: how it came about: `trained_on`, `produced_by`, `derived_from` …
        parent_kind: what the parent is.
        parent: its name.
    """

    child_kind: str
    child: str
    relation: str
    parent_kind: str
    parent: str

    def to_json(self) -> JsonObject:
        """The edge, its two ends named by kind."""
        return {
            "child": {"kind": self.child_kind, "name": self.child},
            "relation": self.relation,
            "parent": {"kind": self.parent_kind, "name": self.parent},
        }


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A bundle, durable in the store, that asks for a number.

    Attributes:
        model: the line it joins.
        digest: of its manifest.
        complete: whether it has all five parts and the required evidence.
        missing: the names of those that it lacks.
        run_id: the run that made it.
        semver: the semantic version that outsiders know it by, unique within the model.
        summary: what lists show without opening the bundle; kept as it is given.
        lineage: what it was made from.
        facts: what a search can ask of it; None where nobody has read them yet.
    """

    model: ModelName
    digest: Digest
    complete: bool
    missing: tuple[str, ...] = ()
    run_id: str | None = None
    semver: str | None = None
    summary: Mapping[str, object] = field(default_factory=dict)
    lineage: tuple[Edge, ...] = ()
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable version: the number that a digest has within a model."""

    model: ModelName
    number: VersionNumber
    digest: Digest
    complete: bool
    missing: tuple[str, ...]
    run_id: str | None
    semver: str | None
    summary: JsonObject
    created_at: datetime
    created_by: str

    def to_json(self) -> JsonObject:
        """What `register` and `list` print."""
        return {
            "model": str(self.model),
            "version": self.number,
            "digest": str(self.digest),
            "complete": self.complete,
            "missing": list(self.missing),
            "run": self.run_id,
            "semver": self.semver,
            "summary": self.summary,
            "created_at": to_text(self.created_at),
            "created_by": self.created_by,
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """A movable pointer, as it stands.

    Attributes:
        model: whose stage it is.
        name: its name.
        number: the version that holds it; None while nothing does.
        digest: of that version.
        epoch: how often it has moved; a replica that has seen this number has seen this state.
        last_known_good: where a rollback goes; None when there is nowhere.
        event: the index of the event that moved it last; None before the first move.
        changed_at: when that was, or when the stage was defined.
    """

    model: ModelName
    name: StageName
    number: VersionNumber | None
    digest: Digest | None
    epoch: int
    last_known_good: VersionNumber | None
    event: int | None
    changed_at: datetime

    def to_json(self) -> JsonObject:
        """The stage with its version's number and digest, or nulls."""
        return {
            "model": str(self.model),
            "stage": str(self.name),
            "version": self.number,
            "digest": None if self.digest is None else str(self.digest),
            "epoch": self.epoch,
            "last_known_good": self.last_known_good,
            "event": self.event,
            "changed_at": to_text(self.changed_at),
        }


@dataclass(frozen=True, slots=True)
class MoveStage:
    """A change and its requirement: move the stage to `to`, provided that it holds `expect` now.

    Attributes:
        model: whose stage.
        stage: which one.
        to: the version that shall hold it.
        expect: the version that must hold it now; None: nothing must.
        action: promote, rollback or adopt.
        reason: why, in the words of the person.
        verdict: the digest of the gate's verdict, which must be in the registry.
        approvals: the ids of the approvals that this move rests on; each must approve this version for this stage.
        idempotency_key: the same key again gives the same answer, and moves nothing.
        details: whatever else the event should keep.
    """

    model: ModelName
    stage: StageName
    to: VersionNumber
    expect: VersionNumber | None
    action: Action
    reason: str = ""
    verdict: Digest | None = None
    approvals: tuple[str, ...] = ()
    idempotency_key: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """A stage move that has happened.

    Attributes:
        model: whose stage.
        stage: which one.
        action: promote, rollback or adopt.
        from_number: the version that held it before; None when nothing did.
        to_number: the version that held it afterwards.
        to_digest: of that version.
        epoch: the stage's epoch afterwards.
        last_known_good: where a rollback would have gone afterwards.
        event: the index of its event.
        time: when.
        verdict: the digest of the verdict it rested on.
    """

    model: ModelName
    stage: StageName
    action: Action
    from_number: VersionNumber | None
    to_number: VersionNumber
    to_digest: Digest
    epoch: int
    last_known_good: VersionNumber | None
    event: int
    time: datetime
    verdict: Digest | None

    def to_json(self) -> JsonObject:
        """What `promote` and `rollback` print of the move itself."""
        return {
            "model": str(self.model),
            "stage": str(self.stage),
            "action": str(self.action),
            "from": self.from_number,
            "to": self.to_number,
            "digest": str(self.to_digest),
            "epoch": self.epoch,
            "last_known_good": self.last_known_good,
            "event": self.event,
            "time": to_text(self.time),
            "verdict": None if self.verdict is None else str(self.verdict),
        }


class ReplicaState(StrEnum):
    """What a replica says of itself."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Replica:
    """One serving process and what it actually serves.

    Attributes:
        id: of the process; a restart has another.
        model: the model it serves.
        stage: the stage it follows.
        host: the machine it runs on.
        pid: its process id there.
        url: where it answers.
        number: the version it answers with; None before the first is ready.
        digest: of that version.
        epoch: the stage's epoch that it has caught up with.
        state: loading, ready, failed or stopped.
        error: why it failed.
        started_at: when the process began.
        reported_at: when it last spoke; set by the registry's clock, whatever the replica says.
        since: when it began to answer with this version, by its own clock; None before the first is ready.
    """

    id: str
    model: ModelName
    stage: StageName
    host: str
    pid: int
    url: str
    number: VersionNumber | None
    digest: Digest | None
    epoch: int | None
    state: ReplicaState
    error: str | None
    started_at: datetime
    reported_at: datetime
    since: datetime | None = None

    def to_json(self) -> JsonObject:
        """One entry of `replicas`."""
        return {
            "id": self.id,
            "model": str(self.model),
            "stage": str(self.stage),
            "host": self.host,
            "pid": self.pid,
            "url": self.url,
            "version": self.number,
            "digest": None if self.digest is None else str(self.digest),
            "epoch": self.epoch,
            "state": str(self.state),
            "error": self.error,
            "started_at": to_text(self.started_at),
            "reported_at": to_text(self.reported_at),
            "since": None if self.since is None else to_text(self.since),
        }

"""The values that answer questions: versions that were found, spells of a stage, walks along lineage. All frozen."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.values import Edge, Version

__all__ = ["Direction", "Found", "FoundVersion", "Indexed", "Node", "Spell", "Unknown", "Walk"]


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version that fits a search.

    Attributes:
        version: it.
        stages: the stages that it holds now, by name.
        value: what it was sorted by, where that is a metric or a param; None where it has none.
    """

    version: Version
    stages: tuple[StageName, ...]
    value: float | None = None

    def to_json(self) -> JsonObject:
        """One entry of `versions`."""
        return {**self.version.to_json(), "stages": list(map(str, self.stages)), "value": self.value}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A field that a search asked for, and no version has.

    Attributes:
        field: as a filter writes it.
        nearest: those that versions have and that are written alike.
    """

    field: str
    nearest: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """One entry of `unknown`."""
        return {"field": self.field, "nearest": list(self.nearest)}


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what a search found.

    Attributes:
        versions: in the order that was asked for.
        next: what to ask for the next page with; None at the end.
        not_indexed: how many versions were searched by their names alone, since their facts are not written down.
        in_part: how many have more facts than are written down.
        unknown: where nothing was found, the fields that no version has.
    """

    versions: tuple[FoundVersion, ...]
    next: str | None
    not_indexed: int
    in_part: int
    unknown: tuple[Unknown, ...] = ()

    def to_json(self) -> JsonObject:
        """What `search` prints."""
        return {
            "versions": [one.to_json() for one in self.versions],
            "next": self.next,
            "not_indexed": self.not_indexed,
            "in_part": self.in_part,
            "unknown": [one.to_json() for one in self.unknown],
        }


@dataclass(frozen=True, slots=True)
class Indexed:
    """What is written down of one version.

    Attributes:
        facts: how many there are.
        left_out: how many were past the limit.
    """

    facts: int
    left_out: int

    def to_json(self) -> JsonObject:
        """The answer to writing them down."""
        return {"facts": self.facts, "left_out": self.left_out}


@dataclass(frozen=True, slots=True)
class Spell:
    """One time that a version held a stage: how it came, and how it went.

    Attributes:
        model: whose stage.
        stage: which one.
        number: the version that held it.
        digest: of that version.
        replaced: the version that held the stage before; None when nothing did.
        action: promote, rollback or adopt: how the version came to the stage.
        by: who moved it there.
        reason: why.
        verdict: the verdict that the move rested on.
        outcome: of that verdict.
        event: the index of the event that began it.
        since: when that was.
        until: when another version took its place; None while it holds the stage.
        ended: how the other one came: promote, rollback or adopt.
        ended_event: the index of the event that ended it.
        ended_reason: why, in the words of whoever ended it.
        waived: the waivers that the move rested on.
    """

    model: ModelName
    stage: StageName
    number: VersionNumber
    digest: Digest
    replaced: VersionNumber | None
    action: Action
    by: str
    reason: str
    verdict: Digest | None
    outcome: str | None
    event: int
    since: datetime
    until: datetime | None = None
    ended: Action | None = None
    ended_event: int | None = None
    ended_reason: str | None = None
    waived: tuple[JsonObject, ...] = ()

    def to_json(self) -> JsonObject:
        """One entry of `history`; `seconds` is null while the version holds the stage."""
        return {
            "model": str(self.model),
            "stage": str(self.stage),
            "version": self.number,
            "digest": str(self.digest),
            "replaced": self.replaced,
            "action": str(self.action),
            "by": self.by,
            "reason": self.reason,
            "verdict": None if self.verdict is None else str(self.verdict),
            "outcome": self.outcome,
            "event": self.event,
            "since": to_text(self.since),
            "until": None if self.until is None else to_text(self.until),
            "seconds": None if self.until is None else (self.until - self.since).total_seconds(),
            "ended": None if self.ended is None else str(self.ended),
            "ended_event": self.ended_event,
            "ended_reason": self.ended_reason,
            "waived": list(self.waived),
        }


class Direction(StrEnum):
    """Which way a walk goes."""

    UP = "up"
    """To what a thing was made from."""

    DOWN = "down"
    """To what was made from it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that a walk came by.

    Attributes:
        kind: what it is: `version`, `run`, `snapshot`, `commit` …
        name: a digest, or an id.
        depth: how many steps it is from where the walk began.
        versions: the versions of that name, such as `churn@4`; empty for other kinds.
    """

    kind: str
    name: str
    depth: int
    versions: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """One entry of `nodes`."""
        return {"kind": self.kind, "name": self.name, "depth": self.depth, "versions": list(self.versions)}


@dataclass(frozen=True, slots=True)
class Walk:
    """What a thing was made from, or what was made from it, step by step.

    Attributes:
        nodes: what the walk came by, the start first, each once.
        edges: the steps.
        cut: whether there is more beyond the depth or the limit.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cut: bool

    def to_json(self) -> JsonObject:
        """One direction of `lineage`."""
        return {
            "nodes": [one.to_json() for one in self.nodes],
            "edges": [one.to_json() for one in self.edges],
            "cut": self.cut,
        }

"""What travels of searches, histories and walks, as the OpenAPI document describes it."""

from holdfast.web.api.schemas import (
    ActionText,
    Asked,
    DigestText,
    Edge,
    Facts,
    Index,
    Moment,
    Number,
    Said,
    Version,
)
from holdfast.web.api.schemas_of_stages import Waived


class FoundVersion(Version):
    """A version that fits a search, the stages that it holds, and what it was sorted by."""

    stages: list[str]
    value: float | None


class Unknown(Said):
    """A field that no version has, and those that are written alike."""

    field: str
    nearest: list[str]


class Found(Said):
    """A page of what a search found; `not_indexed` versions were searched by their names alone."""

    versions: list[FoundVersion]
    next: str | None
    not_indexed: Index
    in_part: Index
    unknown: list[Unknown]


class NamedSnapshots(Said):
    """Snapshots that versions name, by digest."""

    digests: list[DigestText]


class NotIndexed(Said):
    """Versions whose facts are not written down, by model and number."""

    versions: list[Version]


class NewFacts(Asked):
    """The facts of a version."""

    facts: Facts


class Indexed(Said):
    """What is written down of a version."""

    facts: Index
    left_out: Index


class Spell(Said):
    """A time that a version held a stage; what ended it is null while it does."""

    model: str
    stage: str
    version: Number
    digest: DigestText
    replaced: Number | None
    action: ActionText
    by: str
    reason: str
    verdict: DigestText | None
    outcome: str | None
    event: Index
    since: Moment
    until: Moment | None
    seconds: float | None
    ended: ActionText | None
    ended_event: Index | None
    ended_reason: str | None
    waived: list[Waived]


class Spells(Said):
    """Spells, the newest first."""

    spells: list[Spell]


class Node(Said):
    """One thing that a walk came by."""

    kind: str
    name: str
    depth: Index
    versions: list[str]


class Walk(Said):
    """A walk along lineage; `cut` where there is more beyond."""

    nodes: list[Node]
    edges: list[Edge]
    cut: bool


class VerdictEntry(Said):
    """A verdict in a list, without its body; `blobs` is what it keeps in the store."""

    verdict: DigestText
    model: str
    version: Number
    stage: str
    outcome: str
    blobs: list[DigestText]
    created_at: Moment


class Verdicts(Said):
    """Verdicts, in the order of their digests."""

    verdicts: list[VerdictEntry]

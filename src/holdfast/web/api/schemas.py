"""What travels: the JSON of every request and answer, as the OpenAPI document describes it.

Answers are made by the values' own `to_json`; a test holds each of them to its description here. What a name may be,
and how long a text, the registry says: what is let in at all is little enough to ask it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.registry import STAGES, Action

DigestText = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
Moment = Annotated[str, Field(description="ISO 8601 in UTC, with microseconds", max_length=40)]
ActionText = Annotated[str, Field(description="One of " + ", ".join(sorted(map(str, Action))))]
Number = Annotated[int, Field(ge=1, le=2**53 - 1)]
Index = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Asked(BaseModel):
    """A request: what is not understood is refused, so that a misspelt field is not passed over."""

    model_config = ConfigDict(extra="forbid")


class Said(BaseModel):
    """An answer: a newer server may say more."""

    model_config = ConfigDict(extra="allow")


class Problem(Said):
    """Why a request was refused."""

    code: str
    message: str
    hint: str


class Refusal(Said):
    """The one shape of every error."""

    error: Problem


class NewModel(Asked):
    """A line of versions to begin."""

    model: str
    description: str = ""
    stages: list[str] = [str(stage) for stage in STAGES]


class WantedModel(Asked):
    """A line of versions that shall be there."""

    stages: list[str] = [str(stage) for stage in STAGES]


class Model(Said):
    """A line of versions."""

    model: str
    description: str
    created_at: Moment
    created_by: str
    known_as: str | None


class Models(Said):
    """A page of models, by name."""

    models: list[Model]
    next: str | None


class End(Asked):
    """One end of an edge."""

    kind: str
    name: str


class Edge(Asked):
    """One step of lineage: the child was made from, with or by the parent."""

    child: End
    relation: str
    parent: End


class Edges(Said):
    """Steps of lineage."""

    edges: list[Edge]


class Facts(Asked):
    """What a search can ask of a version: pairs of a field and a value."""

    numbers: list[tuple[str, float]] = []
    texts: list[tuple[str, str]] = []
    left_out: Index = 0


class NewVersion(Asked):
    """A bundle, durable in the store, that asks for a number."""

    digest: DigestText
    complete: bool
    missing: list[str] = []
    run: str | None = None
    semver: str | None = None
    summary: dict[str, Any] = {}
    lineage: list[Edge] = []
    facts: Annotated[Facts | None, Field(description="Heeded only where the server keeps no bytes")] = None
    reason: str = ""


class RegisteredVersion(NewVersion):
    """A version that gets the next number."""

    action: ActionText = "model:version:register"


class ImportedVersion(NewVersion):
    """A version that comes with the number that another registry gave it."""

    origin: dict[str, Any] = {}


class Version(Said):
    """The number that a digest has within a model."""

    model: str
    version: Number
    digest: DigestText
    complete: bool
    missing: list[str]
    run: str | None
    semver: str | None
    summary: dict[str, Any]
    created_at: Moment
    created_by: str


class Versions(Said):
    """A page of versions, by model and number."""

    versions: list[Version]
    next: str | None


class NewStage(Asked):
    """A stage to define."""

    stage: str


class Stage(Said):
    """A movable pointer, as it stands."""

    model: str
    stage: str
    version: Number | None
    digest: DigestText | None
    epoch: Index
    last_known_good: Number | None
    event: Index | None
    changed_at: Moment


class Stages(Said):
    """The stages of a model, by name."""

    stages: list[Stage]


class NewMove(Asked):
    """A change and its requirement: the stage moves to `to`, provided that it holds `expect` now."""

    to: Number
    expect: Number | None = None
    action: ActionText
    reason: str = ""
    verdict: DigestText | None = None
    approvals: list[str] = []
    details: dict[str, Any] = {}


class Move(Said):
    """A move that has happened."""

    model: str
    stage: str
    action: str
    from_: Annotated[Number | None, Field(alias="from")]
    to: Number
    digest: DigestText
    epoch: Index
    last_known_good: Number | None
    event: Index
    time: Moment
    verdict: DigestText | None


class MaybeMove(Said):
    """The move that was made under a key; null when none was."""

    move: Move | None


class NewEvent(Asked):
    """Something that happened and that changed nothing but the log."""

    action: ActionText
    model: str | None = None
    stage: str | None = None
    from_: Annotated[Number | None, Field(alias="from")] = None
    to: Number | None = None
    reason: str = ""
    verdict: DigestText | None = None
    details: dict[str, Any] = {}


class Event(Said):
    """One entry of the audit log."""

    index: Index
    time: Moment
    actor: str
    action: ActionText
    model: str | None
    stage: str | None
    from_: Annotated[Number | None, Field(alias="from")]
    from_digest: DigestText | None
    to: Number | None
    to_digest: DigestText | None
    epoch: Index | None
    last_known_good: Number | None
    reason: str
    verdict: DigestText | None
    approvals: list[dict[str, Any]]
    idempotency_key: str | None
    details: dict[str, Any]
    prev: DigestText | None
    hash: DigestText


class Events(Said):
    """Entries of the log, newest first."""

    events: list[Event]


class NewApproval(Asked):
    """A person's judgement of one version for one stage."""

    digest: DigestText
    stage: str
    meaning: Literal["approve", "reject"] = "approve"
    reason: str = ""
    verdict: DigestText | None = None


class Approval(Said):
    """A judgement, bound to the digests of the version and of the verdict."""

    id: str
    model: str
    version: Number
    digest: DigestText
    stage: str
    meaning: str
    approver: str
    reason: str
    verdict: DigestText | None
    created_at: Moment


class Approvals(Said):
    """Judgements, oldest first."""

    approvals: list[Approval]


class NewVerdict(Asked):
    """A gate's results; the digest of the canonical body is its name, in the path."""

    model: str
    version: Number
    stage: str
    outcome: str
    body: dict[str, Any]


class Verdict(Said):
    """A gate's results, as they are kept."""

    verdict: DigestText
    model: str
    version: Number
    stage: str
    outcome: str
    body: dict[str, Any]
    created_at: Moment


class Judged(Said):
    """Versions that were judged on the same frozen rows."""

    versions: list[Number]


class NewReplica(Asked):
    """What a serving process says of itself."""

    id: str
    model: str
    stage: str
    host: str
    pid: Index
    url: str
    version: Number | None
    digest: DigestText | None
    epoch: Index | None
    state: Literal["loading", "ready", "failed", "stopped"]
    error: str | None
    started_at: Moment
    reported_at: Moment
    since: Moment | None = None


class Replica(Said):
    """A serving process and what it actually serves."""

    id: str
    model: str
    stage: str
    host: str
    pid: int
    url: str
    version: Number | None
    digest: DigestText | None
    epoch: Index | None
    state: str
    error: str | None
    started_at: Moment
    reported_at: Moment
    since: Moment | None


class Replicas(Said):
    """The replicas that follow a stage, by start."""

    replicas: list[Replica]


class File(Said):
    """One file of the store."""

    key: str
    size: Index


class Files(Said):
    """A page of files, by name."""

    files: list[File]
    next: str | None


class SignedUrl(Said):
    """Where a file can be read, and for how many seconds from now."""

    url: str | None
    seconds: Index


class Health(Said):
    """Whether all is well; otherwise the code of what is not."""

    status: str

"""What travels of holds, archives and tenures, as the OpenAPI document describes it."""

from holdfast.web.api.schemas import Asked, DigestText, Index, Moment, Number, Said


class NewHold(Asked):
    """What is to be kept: `churn@4`, or the digest of a snapshot."""

    what: str
    reason: str


class Why(Asked):
    """A reason, and nothing else."""

    reason: str = ""


class Hold(Said):
    """A wish that something be kept."""

    hold: Index
    digest: DigestText
    model: str | None
    version: Number | None
    reason: str
    by: str
    since: Moment


class Holds(Said):
    """The holds that stand, oldest first."""

    holds: list[Hold]


class NewArchive(Asked):
    """A copy of a version (`churn@4`) or a snapshot (its digest), proved to be whole in a remote."""

    what: str
    remote: str
    url: str
    blobs: Index
    bytes: Index
    reason: str = ""
    expect: Index | None = None


class Archive(Said):
    """A copy in a remote that stands in for the bytes at hand."""

    archive: Index
    digest: DigestText
    model: str | None
    version: Number | None
    remote: str
    url: str
    blobs: Index
    bytes: Index
    reason: str
    by: str
    since: Moment


class Archives(Said):
    """Archives, oldest first."""

    archives: list[Archive]


class NewRestore(Asked):
    """What was brought back, and from which remote."""

    digest: DigestText
    remote: str
    reason: str = ""


class Restore(Said):
    """When something was brought back last."""

    digest: DigestText
    at: Moment


class Restores(Said):
    """Everything that ever was brought back."""

    restores: list[Restore]


class Tenure(Said):
    """A time that a version held a stage; `until` is null while it does."""

    model: str
    stage: str
    version: Number
    event: Index
    since: Moment
    until: Moment | None


class Tenures(Said):
    """Tenures, in the order in which they began."""

    tenures: list[Tenure]

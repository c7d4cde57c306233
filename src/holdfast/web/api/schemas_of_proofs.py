"""What travels of the log's proofs, as the OpenAPI document describes it. Paths and edges are base 64, from below."""

from holdfast.web.api.schemas import Asked, DigestText, Index, Said


class Head(Asked):
    """What the log was with so many events."""

    size: Index
    root: DigestText


class Heads(Said):
    """What the log is, and what it was."""

    head: Head
    earlier: list[Head]


class Inclusion(Said):
    """That an event is in the log: RFC 6962, section 2.1.1."""

    index: Index
    body: str
    size: Index
    root: DigestText
    path: list[str]


class Consistency(Said):
    """That the log begins with what it was: RFC 6962, section 2.1.2."""

    old: Head
    new: Head
    path: list[str]


class SignedCheckpoint(Said):
    """A signed note with a checkpoint of the log: c2sp.org/tlog-checkpoint."""

    checkpoint: str


class LogKey(Said):
    """The public keys of the log, as a signed note names them."""

    key: str
    origin: str
    retired: list[str]


class Edge(Said):
    """Full subtrees, the largest first."""

    edge: list[str]


class Bodies(Said):
    """Events as they were hashed."""

    bodies: list[str]


class Seen(Asked):
    """Heads that somebody saw before."""

    seen: list[Head]


class Audit(Said):
    """What an audit found."""

    ok: bool
    size: Index
    root: DigestText
    first_bad: Index | None
    sentence: str
    unlike: list[Head]

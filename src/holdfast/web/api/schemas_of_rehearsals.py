"""What travels of rehearsals."""

from typing import Annotated, Any

from pydantic import Field

from holdfast.web.api.schemas import Asked, DigestText, Index, Moment, Number, Said

__all__ = ["NewRehearsal", "Rehearsal", "Rehearsals"]


class NewRehearsal(Asked):
    """The certificate of a rehearsed rollback, `holdfast.rehearsal` 1.0."""

    certificate: dict[str, Any]


class Rehearsal(Said):
    """A certificate as it is kept, under the digest of its canonical bytes."""

    certificate: DigestText
    model: str
    stage: str
    from_: Annotated[Number, Field(alias="from")]
    to: Number
    outcome: str
    event: Index
    created_at: Moment
    created_by: str
    body: dict[str, Any]


class Rehearsals(Said):
    """Certificates, newest first."""

    rehearsals: list[Rehearsal]

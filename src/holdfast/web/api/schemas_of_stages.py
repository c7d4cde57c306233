"""What travels of stages and what they held, as the OpenAPI document describes it."""

from typing import Annotated, Any

from pydantic import Field

from holdfast.web.api.schemas import Asked, DigestText, Index, Moment, Number, Said


class Waived(Said):
    """A rule that did not let a version through, and who answers for that, why and until which day."""

    rule: str
    by: str
    reason: str
    until: str


class Holding(Said):
    """The version that held a stage at a moment."""

    version: Number
    digest: DigestText
    since: Moment
    by: str
    event: Index
    waived: list[Waived]


class NewClear(Asked):
    """A stage to be emptied, provided that it holds `expect` now."""

    expect: Number
    reason: str
    details: Annotated[dict[str, Any], Field(default_factory=dict)]


class Cleared(Said):
    """A stage that was emptied."""

    model: str
    stage: str
    action: str
    from_: Annotated[Number, Field(alias="from")]
    from_digest: DigestText
    to: None
    epoch: Index
    last_known_good: Number
    event: Index
    time: Moment


class Live(Said):
    """What held each stage of a model at a moment."""

    model: str
    at: Moment | None
    stages: dict[str, Holding | None]

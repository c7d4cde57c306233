"""What travels of stages and what they held, as the OpenAPI document describes it."""

from holdfast.web.api.schemas import DigestText, Index, Moment, Number, Said


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


class Live(Said):
    """What held each stage of a model at a moment."""

    model: str
    at: Moment | None
    stages: dict[str, Holding | None]

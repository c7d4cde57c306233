"""What travels of policies, as the OpenAPI document describes it."""

from holdfast.web.api.schemas import Asked, DigestText, Index, Moment, Number, Said


class NewPolicy(Asked):
    """A policy as TOML, for one model or for all; `expect` is the number of the one that it replaces, 0 for none."""

    text: str
    model: str | None = None
    reason: str
    expect: Index = 0


class Policy(Said):
    """A policy that was set."""

    number: Number
    model: str | None
    digest: DigestText
    text: str
    reason: str
    by: str
    at: Moment
    event: Index


class Policies(Said):
    """Policies, oldest first."""

    policies: list[Policy]


class MaybePolicy(Said):
    """The policy in force, or null."""

    policy: Policy | None

"""What travels of webhooks, as the OpenAPI document describes it."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.registry.webhooks.interface import OVERLAP
from holdfast.web.api.schemas import Asked, Index, Moment, Said

Patterns = Annotated[list[str], Field(description="Names, with * for any text; none: all")]


class NewWebhook(Asked):
    """An address to be told of events."""

    url: str
    actions: Patterns = Field(default_factory=list)
    models: Patterns = Field(default_factory=list)


class Webhook(Said):
    """A webhook as it stands."""

    webhook: str
    url: str
    actions: Patterns
    models: Patterns
    state: Literal["active", "stopped"]
    next_event: Index
    behind: Index
    attempts: Index
    next_at: Moment
    error: str | None
    delivered: Index
    delivered_at: Moment | None
    old_secret_until: Moment | None
    created_at: Moment
    created_by: str


class GivenWebhook(Webhook):
    """A webhook with its secret, which is told this once."""

    secret: str


class Webhooks(Said):
    """All of them."""

    webhooks: list[Webhook]


class Rotation(Asked):
    """How long the secret that is replaced signs too."""

    overlap_seconds: Annotated[float, Field(ge=0)] = OVERLAP.total_seconds()


class Resumption(Asked):
    """Whether the event that the receiver does not take is left out."""

    skip: bool = False


class Nothing(Asked):
    """A request that says nothing."""


class Trial(Said):
    """What came of a message that says nothing."""

    taken: bool
    status: int | None
    sentence: str
    milliseconds: float

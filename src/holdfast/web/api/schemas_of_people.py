"""What travels of users, grants and tokens, as the OpenAPI document describes it."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.access.values import DAYS_DEFAULT, DAYS_MAX
from holdfast.web.api.schemas import Asked, Moment, Said

RoleText = Literal["viewer", "contributor", "approver", "admin"]
PatternText = Annotated[str, Field(max_length=256, examples=["churn", "fraud-*", "*"])]
NameText = Annotated[str, Field(max_length=256, examples=["ana"])]


class NewUser(Asked):
    """Somebody who shall be known."""

    user: NameText
    kind: Literal["person", "service"] = "person"
    email: str | None = None


class NewGrant(Asked):
    """A role for the models that a pattern names; only an approver's names stages."""

    role: RoleText
    pattern: PatternText = "*"
    stages: list[str] = Field(default_factory=list)


class EndOfGrant(Asked):
    """The pattern for which nothing shall be granted any more."""

    pattern: PatternText = "*"


class Grant(Said):
    """A role, for some models."""

    role: RoleText
    pattern: str
    stages: list[str]


class User(Said):
    """Somebody who is known."""

    user: str
    kind: str
    email: str | None
    created_at: Moment
    created_by: str
    disabled_at: Moment | None
    grants: list[Grant]


class Users(Said):
    """All that are known, by name."""

    users: list[User]


class Identity(Said):
    """Who asks, and what they may; null where the server asks nobody."""

    user: str | None
    kind: str | None
    token: str | None
    expires_at: Moment | None
    grants: list[Grant]


class NewToken(Asked):
    """A token to be issued: to the caller, where no user is named. It allows nothing above its role."""

    name: str
    user: str | None = None
    role_max: RoleText = "admin"
    pattern: PatternText = "*"
    days: Annotated[float, Field(gt=0, le=DAYS_MAX)] = DAYS_DEFAULT


class Token(Said):
    """A token, without its secret."""

    id: str
    user: str
    name: str
    role_max: str
    pattern: str
    created_at: Moment
    created_by: str
    expires_at: Moment
    revoked_at: Moment | None
    last_used_at: Moment | None


class Issued(Token):
    """A fresh token; its secret is said this once."""

    token: str


class Tokens(Said):
    """Tokens, in the order in which they were issued."""

    tokens: list[Token]


class Why(Asked):
    """A reason, and nothing else."""

    reason: str = ""

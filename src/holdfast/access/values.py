"""Users, their tokens, and the identity that a token proves. All frozen."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from holdfast.access.roles import EVERYTHING, Ceiling, Grant, Pattern, Role
from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName

__all__ = ["DAYS_DEFAULT", "DAYS_MAX", "Identity", "Issued", "Kind", "NewToken", "NewUser", "Token", "User"]

DAYS_DEFAULT = 90
"""A quarter: nobody forgets for longer that a token is somewhere."""

DAYS_MAX = 366
"""A year and a day; whatever must work for longer is given a new one once a year."""

_USER = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}\Z")

_TOKEN_NAME = re.compile(r"[ -~]{1,100}\Z")
"""What a person calls a token: one line that every terminal shows as it is."""


class Kind(StrEnum):
    """What a user is. A service is a machine, and never approves."""

    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class NewUser:
    """Somebody who shall be known.

    Attributes:
        name: what events call them for good: lower case, and an address of e-mail will do.
        kind: a person, or a service.
        email: by which a provider of identities knows the person.
    """

    name: str
    kind: Kind = Kind.PERSON
    email: str | None = None

    def __post_init__(self) -> None:
        require_user_name(self.name)
        if self.email is not None:
            require_user_name(self.email)
            if self.kind is Kind.SERVICE:
                raise UsageError("a service has no e-mail", hint="Give it a token: holdfast token create --user NAME")


def require_user_name(text: str) -> str:
    """The text, if it can be the name of a user.

    Raises:
        UsageError: it cannot.
    """
    if not _USER.match(text):
        raise UsageError(
            f"{text[:80]!r} cannot be the name of a user",
            hint="Use 1 to 128 of a-z 0-9 . _ @ + - and begin with a letter or digit.",
        )
    return text


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is known.

    Attributes:
        name: the actor of their events.
        kind: a person, or a service.
        email: by which a provider knows the person.
        subject: issuer and subject of the provider that signed the person in first, once one has.
        created_at: since when.
        created_by: who said so.
        disabled_at: since when they may do nothing; None while they may.
        grants: what they may do, by pattern.
    """

    name: str
    kind: Kind
    email: str | None
    subject: str | None
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    grants: tuple[Grant, ...] = ()

    def to_json(self) -> JsonObject:
        """One entry of `user list`."""
        return {
            "user": self.name,
            "kind": str(self.kind),
            "email": self.email,
            "created_at": to_text(self.created_at),
            "created_by": self.created_by,
            "disabled_at": _moment(self.disabled_at),
            "grants": [grant.to_json() for grant in self.grants],
        }


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be issued.

    Attributes:
        user: whom it proves.
        name: what the person calls it.
        ceiling: the most that it lets its user do.
        days: until it expires.
        until: it expires no later than then; None: only `days` count.
        grants: what it lets its user do beside the user's own grants, by the groups that a provider named; None when no
            provider was asked.
    """

    user: str
    name: str
    ceiling: Ceiling = field(default_factory=Ceiling)
    days: float = DAYS_DEFAULT
    until: datetime | None = None
    grants: tuple[Grant, ...] | None = None

    def __post_init__(self) -> None:
        if not _TOKEN_NAME.match(self.name):
            raise UsageError(
                "a token has a name of 1 to 100 plain characters", hint='Say where it is used: --name "laptop"'
            )
        if not 0 < self.days <= DAYS_MAX:
            raise UsageError(f"a token lives up to {DAYS_MAX} days", hint="Issue a new one before that one ends.")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as everybody may see it: never the secret.

    Attributes:
        id: its name for machines.
        user: whom it proves.
        name: what the person calls it.
        ceiling: the most that it lets its user do.
        created_at: when it was issued.
        created_by: by whom.
        expires_at: from when on it is refused.
        revoked_at: since when it is refused; None while it is not.
        last_used_at: about when it was shown last, to the hour; None when never.
    """

    id: str
    user: str
    name: str
    ceiling: Ceiling
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    def to_json(self) -> JsonObject:
        """One entry of `token list`."""
        return {
            "id": self.id,
            "user": self.user,
            "name": self.name,
            "role_max": str(self.ceiling.role),
            "pattern": str(self.ceiling.pattern),
            "created_at": to_text(self.created_at),
            "created_by": self.created_by,
            "expires_at": to_text(self.expires_at),
            "revoked_at": _moment(self.revoked_at),
            "last_used_at": _moment(self.last_used_at),
        }


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh token, with the secret that is shown this once."""

    token: Token
    secret: str = field(repr=False)

    def to_json(self) -> JsonObject:
        """What `token create` prints."""
        return {**self.token.to_json(), "token": self.secret}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as a token proves it.

    Attributes:
        user: the actor of what they do.
        kind: a person, or a service.
        token: the id of the token.
        expires_at: when that ends.
        grants: what they may do, under the token's ceiling.
        ceiling: the token's.
    """

    user: str
    kind: Kind
    token: str
    expires_at: datetime
    grants: tuple[Grant, ...]
    ceiling: Ceiling = field(default_factory=Ceiling)

    def may(self, role: Role, model: ModelName | Pattern = EVERYTHING, stage: StageName | None = None) -> bool:
        """Whether they may act in `role` on a model, or on all that a pattern names."""
        return any(grant.gives(role, model, stage) for grant in self.grants)

    def may_somewhere(self, role: Role) -> bool:
        """Whether they may act in `role` on any model at all."""
        return any(grant.role.includes(role) for grant in self.grants)

    def to_json(self) -> JsonObject:
        """What `whoami` prints."""
        return {
            "user": self.user,
            "kind": str(self.kind),
            "token": self.token,
            "expires_at": to_text(self.expires_at),
            "grants": [grant.to_json() for grant in self.grants],
        }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)

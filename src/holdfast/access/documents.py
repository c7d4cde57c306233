"""Users, grants and tokens from the JSON that a server sends."""

from holdfast.access.roles import Ceiling, Grant, Pattern, Role
from holdfast.access.values import Kind, Token, User
from holdfast.canonical import Json, Reader
from holdfast.database.times import from_text
from holdfast.names import StageName

__all__ = ["grant", "token", "user"]


def grant(value: Json) -> Grant:
    """What `Grant.to_json` wrote."""
    read = Reader(value, "grant")
    stages = tuple(map(StageName, read.texts("stages")))
    return Grant(Role.parse(read.text("role")), Pattern(read.text("pattern")), stages)


def user(read: Reader) -> User:
    """What `User.to_json` wrote."""
    disabled = read.maybe_text("disabled_at")
    return User(
        name=read.text("user"),
        kind=Kind(read.text("kind")),
        email=read.maybe_text("email"),
        subject=None,
        created_at=from_text(read.text("created_at")),
        created_by=read.text("created_by"),
        disabled_at=None if disabled is None else from_text(disabled),
        grants=tuple(map(grant, read.items("grants"))),
    )


def token(read: Reader) -> Token:
    """What `Token.to_json` wrote."""
    revoked, used = read.maybe_text("revoked_at"), read.maybe_text("last_used_at")
    return Token(
        id=read.text("id"),
        user=read.text("user"),
        name=read.text("name"),
        ceiling=Ceiling(Role.parse(read.text("role_max")), Pattern(read.text("pattern"))),
        created_at=from_text(read.text("created_at")),
        created_by=read.text("created_by"),
        expires_at=from_text(read.text("expires_at")),
        revoked_at=None if revoked is None else from_text(revoked),
        last_used_at=None if used is None else from_text(used),
    )

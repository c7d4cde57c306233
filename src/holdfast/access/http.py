"""The users, grants and tokens of a Holdfast server, for its admins and for whoever has a token there."""

from holdfast.access import documents
from holdfast.access.roles import Grant, Pattern
from holdfast.access.values import Issued, NewToken, NewUser, Token, User
from holdfast.canonical import JsonObject, Reader
from holdfast.errors import NotFound
from holdfast.service.line import Line, quoted

__all__ = ["HttpAccess"]


class HttpAccess:
    """An `Access` that a server keeps; the actor of every change is who the line's token proves.

    Args:
        line: to the server.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def add_user(self, new: NewUser, actor: str) -> User:
        """See `Access.add_user`."""
        body: JsonObject = {"user": new.name, "kind": str(new.kind), "email": new.email}
        return documents.user(self._said("/users", body, actor))

    def users(self) -> tuple[User, ...]:
        """See `Access.users`."""
        found = Reader(self._line.get("/users"), "users")
        return tuple(documents.user(Reader(one, "user")) for one in found.items("users"))

    def disable(self, name: str, actor: str, reason: str = "") -> User:
        """See `Access.disable`."""
        return documents.user(self._said(f"/users/{quoted(name)}/disable", {"reason": reason}, actor))

    def grant(self, name: str, grant: Grant, actor: str) -> User:
        """See `Access.grant`."""
        return documents.user(self._said(f"/users/{quoted(name)}/grants", grant.to_json(), actor))

    def revoke(self, name: str, pattern: Pattern, actor: str) -> User:
        """See `Access.revoke`."""
        return documents.user(self._said(f"/users/{quoted(name)}/grants/revoke", {"pattern": str(pattern)}, actor))

    def issue(self, new: NewToken, actor: str) -> Issued:
        """See `Access.issue`."""
        body: JsonObject = {
            "user": new.user,
            "name": new.name,
            "role_max": str(new.ceiling.role),
            "pattern": str(new.ceiling.pattern),
            "days": new.days,
        }
        found = self._said("/tokens", body, actor)
        return Issued(documents.token(found), found.text("token"))

    def tokens(self, user: str | None = None) -> tuple[Token, ...]:
        """See `Access.tokens`."""
        found = Reader(self._line.get("/tokens", user=user), "tokens")
        return tuple(documents.token(Reader(one, "token")) for one in found.items("tokens"))

    def token(self, id_: str) -> Token:
        """See `Access.token`."""
        found = next((one for one in self.tokens() if one.id == id_), None)
        if found is None:
            raise NotFound(f"there is no token {id_[:64]}", hint="See: holdfast token list")
        return found

    def revoke_token(self, id_: str, actor: str) -> Token:
        """See `Access.revoke_token`."""
        return documents.token(self._said(f"/tokens/{quoted(id_)}/revoke", {}, actor))

    def _said(self, path: str, body: JsonObject, actor: str) -> Reader:
        return Reader(self._line.send("POST", path, body, actor=actor), path)

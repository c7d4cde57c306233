"""What everything that keeps users, grants and tokens promises."""

from collections.abc import Callable
from typing import Protocol

from holdfast.access.roles import Grant, Pattern
from holdfast.access.values import Identity, Issued, NewToken, NewUser, Token, User

__all__ = ["Access", "Doors"]


class Access(Protocol):
    """Users, what is granted to them, and their tokens; every change is an event."""

    def add_user(self, new: NewUser, actor: str) -> User:
        """Makes somebody known, who may do nothing yet.

        Raises:
            AlreadyExists: the name or the e-mail is taken, even by somebody who is disabled.
        """

    def users(self) -> tuple[User, ...]:
        """All that are known, by name."""

    def disable(self, name: str, actor: str, reason: str = "") -> User:
        """Takes everything from a user at once, their tokens included; the name stays theirs.

        Raises:
            NotFound: nobody has that name.
            AlreadyExists: they are disabled.
        """

    def grant(self, name: str, grant: Grant, actor: str) -> User:
        """Gives a role for a pattern, in place of the one that the user had for that pattern.

        Raises:
            NotFound: nobody has that name.
            UsageError: the user is disabled, or a service, which administers nothing.
            AlreadyExists: the same is granted already.
        """

    def revoke(self, name: str, pattern: Pattern, actor: str) -> User:
        """Takes back what was granted for a pattern.

        Raises:
            NotFound: nobody has that name, or nothing is granted to them for this pattern.
        """

    def issue(self, new: NewToken, actor: str) -> Issued:
        """Makes a token; its secret is in the answer and nowhere else.

        Raises:
            NotFound: nobody has that name.
            UsageError: the user is disabled.
        """

    def tokens(self, user: str | None = None) -> tuple[Token, ...]:
        """The tokens of a user, or of all, in the order in which they were issued."""

    def token(self, id_: str) -> Token:
        """One token.

        Raises:
            NotFound: there is none.
        """

    def revoke_token(self, id_: str, actor: str) -> Token:
        """Has a token refused from now on.

        Raises:
            NotFound: there is none.
            AlreadyExists: it was revoked before.
        """


class Doors(Access, Protocol):
    """What a server asks beside: who stands behind a token."""

    def identify(self, secret: str) -> Identity | None:
        """Who is known by this secret; None where nobody is, or is no longer. One question to the database."""

    def tickets(self, token: str, seconds: int) -> Callable[[str], str]:
        """What writes tickets in the name of a token, each for one request, such as `GET /a/b`.

        Args:
            token: its id.
            seconds: how long they are good for, at most.

        Raises:
            NotFound: there is no such token.
        """

    def admitted(self, ticket: str, what: str) -> Identity | None:
        """In whose name this ticket lets ask this; None where it does not, or does no longer."""

    def sign_in(self, subject: str, email: str | None) -> User:
        """The person whom a provider calls so, made known where they are new.

        Raises:
            PermissionRefused: they are disabled, or the name that they would have is another's.
        """

    def has_admin(self) -> bool:
        """Whether anybody can administer it over HTTP."""

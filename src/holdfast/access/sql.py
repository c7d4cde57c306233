"""Users, grants and tokens in the registry's database: each change in one transaction with its event."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from holdfast.access.roles import Ceiling, Grant, Pattern, Role
from holdfast.access.secret import fingerprint, is_secret, mint
from holdfast.access.tables import grants, tokens, users
from holdfast.access.ticket import Ticket
from holdfast.access.values import Identity, Issued, Kind, NewToken, NewUser, Token, User
from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.database.times import from_text, to_text
from holdfast.errors import AlreadyExists, HoldfastError, NotFound, PermissionRefused, UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append

__all__ = ["SqlAccess", "has_role", "is_same_person"]

_USE_IS_NOTED_EVERY = timedelta(hours=1)
"""Coarse on purpose: a token that is used a thousand times a second is written down once an hour."""

_KNOWN: Select[Any] = (
    select(
        *(tokens.c.id, tokens.c.fingerprint, tokens.c.role_max, tokens.c.pattern.label("ceiling"), tokens.c.grants),
        *(tokens.c.expires_at, tokens.c.last_used_at, users.c.name, users.c.kind),
        *(grants.c.role, grants.c.pattern, grants.c.stages),
    )
    .join(users, users.c.name == tokens.c.holder)
    .outerjoin(grants, grants.c.holder == users.c.name)
    .where(
        tokens.c.expires_at > bindparam("now"),
        tokens.c.revoked_at.is_(None),
        users.c.disabled_at.is_(None),
    )
)
"""All that a request needs to know of who asks, in one statement."""

_BEHIND = _KNOWN.where(tokens.c.fingerprint == bindparam("fingerprint"))

_BEHIND_TICKET = _KNOWN.where(tokens.c.id == bindparam("token"))

_FINGERPRINT = select(tokens.c.fingerprint).where(tokens.c.id == bindparam("token"))

_LAST_SIGN_IN = (
    select(tokens.c.grants)
    .where(tokens.c.holder == bindparam("holder"), tokens.c.grants.is_not(None))
    .order_by(tokens.c.created_at.desc())
    .limit(1)
)
"""What the provider's groups gave to somebody when they signed in last."""


class SqlAccess:
    """An `Access` in a database, and the `Doors` of a server; it keeps no state of its own.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        new_id: gives an id that nobody has had.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    def add_user(self, new: NewUser, actor: str) -> User:
        """See `Access.add_user`."""
        with self._database.write() as connection:
            return self._add(connection, new, actor, None)

    def users(self) -> tuple[User, ...]:
        """See `Access.users`."""
        with self._database.view() as connection:
            return tuple(_users(connection))

    def disable(self, name: str, actor: str, reason: str = "") -> User:
        """See `Access.disable`."""
        with self._database.write() as connection:
            if _user(connection, name).disabled_at is not None:
                raise AlreadyExists(f"{name} is disabled", hint="Nothing needs to be done.", user=name)
            event = self._log(connection, Action.USER_DISABLE, actor, {"user": name}, reason)
            connection.execute(update(users).where(users.c.name == name).values(disabled_at=event))
            return _user(connection, name)

    def grant(self, name: str, grant: Grant, actor: str) -> User:
        """See `Access.grant`."""
        with self._database.write() as connection:
            user = _user(connection, name)
            if user.disabled_at is not None:
                raise UsageError(f"{name} is disabled", hint="Add another user.", user=name)
            if user.kind is Kind.SERVICE and grant.role is Role.ADMIN:
                raise UsageError(f"{name} is a service, and a machine administers nothing", hint="Name a person.")
            before = next((one for one in user.grants if one.pattern == grant.pattern), None)
            if before == grant:
                raise AlreadyExists(f"{name} is {grant.role} for {grant.pattern} already", hint="Nothing to do.")
            event = self._log(connection, Action.GRANT_ADD, actor, {"user": name, **grant.to_json()})
            row = {
                "role": str(grant.role),
                "stages": json.dumps([str(stage) for stage in grant.stages]),
                "granted_at": event,
                "granted_by": actor,
            }
            key = {"holder": name, "pattern": str(grant.pattern)}
            if before is None:
                connection.execute(insert(grants), {**key, **row})
            else:
                connection.execute(_granted(name, grant.pattern, update(grants)).values(row))
            return _user(connection, name)

    def revoke(self, name: str, pattern: Pattern, actor: str) -> User:
        """See `Access.revoke`."""
        with self._database.write() as connection:
            user = _user(connection, name)
            found = next((one for one in user.grants if one.pattern == pattern), None)
            if found is None:
                raise NotFound(
                    f"nothing is granted to {name} for {pattern}",
                    hint=f"Granted are: {', '.join(str(one.pattern) for one in user.grants) or 'none'}.",
                )
            self._log(connection, Action.GRANT_REMOVE, actor, {"user": name, **found.to_json()})
            connection.execute(_granted(name, pattern, delete(grants)))
            return _user(connection, name)

    def issue(self, new: NewToken, actor: str) -> Issued:
        """See `Access.issue`."""
        secret, id_ = mint(), self._new_id()
        with self._database.write() as connection:
            if _user(connection, new.user).disabled_at is not None:
                raise UsageError(f"{new.user} is disabled", hint="Add another user.", user=new.user)
            wanted = self._clock() + timedelta(days=new.days)
            row = {
                "name": new.name,
                "role_max": str(new.ceiling.role),
                "pattern": str(new.ceiling.pattern),
                "expires_at": to_text(wanted if new.until is None else min(wanted, new.until)),
            }
            given = None if new.grants is None else [grant.to_json() for grant in new.grants]
            said = {"token": id_, "user": new.user, **row, "grants": given}
            event = self._log(connection, Action.TOKEN_ISSUE, actor, said)
            fresh: dict[str, str | None] = {"id": id_, "fingerprint": fingerprint(secret), "holder": new.user}
            fresh["grants"] = None if given is None else json.dumps(given)
            connection.execute(insert(tokens), {**fresh, **row, "created_at": event, "created_by": actor})
            return Issued(_token(connection, id_), secret)

    def tokens(self, user: str | None = None) -> tuple[Token, ...]:
        """See `Access.tokens`."""
        wanted = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        with self._database.read() as connection:
            rows = connection.execute(wanted if user is None else wanted.where(tokens.c.holder == user))
            return tuple(_load_token(row) for row in rows)

    def token(self, id_: str) -> Token:
        """See `Access.token`."""
        with self._database.read() as connection:
            return _token(connection, id_)

    def revoke_token(self, id_: str, actor: str) -> Token:
        """See `Access.revoke_token`."""
        with self._database.write() as connection:
            found = _token(connection, id_)
            if found.revoked_at is not None:
                raise AlreadyExists(f"the token {id_} was revoked", hint="Nothing needs to be done.", token=id_)
            said = {"token": id_, "user": found.user, "name": found.name}
            event = self._log(connection, Action.TOKEN_REVOKE, actor, said)
            connection.execute(update(tokens).where(tokens.c.id == id_).values(revoked_at=event))
            return _token(connection, id_)

    def identify(self, secret: str) -> Identity | None:
        """See `Doors.identify`."""
        if not is_secret(secret):
            return None
        now = self._clock()
        with self._database.read() as connection:
            rows = connection.execute(_BEHIND, {"fingerprint": fingerprint(secret), "now": to_text(now)}).all()
        return self._identity(rows, now)

    def tickets(self, token: str, seconds: int) -> Callable[[str], str]:
        """See `Doors.tickets`."""
        with self._database.read() as connection:
            key = connection.execute(_FINGERPRINT, {"token": token}).scalar_one_or_none()
        if key is None:
            raise NotFound(f"there is no token {token}", hint="See: holdfast token list", token=token)
        until = int(self._clock().timestamp()) + seconds
        return lambda what: str(Ticket.write(token, key, until, what))

    def admitted(self, ticket: str, what: str) -> Identity | None:
        """See `Doors.admitted`."""
        shown, now = Ticket.parse(ticket), self._clock()
        if shown is None or shown.until <= now.timestamp():
            return None
        with self._database.read() as connection:
            rows = connection.execute(_BEHIND_TICKET, {"token": shown.token, "now": to_text(now)}).all()
        return self._identity(rows, now) if rows and shown.holds(rows[0].fingerprint, what) else None

    def _identity(self, rows: Sequence[Row[Any]], now: datetime) -> Identity | None:
        if not rows:
            return None
        first = rows[0]
        ceiling = Ceiling(Role(first.role_max), Pattern(first.ceiling))
        held = [
            *(_load_grant(row) for row in rows if row.role is not None),
            *map(_said, json.loads(first.grants or "[]")),
        ]
        self._note_use(first, now)
        return Identity(
            user=first.name,
            kind=Kind(first.kind),
            token=first.id,
            expires_at=from_text(first.expires_at),
            grants=tuple(left for grant in held if (left := ceiling.under(grant)) is not None),
            ceiling=ceiling,
        )

    def sign_in(self, subject: str, email: str | None) -> User:
        """See `Doors.sign_in`."""
        with self._database.write() as connection:
            found = next((user for user in _users(connection) if user.subject == subject), None)
            if found is None and email is not None:
                found = next((user for user in _users(connection) if user.email == email), None)
                if found is not None and found.subject is not None:
                    _refuse_sign_in(f"{email} belongs to somebody else's account at the provider")
            if found is None:
                return self._join(connection, subject, email)
            if found.disabled_at is not None:
                _refuse_sign_in(f"{found.name} is disabled")
            if found.subject is None:
                self._log(connection, Action.USER_BIND, found.name, {"user": found.name, "subject": subject})
                connection.execute(update(users).where(users.c.name == found.name).values(subject=subject))
                return _user(connection, found.name)
            return found

    def has_admin(self) -> bool:
        """See `Doors.has_admin`."""
        return any(
            user.disabled_at is None and grant.gives(Role.ADMIN, Pattern("*"), None)
            for user in self.users()
            for grant in user.grants
        )

    def _join(self, connection: Connection, subject: str, email: str | None) -> User:
        if email is None:
            _refuse_sign_in("the provider names no verified e-mail, and nobody is known by this account")
        if connection.execute(select(users).where(users.c.name == email)).one_or_none() is not None:
            _refuse_sign_in(f"{email} is the name of another user")
        return self._add(connection, NewUser(email, email=email), email, subject)

    def _add(self, connection: Connection, new: NewUser, actor: str, subject: str | None) -> User:
        for column, value in ((users.c.name, new.name), (users.c.email, new.email)):
            if value is not None and connection.execute(select(users).where(column == value)).first() is not None:
                raise AlreadyExists(f"{value} is known already", hint="See: holdfast user list", user=value)
        said = {"user": new.name, "kind": str(new.kind), "email": new.email, "subject": subject}
        event = self._log(connection, Action.USER_ADD, actor, said)
        row = {"name": new.name, "kind": str(new.kind), "email": new.email, "subject": subject}
        connection.execute(insert(users), {**row, "created_at": event, "created_by": actor})
        return _user(connection, new.name)

    def _log(self, connection: Connection, action: Action, actor: str, details: JsonObject, reason: str = "") -> str:
        """Appends the event; its time, as text."""
        return to_text(append(connection, Entry(action, reason=reason, details=details), self._clock(), actor).time)

    def _note_use(self, row: Row[Any], now: datetime) -> None:
        if row.last_used_at is not None and now - from_text(row.last_used_at) < _USE_IS_NOTED_EVERY:
            return
        try:
            with self._database.change() as connection:
                connection.execute(update(tokens).where(tokens.c.id == row.id).values(last_used_at=to_text(now)))
        except HoldfastError:
            return  # a database that is busy, full or only read from still says who somebody is


def has_role(connection: Connection, name: str, role: Role, model: ModelName, stage: StageName) -> bool:
    """Whether a person may act in a role now, by what is granted to them and by the groups of their last sign-in.

    A service never may.
    """
    user = next(iter(_users(connection, name)), None)
    if user is None or user.disabled_at is not None or user.kind is not Kind.PERSON:
        return False
    last = connection.execute(_LAST_SIGN_IN, {"holder": name}).scalar_one_or_none()
    of_groups = () if last is None else tuple(map(_said, json.loads(last)))
    return any(grant.gives(role, model, stage) for grant in (*user.grants, *of_groups))


def is_same_person(connection: Connection, name: str, author: str) -> bool:
    """Whether an author, as a log names them, is the user of that name.

    Before a server asked who people are, logs named them as Git does: `Ana <ana@example.org>`.
    """
    user = next(iter(_users(connection, name)), None)
    known = {name, None if user is None else user.email}
    said, _, address = author.lower().removesuffix(">").partition(" <")
    return author in known or said in known or address in known


def _refuse_sign_in(why: str) -> NoReturn:
    raise PermissionRefused(why, hint="Ask an admin: holdfast user list")


def _granted(name: str, pattern: Pattern, statement: Any) -> Any:
    return statement.where(grants.c.holder == name, grants.c.pattern == str(pattern))


def _users(connection: Connection, name: str | None = None) -> Iterable[User]:
    people = select(users).order_by(users.c.name)
    given = select(grants).order_by(grants.c.holder, grants.c.pattern)
    if name is not None:
        people, given = people.where(users.c.name == name), given.where(grants.c.holder == name)
    held: dict[str, list[Grant]] = {}
    for row in connection.execute(given):
        held.setdefault(row.holder, []).append(_load_grant(row))
    for row in connection.execute(people):
        yield User(
            name=row.name,
            kind=Kind(row.kind),
            email=row.email,
            subject=row.subject,
            created_at=from_text(row.created_at),
            created_by=row.created_by,
            disabled_at=_moment(row.disabled_at),
            grants=tuple(held.get(row.name, ())),
        )


def _user(connection: Connection, name: str) -> User:
    found = next(iter(_users(connection, name)), None)
    if found is None:
        raise NotFound(f"nobody is known as {name[:128]}", hint="See: holdfast user list")
    return found


def _token(connection: Connection, id_: str) -> Token:
    row = connection.execute(select(tokens).where(tokens.c.id == id_)).one_or_none()
    if row is None:
        raise NotFound(f"there is no token {id_[:64]}", hint="See: holdfast token list")
    return _load_token(row)


def _load_token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        user=row.holder,
        name=row.name,
        ceiling=Ceiling(Role(row.role_max), Pattern(row.pattern)),
        created_at=from_text(row.created_at),
        created_by=row.created_by,
        expires_at=from_text(row.expires_at),
        revoked_at=_moment(row.revoked_at),
        last_used_at=_moment(row.last_used_at),
    )


def _load_grant(row: Row[Any]) -> Grant:
    return Grant(Role(row.role), Pattern(row.pattern), tuple(map(StageName, json.loads(row.stages))))


def _said(value: JsonObject) -> Grant:
    return Grant(Role(value["role"]), Pattern(value["pattern"]), tuple(map(StageName, value["stages"])))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)

"""The promises of the fourth schema: nobody gets, keeps or loses a permission without the event that says so.

A user and a token are never deleted, and never become another's. What changes without an event is when a token was
shown last.
"""

from collections.abc import Iterator

__all__ = ["LASTING_OF_TOKENS", "LASTING_OF_USERS", "sqlite_triggers"]

LASTING_OF_USERS = ("name", "kind", "created_at", "created_by")
"""The columns of a user that stay as they were written."""

LASTING_OF_TOKENS = (
    *("id", "fingerprint", "holder", "name", "role_max", "pattern", "grants"),
    *("created_at", "created_by", "expires_at"),
)
"""The columns of a token that stay as they were written."""


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    yield _refuse(
        "users",
        "INSERT",
        "a user needs its event, and is never replaced",
        "EXISTS (SELECT 1 FROM users WHERE name = NEW.name OR email = NEW.email OR subject = NEW.subject) "  # noqa: S608
        "OR NEW.disabled_at IS NOT NULL OR NOT " + _said("access:user:add", "user=NEW.name"),
    )
    kept = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in LASTING_OF_USERS)
    yield _refuse(
        "users",
        "UPDATE",
        "a user is disabled, or bound to a provider, together with the event",
        f"{kept} OR NOT ("
        f"(NEW.disabled_at IS NOT NULL AND OLD.disabled_at IS NULL AND NEW.email IS OLD.email "
        f"AND NEW.subject IS OLD.subject AND {_said('access:user:disable', 'user=NEW.name')}) OR "
        f"(NEW.subject IS NOT NULL AND OLD.subject IS NULL AND NEW.email IS OLD.email "
        f"AND NEW.disabled_at IS OLD.disabled_at AND {_said('access:user:bind', 'user=NEW.name')}))",
    )
    given = _said("access:grant:add", "user=NEW.holder", "pattern=NEW.pattern", "role=NEW.role")
    for change in ("INSERT", "UPDATE"):
        moved = "" if change == "INSERT" else "NEW.holder IS NOT OLD.holder OR NEW.pattern IS NOT OLD.pattern OR "
        yield _refuse("grants", change, "a grant needs its event", f"{moved}NOT {given}")
    taken = _said("access:grant:remove", "user=OLD.holder", "pattern=OLD.pattern")
    yield _refuse("grants", "DELETE", "a grant is taken back together with its event", f"NOT {taken}")
    yield _refuse(
        "tokens",
        "INSERT",
        "a token needs its event, and is never replaced",
        "EXISTS (SELECT 1 FROM tokens WHERE id = NEW.id OR fingerprint = NEW.fingerprint) "  # noqa: S608 - a constant
        "OR NEW.revoked_at IS NOT NULL OR NOT " + _said("access:token:issue", "token=NEW.id", "user=NEW.holder"),
    )
    kept = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in LASTING_OF_TOKENS)
    yield _refuse(
        "tokens",
        "UPDATE",
        "a token is revoked together with its event, and stays as it was issued",
        f"{kept} OR (NEW.revoked_at IS NOT OLD.revoked_at AND (OLD.revoked_at IS NOT NULL "
        f"OR NOT {_said('access:token:revoke', 'token=NEW.id', 'user=NEW.holder')}))",
    )
    for table in ("users", "tokens"):
        yield _refuse(table, "DELETE", f"rows of {table} are never deleted", "1")


def _refuse(table: str, change: str, sentence: str, when: str) -> str:
    return (
        f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
        f"WHEN {when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
    )


def _said(action: str, *details: str) -> str:
    """The condition that the last event says so, each detail written as `name=column`."""
    said = [detail.split("=") for detail in details]
    facts = "".join(f" AND json_extract(details, '$.{name}') IS {column}" for name, column in said)
    return (
        'EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events) '  # noqa: S608 - constants
        f"AND action = '{action}'{facts})"
    )

"""Users, grants and tokens: what they allow, when they end, and that the log tells of each change."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from holdfast.access import Ceiling, Grant, Kind, NewToken, NewUser, Pattern, Role
from holdfast.access.secret import fingerprint, is_secret, mint
from holdfast.access.sql import SqlAccess, is_same_person
from holdfast.database.engine import Database
from holdfast.errors import AlreadyExists, IntegrityError, NotFound, PermissionRefused, UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry.sql import SqlRegistry

if TYPE_CHECKING:
    from tests.access.conftest import Clock

FRAUD, CHURN, PRODUCTION, STAGING = (
    ModelName("fraud-cards"),
    ModelName("churn"),
    StageName("production"),
    StageName("staging"),
)
SOME = Pattern("fraud-*")


@pytest.fixture
def ana(access: SqlAccess) -> SqlAccess:
    access.add_user(NewUser("ana"), "root")
    return access


def known(access: SqlAccess, *grants: Grant, ceiling: Ceiling | None = None) -> str:
    """The secret of ana's token, after these grants."""
    for grant in grants:
        access.grant("ana", grant, "root")
    return access.issue(NewToken("ana", "laptop", ceiling or Ceiling()), "root").secret


def test_a_new_user_is_known_and_may_do_nothing(ana: SqlAccess) -> None:
    identity = ana.identify(known(ana))
    assert identity is not None
    assert (identity.user, identity.kind, identity.grants) == ("ana", Kind.PERSON, ())
    assert not identity.may_somewhere(Role.VIEWER)


def test_each_role_includes_those_before_it() -> None:
    order = list(Role)
    for place, role in enumerate(order):
        assert [one for one in order if role.includes(one)] == order[: place + 1]


def test_a_grant_counts_for_its_models_and_an_approvers_for_its_stages(ana: SqlAccess) -> None:
    identity = ana.identify(known(ana, Grant(Role.APPROVER, SOME, (PRODUCTION,)), Grant(Role.VIEWER, Pattern("churn"))))
    assert identity is not None
    assert identity.may(Role.APPROVER, FRAUD, PRODUCTION)
    assert not identity.may(Role.APPROVER, FRAUD, STAGING)
    assert identity.may(Role.CONTRIBUTOR, FRAUD)
    assert identity.may(Role.VIEWER, CHURN)
    assert not identity.may(Role.CONTRIBUTOR, CHURN)
    assert not identity.may(Role.VIEWER)
    assert not identity.may(Role.ADMIN, FRAUD)
    assert not identity.may(Role.VIEWER, ModelName("fraud"))


@pytest.mark.parametrize(
    ("ceiling", "may", "may_not"),
    [
        (Ceiling(Role.VIEWER), (Role.VIEWER, FRAUD), (Role.CONTRIBUTOR, FRAUD)),
        (Ceiling(Role.ADMIN, Pattern("fraud-cards")), (Role.APPROVER, FRAUD), (Role.VIEWER, ModelName("fraud-loans"))),
        (Ceiling(Role.ADMIN, Pattern("f*")), (Role.APPROVER, FRAUD), (Role.VIEWER, CHURN)),
        (Ceiling(Role.CONTRIBUTOR, Pattern("*")), (Role.CONTRIBUTOR, FRAUD), (Role.APPROVER, FRAUD)),
    ],
)
def test_a_token_allows_what_its_user_may_and_nothing_above_its_ceiling(
    ana: SqlAccess, ceiling: Ceiling, may: tuple[Role, ModelName], may_not: tuple[Role, ModelName]
) -> None:
    identity = ana.identify(known(ana, Grant(Role.APPROVER, SOME), ceiling=ceiling))
    assert identity is not None
    assert identity.may(*may)
    assert not identity.may(*may_not)


def test_a_token_ends_when_it_expires_is_revoked_or_its_user_is_disabled(ana: SqlAccess, clock: "Clock") -> None:
    first, second = (ana.issue(NewToken("ana", name), "root") for name in ("one", "two"))
    assert ana.identify(first.secret) is not None
    ana.revoke_token(first.token.id, "ana")
    assert ana.identify(first.secret) is None
    with pytest.raises(AlreadyExists):
        ana.revoke_token(first.token.id, "ana")
    clock.pass_days(89.9)
    assert ana.identify(second.secret) is not None
    clock.pass_days(0.2)
    assert ana.identify(second.secret) is None
    third = ana.issue(NewToken("ana", "three"), "root")
    ana.disable("ana", "root", "left")
    assert ana.identify(third.secret) is None
    for refused in (
        lambda: ana.issue(NewToken("ana", "four"), "root"),
        lambda: ana.grant("ana", Grant(Role.VIEWER), "root"),
    ):
        with pytest.raises(UsageError):
            refused()
    with pytest.raises(AlreadyExists):
        ana.add_user(NewUser("ana"), "root")


def test_a_token_that_looks_like_one_is_no_token(ana: SqlAccess) -> None:
    secret = known(ana)
    assert ana.identify(mint()) is None
    for broken in (
        secret[:-1],
        secret + "0",
        secret.swapcase(),
        secret.replace("holdfast_", "Holdfast_"),
        "",
        f" {secret}",
    ):
        assert not is_secret(broken)
        assert ana.identify(broken) is None
    assert re.fullmatch(r"holdfast_[0-9A-Za-z]{49}", secret)
    assert len({mint() for _ in range(100)}) == 100


def test_when_a_token_was_used_is_known_to_the_hour(ana: SqlAccess, clock: "Clock") -> None:
    issued = ana.issue(NewToken("ana", "laptop"), "root")
    assert issued.token.last_used_at is None
    seen = []
    for _ in range(3):
        ana.identify(issued.secret)
        seen.append(ana.token(issued.token.id).last_used_at)
        clock.pass_days(0.5 / 24)
    assert seen[0] == seen[1] != seen[2]


def test_a_grant_takes_the_place_of_the_one_for_the_same_pattern(ana: SqlAccess) -> None:
    ana.grant("ana", Grant(Role.ADMIN), "root")
    assert ana.has_admin()
    assert ana.grant("ana", Grant(Role.VIEWER), "root").grants == (Grant(Role.VIEWER),)
    assert not ana.has_admin()
    with pytest.raises(AlreadyExists):
        ana.grant("ana", Grant(Role.VIEWER), "root")
    assert ana.revoke("ana", Pattern("*"), "root").grants == ()
    with pytest.raises(NotFound):
        ana.revoke("ana", Pattern("*"), "root")
    with pytest.raises(NotFound):
        ana.grant("bob", Grant(Role.VIEWER), "root")


def test_a_machine_administers_nothing(access: SqlAccess) -> None:
    access.add_user(NewUser("trainer", Kind.SERVICE), "root")
    with pytest.raises(UsageError, match="machine"):
        access.grant("trainer", Grant(Role.ADMIN), "root")
    access.grant("trainer", Grant(Role.CONTRIBUTOR), "root")


@pytest.mark.parametrize(
    "name", ["", "Ana", "ana maria", "ána", "-ana", "a" * 129, "a\n", "../ana", "ana/x", "ana\x00"]
)
def test_what_cannot_be_a_user_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        NewUser(name)


@pytest.mark.parametrize("pattern", ["", "**", "*a", "a*b", "A", "a/*", "../*", "a b", "latest", "7", "a" * 200])
def test_what_names_no_models_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        Pattern(pattern)


def test_every_change_is_an_event_and_no_event_holds_a_secret(ana: SqlAccess, database: Database) -> None:
    secret = known(ana, Grant(Role.APPROVER, SOME, (PRODUCTION,)))
    ana.revoke("ana", SOME, "root")
    ana.revoke_token("token-1", "ana")
    ana.disable("ana", "root", "left")
    registry = SqlRegistry(database, ana._clock, lambda: "id")
    events = registry.log(limit=50)
    assert [event.action for event in reversed(events)] == [
        *("access:user:add", "access:grant:add", "access:token:issue", "access:grant:remove"),
        *("access:token:revoke", "access:user:disable"),
    ]
    assert {event.details["user"] for event in events} == {"ana"}
    assert events[1].actor == "ana"
    said = "".join(event.body().decode() for event in events)
    for word in (secret, secret[9:20], fingerprint(secret)):
        assert word not in said
    assert registry.audit_verify().ok


def test_a_sign_in_is_believed_by_subject_and_bound_by_email_once(access: SqlAccess) -> None:
    access.add_user(NewUser("ana", email="ana@example.org"), "root")
    assert access.sign_in("issuer 1", "ana@example.org").name == "ana"
    assert access.sign_in("issuer 1", "another@example.org").name == "ana"  # a new address, the same person
    with pytest.raises(PermissionRefused, match="somebody else"):
        access.sign_in("issuer 2", "ana@example.org")
    assert access.sign_in("issuer 3", "bob@example.org").name == "bob@example.org"
    with pytest.raises(PermissionRefused, match="no verified"):
        access.sign_in("issuer 4", None)
    access.disable("ana", "root")
    with pytest.raises(PermissionRefused, match="disabled"):
        access.sign_in("issuer 1", "ana@example.org")
    access.add_user(NewUser("eve@example.org"), "root")
    with pytest.raises(PermissionRefused, match="another user"):
        access.sign_in("issuer 5", "eve@example.org")


@pytest.mark.parametrize(
    ("author", "same"),
    [("ana", True), ("Ana <x@example.org>", True), ("A. M. <Ana.M@example.org>", True), ("ana.m@example.org", True),
     ("bob", False), ("Bob <bob@example.org>", False), ("ana2", False), ("", False)],
)  # fmt: skip
def test_an_author_is_known_again_as_git_named_them(
    access: SqlAccess, database: Database, author: str, *, same: bool
) -> None:
    access.add_user(NewUser("ana", email="ana.m@example.org"), "root")
    with database.view() as connection:
        assert is_same_person(connection, "ana", author) is same


CHANGES = [
    "UPDATE users SET kind = 'person'",
    "UPDATE users SET name = 'eve'",
    "UPDATE users SET disabled_at = '2026-03-01T09:00:00.000000Z'",
    "UPDATE users SET subject = 'theirs'",
    "UPDATE users SET email = 'eve@example.org'",
    "DELETE FROM users",
    "INSERT INTO users (name, kind, created_at, created_by) VALUES ('eve', 'person', 'x', 'x')",
    "UPDATE grants SET role = 'admin'",
    "UPDATE grants SET pattern = '*'",
    "DELETE FROM grants",
    "INSERT INTO grants VALUES ('ana', '*', 'admin', '[]', 'x', 'x')",
    "UPDATE tokens SET expires_at = '2099-01-01T00:00:00.000000Z'",
    "UPDATE tokens SET holder = 'bob'",
    "UPDATE tokens SET role_max = 'viewer'",
    "UPDATE tokens SET revoked_at = '2026-03-01T09:00:00.000000Z'",
    "DELETE FROM tokens",
    (
        "INSERT INTO tokens SELECT 'new', 'f', holder, name, role_max, pattern, grants, created_at, created_by, "
        "expires_at, NULL, NULL FROM tokens"
    ),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_a_permission_without_its_event(ana: SqlAccess, database: Database, change: str) -> None:
    ana.add_user(NewUser("bob"), "root")
    known(ana, Grant(Role.VIEWER, SOME))
    ana.add_user(NewUser("cleo"), "root")  # so that the last event speaks of somebody else
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(text(change))


def test_a_row_is_never_replaced_by_an_insert(access: SqlAccess, database: Database, database_path: Path) -> None:
    if database.engine.dialect.name != "sqlite":
        return  # PostgreSQL replaces by updating
    access.add_user(NewUser("ana"), "root")
    access.issue(NewToken("ana", "laptop"), "root")
    with closing(sqlite3.connect(database_path, isolation_level=None)) as raw:
        for table in ("users", "tokens"):
            with pytest.raises(sqlite3.IntegrityError, match="never replaced"):
                raw.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608 - a constant

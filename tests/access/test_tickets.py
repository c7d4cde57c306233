"""Tickets: good for one request, for a while, in the name of a token that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.access import Grant, NewToken, NewUser, Pattern, Role
from holdfast.access.sql import SqlAccess
from holdfast.access.ticket import Ticket
from holdfast.errors import NotFound
from tests.access.conftest import Clock

WHAT = "GET /a/b"


@pytest.fixture
def token(access: SqlAccess) -> str:
    """The id of a token of ana's."""
    access.add_user(NewUser("ana"), "root")
    access.grant("ana", Grant(Role.CONTRIBUTOR, Pattern("churn")), "root")
    return access.issue(NewToken("ana", "laptop"), "root").token.id


def test_it_asks_one_thing_in_the_name_of_its_token(access: SqlAccess, token: str) -> None:
    ticket = access.tickets(token, 60)(WHAT)
    found = access.admitted(ticket, WHAT)
    assert found is not None
    assert (found.user, found.token, found.may_somewhere(Role.CONTRIBUTOR)) == ("ana", token, True)
    for other in ("PUT /a/b", "GET /a/b/c", "GET /a/b ", ""):
        assert access.admitted(ticket, other) is None


def test_it_ends_with_its_time(access: SqlAccess, token: str, clock: Clock) -> None:
    ticket = access.tickets(token, 60)(WHAT)
    clock.pass_days(59 / 86_400)
    assert access.admitted(ticket, WHAT) is not None
    clock.pass_days(1 / 86_400)
    assert access.admitted(ticket, WHAT) is None


def test_it_ends_with_its_token_and_gives_what_is_granted_now(access: SqlAccess, token: str) -> None:
    ticket = access.tickets(token, 60)(WHAT)
    access.revoke("ana", Pattern("churn"), "root")
    found = access.admitted(ticket, WHAT)
    assert found is not None
    assert found.grants == ()
    access.revoke_token(token, "root")
    assert access.admitted(ticket, WHAT) is None


@pytest.mark.thorough
def test_it_ends_with_its_holder(access: SqlAccess, token: str) -> None:
    ticket = access.tickets(token, 60)(WHAT)
    access.disable("ana", "root")
    assert access.admitted(ticket, WHAT) is None


def test_nobody_changes_what_it_says(access: SqlAccess, token: str) -> None:
    ticket = Ticket.parse(access.tickets(token, 60)(WHAT))
    assert ticket is not None
    other = access.issue(NewToken("ana", "another"), "root").token.id
    for made_up in (
        ticket._replace(until=ticket.until + 1),
        ticket._replace(token=other),
        ticket._replace(token="nobody"),
        ticket._replace(proof="0" * 64),
    ):
        assert access.admitted(str(made_up), WHAT) is None


def test_what_is_none_is_none(access: SqlAccess) -> None:
    for text in ("", ".", "a.1", "a.1.b", f"a.1.{64 * 'g'}", f"a b.1.{64 * '0'}", f"a.{13 * '1'}.{64 * '0'}", "é" * 99):
        assert access.admitted(text, WHAT) is None
    with pytest.raises(NotFound, match="there is no token none"):
        access.tickets("none", 60)


@given(
    st.from_regex(r"\A[0-9A-Za-z_-]{1,64}\Z"), st.integers(0, 10**12 - 1), st.text(max_size=80), st.text(max_size=80)
)
def test_it_is_read_as_it_was_written_and_holds_for_that_alone(token: str, until: int, what: str, other: str) -> None:
    ticket = Ticket.write(token, "kept", until, what)
    assert Ticket.parse(str(ticket)) == ticket
    assert ticket.holds("kept", what)
    assert not ticket.holds("another", what)
    assert ticket.holds("kept", other) is (what == other)

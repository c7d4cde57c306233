"""What is asked of the driver itself is asked as everything else is: in a transaction, with texts that can be kept."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from holdfast.database.driver import asked
from holdfast.database.engine import Database
from holdfast.errors import UsageError

_NAMES = "SELECT name FROM runs WHERE actor = ? ORDER BY name"


def add(database: Database, *names: str) -> None:
    with database.write() as connection:
        for name in names:
            connection.execute(
                text(
                    "INSERT INTO runs (id, name, status, started_at, actor, notes) "
                    "VALUES (:name, :name, 'running', '2026-01-01T00:00:00.000000Z', 'ana', '')"
                ),
                {"name": name},
            )


def test_each_question_has_its_rows(anywhere: Database) -> None:
    add(anywhere, "a", "b")
    with anywhere.view() as connection:
        found = asked(connection, (_NAMES, ("ana",)), ("SELECT 1 WHERE 1 = ?", (2,)), (_NAMES, ("bob",)))
        assert found == [[("a",), ("b",)], [], []]
        assert asked(connection, (_NAMES, ("ana",))) == [[("a",), ("b",)]]


def test_a_view_whose_first_question_this_is_sees_one_moment(anywhere: Database) -> None:
    add(anywhere, "a")
    with anywhere.view() as connection:
        assert asked(connection, (_NAMES, ("ana",))) == [[("a",)]]
        add(anywhere, "b")
        assert asked(connection, (_NAMES, ("ana",))) == [[("a",)]]
    with anywhere.read() as connection:
        assert asked(connection, (_NAMES, ("ana",))) == [[("a",), ("b",)]]


def test_a_text_that_is_none_is_refused_before_it_is_asked(anywhere: Database) -> None:
    for wrong in ("a\0", "\ud800"):
        with anywhere.view() as connection, pytest.raises(UsageError, match="a text cannot be kept"):
            asked(connection, (_NAMES, ("ana",)), (_NAMES, (wrong,)))


def test_a_statement_that_fails_is_an_error_as_of_every_statement(anywhere: Database) -> None:
    with pytest.raises(DBAPIError), anywhere.view() as connection:
        asked(connection, (_NAMES, ("ana",)), ("SELECT nothing FROM nowhere WHERE 1 = ?", (1,)))
    with anywhere.view() as connection:
        assert asked(connection, (_NAMES, ("ana",))) == [[]]

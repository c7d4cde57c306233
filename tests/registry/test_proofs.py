# ruff: noqa: S608 - statements are put together from constants: these tests reach around the registry.
"""The tree in the database: it is the log's, whoever writes, and it proves what the log says."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound
from holdfast.names import ModelName
from holdfast.registry import Action, NewEvent, NewVersion
from holdfast.registry.merkle import Head, Tree, root
from holdfast.registry.sql import SqlRegistry

CHURN = ModelName("churn")
EVENTS = 14


def bodies(registry: SqlRegistry) -> list[bytes]:
    return [event.body() for event in reversed(registry.log(limit=1_000))]


def kept(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as raw:
        return [row[0] for row in raw.execute("SELECT nodes FROM event_nodes ORDER BY event")]


def test_every_event_is_proven_in_every_log_that_has_it(filled: SqlRegistry) -> None:
    written = bodies(filled)
    for size in range(1, EVENTS + 1):
        for index in range(size):
            proof = filled.prove(index, size)
            assert (proof.index, proof.body, proof.head) == (index, written[index], Head(size, root(written[:size])))
            assert proof.holds()
    assert filled.prove(3) == filled.prove(3, EVENTS)


def test_the_log_is_proven_to_begin_with_everything_that_it_was(filled: SqlRegistry) -> None:
    written = bodies(filled)
    for size in range(EVENTS + 1):
        for since in range(size + 1):
            growth = filled.prove_growth(since, size)
            assert (growth.old, growth.new) == (Head(since, root(written[:since])), Head(size, root(written[:size])))
            assert growth.holds()


def test_the_heads_of_earlier_sizes_are_what_the_log_was_then(filled: SqlRegistry) -> None:
    written = bodies(filled)
    head, earlier = filled.heads([0, 3, 9, EVENTS, EVENTS + 1])
    assert head == Head(EVENTS, root(written))
    assert earlier == {size: Head(size, root(written[:size])) for size in (0, 3, 9, EVENTS)}


def test_an_empty_log_has_the_root_of_nothing(registry: SqlRegistry) -> None:
    assert registry.heads([0, 1]) == (Head(0, root([])), {0: Head(0, root([]))})
    assert list(registry.bodies(0, 0)) == []
    assert registry.edge(0) == ()


def test_a_reader_goes_on_from_the_edge(filled: SqlRegistry) -> None:
    for since in range(EVENTS + 1):
        tree = Tree(filled.edge(since), since)
        for body in filled.bodies(since, EVENTS):
            tree.append(body)
        assert tree.head() == filled.heads()[0]


def test_what_the_log_does_not_have_is_not_found(filled: SqlRegistry) -> None:
    for index, size in ((EVENTS, None), (-1, None), (5, 5), (0, EVENTS + 1), (0, -1)):
        with pytest.raises(NotFound):
            filled.prove(index, size)
    for since, size in ((EVENTS + 1, None), (-1, None), (5, 4), (0, EVENTS + 1)):
        with pytest.raises(NotFound):
            filled.prove_growth(since, size)
    with pytest.raises(NotFound):
        filled.edge(EVENTS + 1)


@pytest.mark.parametrize(
    "nodes",
    [
        "x''",
        "x'00'",
        f"x'{'00' * 32}'",
        f"x'{'00' * 96}'",
        f"'{'0' * 64}'",
    ],
)
def test_nodes_that_are_not_as_long_as_an_event_closes_are_refused(
    filled: SqlRegistry, database_path: Path, nodes: str
) -> None:
    filled.record(NewEvent(Action.GATE_REFUSE, CHURN), "ana")
    with closing(sqlite3.connect(database_path, isolation_level=None)) as raw:
        raw.execute("DROP TRIGGER event_nodes_refuse_delete")
        raw.execute("DELETE FROM event_nodes WHERE event >= 9")
        with pytest.raises(sqlite3.IntegrityError, match="only with the event"):
            raw.execute(f"INSERT INTO event_nodes VALUES (9, {nodes})")
        with pytest.raises(sqlite3.IntegrityError, match="only with the event"):
            raw.execute(f"INSERT INTO event_nodes VALUES (10, x'{'00' * 32}')")


def test_no_event_joins_behind_one_that_is_not_in_the_tree(filled: SqlRegistry, database_path: Path) -> None:
    with closing(sqlite3.connect(database_path, isolation_level=None)) as raw:
        raw.execute("DROP TRIGGER event_nodes_refuse_delete")
        raw.execute(f"DELETE FROM event_nodes WHERE event = {EVENTS - 1}")
    with pytest.raises(IntegrityError, match="in the tree"):
        filled.record(NewEvent(Action.GATE_REFUSE, CHURN), "ana")
    with pytest.raises(IntegrityError, match=f"{EVENTS} events and its tree has {EVENTS - 1}"):
        filled.heads()
    assert filled.audit_verify().first_bad == EVENTS - 1


def test_a_node_that_is_gone_is_an_integrity_error_and_no_proof(filled: SqlRegistry, database_path: Path) -> None:
    with closing(sqlite3.connect(database_path, isolation_level=None)) as raw:
        raw.execute("DROP TRIGGER event_nodes_refuse_update")
        raw.execute("UPDATE event_nodes SET nodes = x'00' WHERE event = 7")
    with pytest.raises(IntegrityError, match="event 7"):
        filled.heads()
    assert filled.audit_verify().first_bad == 7


def test_the_tree_is_that_of_the_log_whoever_writes(registry: SqlRegistry, database_path: Path) -> None:
    registry.ensure_model(CHURN, "ana")
    other = SqlRegistry(Database.open(f"sqlite:///{database_path}"), registry._clock, registry._new_id)

    def write(number: int) -> None:
        one = (registry, other)[number % 2]
        for turn in range(6):
            one.register(NewVersion(CHURN, hash_bytes(f"{number} {turn}".encode()), complete=True), f"t{number}")
            proof = one.prove(turn)  # there are more by now, of whatever threads
            assert proof.holds()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    other._database.close()
    written, tree = bodies(registry), Tree()
    assert len(written) == 49
    assert kept(database_path) == [tree.append(body) for body in written]
    assert registry.heads()[0] == tree.head()
    assert registry.audit_verify().ok


def test_a_move_that_fails_leaves_no_node_behind(filled: SqlRegistry, database_path: Path) -> None:
    before = kept(database_path)
    with pytest.raises(NotFound):
        filled.record(NewEvent(Action.GATE_REFUSE, ModelName("other")), "ana")
    assert kept(database_path) == before

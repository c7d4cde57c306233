# ruff: noqa: S608 - statements are put together from constants: these tests reach around the registry.
"""The tampering matrix: each thing that can be done to a log, and each check that must see it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.canonical import encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.registry import Action
from holdfast.registry.checkpoints import Checkpoint
from holdfast.registry.merkle import Tree, root_by_inclusion
from holdfast.upkeep.audit import offline
from holdfast.upkeep.audit.logbook import Logbook
from tests.upkeep.audit.conftest import EVENTS, Place

LAST = EVENTS - 1


def by_hand(place: Place, *statements: str) -> None:
    """Whoever owns the file takes the triggers away first."""
    with closing(sqlite3.connect(place.database, isolation_level=None)) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert raw.execute(statement).rowcount > 0


def write_anew(place: Place, event: int = 3) -> None:
    """One event is changed, and all behind it made to fit: fields, hashes, chain and tree."""
    by_hand(place)
    with closing(sqlite3.connect(place.database, isolation_level=None)) as raw:
        raw.row_factory = sqlite3.Row
        prev, tree = None, Tree()
        for row in raw.execute('SELECT * FROM events ORDER BY "index"').fetchall():
            body = {**json.loads(row["body"]), "prev": prev}
            if row["index"] == event:
                body["reason"] = "another story"
            written = encode(body)
            prev = str(hash_bytes(written))
            place_of = row["index"]
            raw.execute(
                'UPDATE events SET body = ?, hash = ?, prev = ?, reason = ? WHERE "index" = ?',
                (written, prev, body["prev"], body["reason"], place_of),
            )
            raw.execute("UPDATE event_nodes SET nodes = ? WHERE event = ?", (tree.append(written), place_of))


def edit(place: Place) -> None:
    by_hand(place, "UPDATE events SET reason = 'another story' WHERE \"index\" = 3")


def edit_body(place: Place) -> None:
    by_hand(place, "UPDATE events SET body = CAST(replace(body, 'try', 'cry') AS BLOB) WHERE \"index\" = 3")


def delete(place: Place) -> None:
    by_hand(place, 'DELETE FROM events WHERE "index" = 3')


def reorder(place: Place) -> None:
    move = 'UPDATE events SET "index" = {} WHERE "index" = {}'
    by_hand(place, move.format(99, 3), move.format(3, 4), move.format(4, 99))


def cut_off(place: Place) -> None:
    by_hand(
        place,
        f'DELETE FROM events WHERE "index" = {LAST}',
        f"DELETE FROM event_nodes WHERE event = {LAST}",
        f"DELETE FROM versions WHERE number = {LAST}",
        f"UPDATE version_counters SET value = {LAST - 1}",
    )


def restore(place: Place) -> None:
    backup = place.save()
    place.register(50)
    place.restore(backup)


def restore_and_go_on(place: Place) -> None:
    backup = place.save()
    place.register(50)
    place.restore(backup)
    remembered = place.memory.last()
    assert remembered is not None
    place.memory.forget()
    place.register(51, 52)
    place.memory.replace(remembered)


TAMPERING: dict[str, tuple[Callable[[Place], None], int | None]] = {
    "an event is edited": (edit, 3),
    "the bytes of an event are edited": (edit_body, 3),
    "an event is deleted": (delete, 3),
    "two events change places": (reorder, 3),
    "the end is cut off, with all that it made": (cut_off, LAST),
    "the log is written anew, chain and tree": (write_anew, None),
    "yesterday's database is put back": (restore, EVENTS),
    "yesterday's database is put back and goes on": (restore_and_go_on, None),
}
"""What is done, and the first event that an audit can name; None when it can only say from where to where."""


@pytest.fixture(params=TAMPERING)
def tampered(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> tuple[Place, bytes, int | None]:
    """A log that was tampered with, the checkpoint that an auditor had kept, and the first bad event."""
    book = place.book()
    kept = book.checkpoint()
    close(book)
    tamper, first_bad = TAMPERING[request.param]
    tamper(place)
    return place, kept, first_bad


def close(book: Logbook) -> None:
    book.registry._database.close()  # type: ignore[attr-defined]


def test_an_audit_sees_it_and_names_it(tampered: tuple[Place, bytes, int | None]) -> None:
    place, _, first_bad = tampered
    book = place.book()
    found = book.verify()
    assert not found.audit.ok
    assert found.audit.first_bad == first_bad
    assert (
        first_bad is None
        or f"vent {first_bad} " in found.audit.sentence
        or f"at {first_bad} events" in found.audit.sentence
    )
    assert next(found.lines()).startswith("BROKEN: ")
    assert found.to_json()["ok"] is False
    close(book)


def test_a_checkpoint_that_an_auditor_kept_sees_it_where_nobody_else_remembers(
    tampered: tuple[Place, bytes, int | None], request: pytest.FixtureRequest
) -> None:
    place, kept, _ = tampered
    place.memory.forget()
    (place.home / "log/signed").unlink()
    book = place.book()
    found = book.verify([("kept.note", kept)])
    # What was kept before the tampering cannot know of the one event that came after it.
    blind = place.key.open(kept).head.size == EVENTS and "yesterday" in request.node.name
    assert found.audit.ok is blind
    assert found.compared[0].source == "kept.note"
    close(book)


def test_the_next_command_sees_what_costs_a_read_to_see(
    tampered: tuple[Place, bytes, int | None], request: pytest.FixtureRequest
) -> None:
    place, _, _ = tampered
    only_an_audit = ("an event is edited", "bytes of an event", "an event is deleted", "change places")
    if any(name in request.node.name for name in only_an_audit):
        place.look()  # the tree is as it was: only whoever reads every event finds that one of them is not
        return
    with pytest.raises(IntegrityError):
        place.look()


def test_nobody_exports_it_unseen(tampered: tuple[Place, bytes, int | None], request: pytest.FixtureRequest) -> None:
    place, kept, _ = tampered
    key = str(place.key.make())
    book = place.book()
    try:
        lines = b"".join(book.export()).splitlines(keepends=True)
    except IntegrityError:
        return
    finally:
        close(book)
    # Bodies that are whole are a true story, whatever stands in the columns beside them.
    if "an event is edited" in request.node.name:
        assert offline.check(iter(lines), key, kept.decode()).startswith("ok")
        return
    with pytest.raises(offline.Bad):
        offline.check(iter(lines), key, kept.decode())


def test_an_audit_of_a_good_log_is_held_against_all_that_is_known(book: Logbook, place: Place) -> None:
    note = book.checkpoint()
    found = book.verify([("kept.note", note)])
    assert found.audit.ok
    assert [(one.source, one.agrees) for one in found.compared] == [
        ("seen", True),
        ("signed", True),
        ("kept.note", True),
    ]
    assert found.to_json()["compared"][0]["size"] == EVENTS
    assert len(list(found.lines())) == 4


def test_an_audit_remembers_what_it_saw(book: Logbook, place: Place) -> None:
    place.memory.forget()
    found = book.verify()
    assert found.compared == ()
    assert "nobody here has seen it" in list(found.lines())[1]
    last = place.memory.last()
    assert last is not None
    assert last.head == book.registry.heads()[0]


def test_an_event_is_proven_up_to_the_checkpoint(book: Logbook, place: Place) -> None:
    for index in range(EVENTS):
        proof, note = book.prove(index)
        head = place.key.open(note).head
        assert root_by_inclusion(proof.body, index, head.size, proof.path) == head.root
        assert Digest.parse(proof.to_json()["root"]) == head.root
    growth, note = book.prove_growth(2)
    assert growth.holds()
    assert growth.new == place.key.open(note).head
    with pytest.raises(NotFound):
        book.prove(EVENTS)
    with pytest.raises(NotFound):
        book.prove_growth(EVENTS + 1)


def test_going_on_with_a_restored_database_takes_a_reason_and_becomes_an_event(place: Place) -> None:
    book = place.book()
    note = book.checkpoint()
    old = place.key.make()
    close(book)
    backup = place.save()
    place.register(50)
    book = place.book()
    late = book.checkpoint()
    close(book)
    place.restore(backup)
    book = place.book()
    with pytest.raises(UsageError, match="reason"):
        book.accept(" ", "ana")
    event = book.accept("the disk died", "ana")
    assert (event.action, event.actor, event.reason) == (Action.LOG_ACCEPT, "ana", "the disk died")
    assert Checkpoint.parse(event.details["seen"][0]).head.size == EVENTS + 1
    assert Checkpoint.parse(event.details["found"]).head.size == EVENTS
    assert event.details["key"] == str(place.key.make()) != str(old)
    place.look()
    place.register(51)
    found = book.verify([("before.note", note)])
    assert found.audit.ok, found.audit.sentence
    assert not book.verify([("late.note", late)]).audit.ok, "what was lost stays lost, and whoever kept it can tell"
    with pytest.raises(UsageError, match="begins with all"):
        book.accept("again", "ana")
    close(book)


def test_nothing_is_signed_while_the_log_is_not_what_was_seen_even_if_nothing_was_signed_before(place: Place) -> None:
    """Yesterday's whole project is put back, and with it what had been signed yesterday: nothing."""
    backup = place.save()
    place.register(50)
    place.restore(backup)
    book = place.book()
    for act in (book.checkpoint, lambda: book.prove(0), lambda: book.prove_growth(0), lambda: list(book.export())):
        with pytest.raises(IntegrityError, match="was seen before"):
            act()
    assert not (place.home / "log/signed").exists()
    old = place.key.make()
    event = book.accept("a test went into the real database", "ana")
    assert event.details["key"] == str(place.key.make()) != str(old)
    assert place.key.origin().startswith("churn-")
    assert len(place.key.origin()) == len(old.name), "names do not grow each time"
    book.checkpoint()
    close(book)
    place.look()

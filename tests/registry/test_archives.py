"""Archives and restores: events that nothing contradicts, written in the transaction that looks at the stages."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.database.engine import Database
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import Archived, HoldfastError, NotFound, PermissionRefused, StageMoved
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewArchive, NewVersion, RolloutState, Turn
from holdfast.registry.events import Entry, append
from holdfast.registry.sql import SqlRegistry

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
DATA = hash_bytes(b"data")


def new(what: str | Digest, **changes: Any) -> NewArchive:
    named = Reference.parse(what) if isinstance(what, str) else what
    return replace(NewArchive(named, "cold", "/srv/cold", blobs=3, bytes=100), **changes)


def promote(registry: SqlRegistry, to: int) -> None:
    held = registry.stage(CHURN, PRODUCTION).number
    registry.move_stage(MoveStage(CHURN, PRODUCTION, VersionNumber(to), held, Action.STAGE_PROMOTE), "ana")


def test_an_archive_stands_until_the_bytes_are_restored(filled: SqlRegistry) -> None:
    made = filled.archive(new("churn@3", reason="old"), "ana")
    assert (made.name, made.remote, made.url, made.blobs, made.bytes, made.by, made.reason) == (
        "churn@3", "cold", "/srv/cold", 3, 100, "ana", "old"
    )  # fmt: skip
    assert filled.archive(new("churn@3"), "bob") == made
    second = filled.archive(new("churn@3", remote="colder", url="/srv/colder"), "bob")
    assert filled.archives() == (made, second)
    assert filled.restores() == {}
    size = filled.audit_verify().size
    assert filled.restore(made.digest, "cold", "bob") == (made, second)
    assert filled.restore(made.digest, "cold", "bob") == ()
    assert filled.audit_verify().size == size + 1
    assert filled.archives() == ()
    [last] = filled.log(limit=1)
    assert (last.action, last.actor, last.to_number) == (Action.BYTES_RESTORE, "bob", 3)
    assert filled.restores() == {made.digest: last.time}
    assert filled.archive(new("churn@3"), "ana").id == last.index + 1
    assert filled.audit_verify().ok


def test_what_a_stage_or_a_hold_needs_is_not_archived(filled: SqlRegistry) -> None:
    promote(filled, 3)  # @1 is last-known-good
    held = filled.hold(Reference.parse("churn@2"), "an audit", "ana")
    for what, why in (
        ("churn@3", "live in production"),
        ("churn@1", "last-known-good"),
        ("churn@2", f"hold {held.id}"),
    ):
        with pytest.raises(PermissionRefused, match=why):
            filled.archive(new(what), "ana")
    with pytest.raises(PermissionRefused, match="the version sha256:"):
        filled.archive(new(DATA), "ana")
    with pytest.raises(NotFound):
        filled.archive(new("churn@9"), "ana")
    assert filled.archives() == ()


def test_data_may_go_alone_when_all_its_versions_have_gone(filled: SqlRegistry) -> None:
    [tried] = filled.rollouts(CHURN, PRODUCTION)
    with pytest.raises(PermissionRefused, match="a canary tries it beside production, rollout 11"):
        filled.archive(new("churn@2"), "ana")
    filled.turn_rollout(Turn(tried.id, tried.event, RolloutState.STOPPED, 0, "", {}), "ana")
    for number in (2, 3):
        filled.archive(new(f"churn@{number}"), "ana")
    with pytest.raises(PermissionRefused):
        filled.archive(new(DATA), "ana")
    other = hash_bytes(b"nobody trained on it")
    assert filled.archive(new(other), "ana").name == str(other)
    assert filled.audit_verify().ok


def test_no_stage_moves_to_what_is_archived(filled: SqlRegistry) -> None:
    made = filled.archive(new("churn@3"), "ana")
    with pytest.raises(Archived, match="churn@3 is archived in cold since 2026-03-01") as refused:
        promote(filled, 3)
    assert refused.value.hint == "Bring it back with: holdfast restore churn@3"
    assert refused.value.details["archive"] == made.id
    filled.restore(made.digest, "cold", "ana")
    promote(filled, 3)
    assert filled.audit_verify().ok


def test_a_move_since_the_rules_were_asked_stops_it(filled: SqlRegistry) -> None:
    seen = filled.log(limit=1)[0].index
    filled.archive(new("churn@3", expect=seen), "ana")
    filled.restore(hash_bytes(b"3"), "cold", "ana")
    for to in (2, 1, 2):  # @3 is none of them, and yet the last versions are others than they were
        promote(filled, to)
    with pytest.raises(StageMoved, match="while churn@3 was being archived"):
        filled.archive(new("churn@3", expect=seen), "ana")
    filled.archive(new("churn@3", expect=filled.log(limit=1)[0].index), "ana")


@pytest.mark.thorough
def test_of_a_promotion_and_an_archive_at_once_one_is_refused(
    filled_file: Path, tmp_path: Path, registry_at: Callable[[Path], SqlRegistry]
) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(filled_file.read_bytes())
    one, two = registry_at(path), registry_at(path)

    def archives() -> None:
        with suppress(PermissionRefused):
            one.archive(new("churn@3"), "ana")

    def promotes() -> None:
        with suppress(Archived):
            promote(two, 3)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(archives), pool.submit(promotes)]:
            done.result()
    live = one.stage(CHURN, PRODUCTION).number == 3
    assert live != bool(one.archives())
    assert one.audit_verify().ok


def test_tenures_are_the_moves_one_after_the_other(filled: SqlRegistry) -> None:
    promote(filled, 3)
    found = filled.tenures()
    assert [(one.number, one.stage, one.until is None) for one in found] == [
        (1, PRODUCTION, False), (2, PRODUCTION, False), (1, PRODUCTION, False), (3, PRODUCTION, True)
    ]  # fmt: skip
    assert [one.until for one in found[:-1]] == [one.since for one in found[1:]]
    filled.register(NewVersion(CHURN, hash_bytes(b"4"), complete=True), "ana")
    assert filled.tenures() == found


@pytest.mark.parametrize(
    ("event", "details", "fault"),
    [
        ((Action.BYTES_ARCHIVE, 1), {"digest": str(hash_bytes(b"1"))}, "which production needs"),
        ((Action.BYTES_ARCHIVE, 2), {"digest": str(hash_bytes(b"3"))}, "which was not registered so"),
        ((Action.BYTES_RESTORE, 2), {"digest": str(hash_bytes(b"2")), "archives": [3]}, "which was not archived"),
        ((Action.BYTES_RESTORE, 2), {"digest": str(hash_bytes(b"2")), "archives": []}, "which was not archived"),
    ],
)
def test_an_audit_finds_what_cannot_have_been(
    filled: SqlRegistry, database: Database, event: tuple[Action, int], details: dict[str, Any], fault: str
) -> None:
    action, number = event
    whole = {"remote": "cold", "url": "/srv/cold", "blobs": 1, "bytes": 1, **details}
    entry = Entry(
        action, model="churn", to_number=number, to_digest=str(hash_bytes(str(number).encode())), details=whole
    )
    with database.write() as connection:
        append(connection, entry, filled.log(limit=1)[0].time, "mallory")
    found = filled.audit_verify()
    assert not found.ok
    assert fault in found.sentence


def test_an_error_leaves_the_log_as_it_was(filled: SqlRegistry) -> None:
    size = filled.audit_verify().size
    for wrong in (new("churn@1"), new("churn@3", reason="x" * 5000), new("nobody@1")):
        with pytest.raises(HoldfastError):
            filled.archive(wrong, "ana")
    assert filled.audit_verify().size == size

"""What was seen of a log is demanded of it the next time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.config import Settings
from holdfast.errors import IntegrityError, UnsupportedFormat
from holdfast.registry.checkpoints import Checkpoint
from holdfast.registry.merkle import Head, root
from holdfast.upkeep.audit.memory import Memory
from tests.upkeep.audit.conftest import EVENTS, Place


def seen(size: int) -> Checkpoint:
    return Checkpoint("churn-1", Head(size, root([str(size).encode()])))


def test_whoever_writes_remembers_what_was_written_and_whoever_reads_what_was_read(place: Place) -> None:
    assert place.memory.last() is not None
    for number in (20, 21):
        place.register(number)
        last = place.memory.last()
        assert last is not None
        registry = place.registry()
        assert last == Checkpoint(place.key.origin(), registry.heads()[0])
        registry._database.close()
    place.memory.forget()
    place.look()
    assert place.memory.last() == last
    assert place.memory.path is not None
    assert place.memory.path.stat().st_mode & 0o777 == 0o600
    assert place.home not in place.memory.path.parents


def test_a_database_that_was_restored_is_refused_by_the_next_command(place: Place) -> None:
    backup = place.save()
    place.register(20)
    remembered = place.memory.last()
    assert remembered is not None
    place.restore(backup)
    for act in (place.look, lambda: place.register(30)):
        with pytest.raises(IntegrityError, match="older copy") as raised:
            act()
        assert raised.value.details["seen"] == remembered.head.to_json()
        assert raised.value.details["found"]["size"] == EVENTS
        assert "holdfast audit accept" in raised.value.hint
    assert place.memory.last() == remembered


def test_one_that_went_on_differently_is_refused_too(place: Place) -> None:
    backup = place.save()
    place.register(20)
    remembered = place.memory.last()
    assert remembered is not None
    place.restore(backup)
    for number in (30, 31, 32):
        from_elsewhere(place, number)
    with pytest.raises(
        IntegrityError, match=f"{EVENTS + 1} events with the root .* then, and {EVENTS + 1} events"
    ) as raised:
        place.look()
    assert raised.value.details["seen"] == remembered.head.to_json()
    assert raised.value.details["found"]["root"] != remembered.head.to_json()["root"]
    assert place.memory.last() == remembered


def from_elsewhere(place: Place, number: int) -> None:
    """Somebody else writes: another user, with a memory of their own."""
    mine = place.watch, place.memory
    other = Settings.at(place.home, {"XDG_STATE_HOME": str(place.home / "of-another-user")})
    place.watch, place.memory = type(place.watch).of(other), Memory.of(other)
    place.register(number)
    place.watch, place.memory = mine


def test_others_may_make_the_log_longer(place: Place) -> None:
    from_elsewhere(place, 20)
    place.look()
    last = place.memory.last()
    assert last is not None
    assert last.head.size == EVENTS + 1


def test_a_write_that_finds_another_log_is_not_remembered_and_not_undone(place: Place) -> None:
    backup = place.save()
    place.register(20)
    remembered = place.memory.last()
    place.restore(backup)
    registry = place.registry(watched=True)
    place.watch.grown(registry)
    assert place.memory.last() == remembered
    registry._database.close()


def test_the_longest_log_is_remembered_whoever_comes_last(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "registry")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda size: memory.keep(seen(size)), [5, 3, 9, 1, 12, 7, 2, 8]))
    assert memory.last() == seen(12)
    assert memory.replace(seen(4))
    assert memory.last() == seen(4)
    memory.forget()
    memory.forget()
    assert memory.last() is None


def test_two_registries_have_two_memories(tmp_path: Path) -> None:
    settings = [
        Settings.at(tmp_path / "a", {"XDG_STATE_HOME": str(tmp_path)}),
        Settings.at(tmp_path / "b", {"XDG_STATE_HOME": str(tmp_path)}),
        Settings.at(
            tmp_path / "a", {"XDG_STATE_HOME": str(tmp_path), "HOLDFAST_DATABASE_URL": "postgresql://ana:1@h/x"}
        ),
        Settings.at(
            tmp_path / "a", {"XDG_STATE_HOME": str(tmp_path), "HOLDFAST_DATABASE_URL": "postgresql://ana:2@h/x"}
        ),
    ]
    paths = [Memory.of(one).path for one in settings]
    assert len(set(paths)) == 3
    assert paths[2] == paths[3], "a password may change"


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/holdfast"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/holdfast"),
        ({"HOME": "/h"}, "/h/.local/state/holdfast"),
        ({}, None),
    ],
)
def test_the_state_is_where_the_desktop_has_it(environment: dict[str, str], place: str | None) -> None:
    assert Settings.at(Path("/p"), environment).state == (None if place is None else Path(place))


def test_without_a_place_to_remember_everything_works_and_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for state in (None, tmp_path / "file", Path("/proc/nowhere")):
        memory = Memory(state, "registry")
        assert not memory.keep(seen(1))
        assert memory.last() is None
        memory.forget()


def test_a_memory_that_was_spoilt_is_told_and_not_passed_over(place: Place) -> None:
    assert place.memory.path is not None
    place.memory.path.write_text("nonsense")
    with pytest.raises(UnsupportedFormat):
        place.look()

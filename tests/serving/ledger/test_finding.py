"""Decisions are found again: by request, by time, by version; and what is missing is said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.database.times import to_text
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import Action, NewEvent, NewRollout, NewVersion, RolloutKind
from holdfast.registry.ledger_pages import LedgerPage, ledger_pages
from holdfast.serving.ledger.finding import Found, Wanted
from holdfast.serving.ledger.telling import tell
from holdfast.serving.settings import LedgerSettings
from holdfast.store.memory import MemoryStore
from tests.serving.ledgers import BEGAN, MODEL, STAGE, World

DAY = 86_400.0


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


@pytest.fixture
def days(world: World) -> World:
    """Three days with ten decisions each, on a page each."""
    for day in range(3):
        seen = [world.observed(f"d{day}-{n}", at=BEGAN + day * DAY + n) for n in range(10)]
        world.recorded(seen, replica=f"replica-{day}")
    return world


def ids(found: tuple[Found, ...]) -> list[str]:
    return [one.decision.request_id for one in found]


def test_one_is_found_by_its_request_whichever_page_it_is_on(days: World) -> None:
    (found,) = days.ledger().decisions_of("d1-7", Wanted(MODEL))
    assert (found.decision.at, found.model, found.stage, found.rows) == (
        moment(BEGAN + DAY + 7),
        MODEL,
        str(STAGE),
        1,
    )
    assert found.page is not None
    assert found.page.replica == "replica-1"


def test_about_a_time_only_its_pages_are_looked_at(days: World) -> None:
    wanted = Wanted.about(MODEL, moment(BEGAN + DAY + 1800))
    assert [page.replica for page in days.ledger().pages(wanted)] == ["replica-1"]
    assert ids(days.ledger().decisions_of("d1-0", wanted)) == ["d1-0"]
    with pytest.raises(NotFound, match="in the 1 pages"):
        days.ledger().decisions_of("d2-0", wanted)


def test_an_id_that_was_used_twice_gives_both_the_newest_first(days: World) -> None:
    days.recorded([days.observed("d0-3", at=BEGAN + 9 * DAY)], replica="later")
    found = days.ledger().decisions_of("d0-3", Wanted())
    assert [one.decision.at for one in found] == [moment(BEGAN + 9 * DAY), moment(BEGAN + 3)]
    assert tell(found[0], days.registry, days.store, others=1).to_json()["others"] == 1


def test_a_list_has_the_newest_first_by_time_and_version(days: World) -> None:
    ledger = days.ledger()
    assert ids(ledger.decisions(Wanted(), 12)) == [f"d2-{n}" for n in range(9, -1, -1)] + ["d1-9", "d1-8"]
    within = Wanted(MODEL, moment(BEGAN + 8), moment(BEGAN + DAY + 1))
    assert ids(ledger.decisions(within, 100)) == ["d1-1", "d1-0", "d0-9", "d0-8"]
    assert len(ledger.decisions(Wanted(version=VersionNumber(1)), 100)) == 30
    assert ledger.decisions(Wanted(version=VersionNumber(2)), 100) == ()
    with pytest.raises(NotFound):
        ledger.decisions(Wanted(ModelName("other")), 1)


def test_pages_are_written_out_as_they_are(days: World, tmp_path: Path) -> None:
    made = days.ledger().export(Wanted(MODEL, since=moment(BEGAN + DAY)), tmp_path / "out")
    assert [hash_bytes(path.read_bytes()) for _, path in made] == [page.digest for page, _ in made]
    assert sorted(path.name[:17] for _, path in made) == ["2026-01-02T000000", "2026-01-03T000000"]
    assert days.ledger().export(Wanted(MODEL, since=moment(BEGAN + DAY)), tmp_path / "out") == made


def test_a_page_whose_finder_is_not_there_is_read_instead(days: World) -> None:
    store = MemoryStore()
    with store.writer() as writer:
        for page in ledger_pages(days.registry):
            writer.add_bytes(days.store.read(page.digest, bytes_max=1 << 20))
        writer.commit()
    assert ids(replace(days.ledger(), store=store).decisions_of("d1-7", Wanted())) == ["d1-7"]


def test_a_page_that_is_lost_is_told_and_one_whose_time_is_over_as_well(world: World) -> None:
    world.recorded([world.observed("r1")], LedgerSettings(keep="all", days_keep=1))
    empty = MemoryStore()
    with pytest.raises(NotFound, match="1 more are gone, since their time is over"):
        replace(world.ledger(moment(BEGAN + 2 * DAY)), store=empty).decisions_of("r1", Wanted())
    with pytest.raises(IntegrityError, match="1 pages of the ledger are lost"):
        replace(world.ledger(moment(BEGAN)), store=empty).decisions_of("r1", Wanted())
    with pytest.raises(IntegrityError):
        replace(world.ledger(moment(BEGAN)), store=empty).export(Wanted(), world.home / "out")


def test_what_a_ledger_lacks_is_said_where_nothing_is_found(world: World) -> None:
    world.recorded([world.observed("r1")], LedgerSettings(keep="sample", sample=0.999))
    with pytest.raises(NotFound, match=r"in the 1 pages of the ledger; a share of 0.999 was kept"):
        world.ledger().decisions_of("other", Wanted(MODEL))


def test_why_a_canary_answered_names_who_began_it(world: World) -> None:
    second = world.registry.register(NewVersion(MODEL, hash_bytes(b"another"), True, ()), "ana", "the second")
    number = VersionNumber(1)
    new = NewRollout(RolloutKind.CANARY, MODEL, STAGE, second.number, number, {"percent": 10}, "try it")
    rollout = world.registry.begin_rollout(new, "ben")
    tried = replace(world, version=second)
    now = datetime.now(UTC).timestamp() + 1
    tried.recorded([tried.observed("r1", at=now, reason="canary"), tried.observed("r2", at=now, reason="override")])
    (found,) = tried.ledger().decisions_of("r1", Wanted())
    told = tell(found, world.registry, world.store).to_json()
    assert told["why"] == "version 2 answered as canary beside version 1, which held production at epoch 1"
    assert (told["rollout"]["event"], told["rollout"]["by"], told["rollout"]["reason"]) == (rollout.id, "ben", "try it")
    assert (told["move"]["to"], told["move"]["by"]) == (1, "ana")
    (found,) = tried.ledger().decisions_of("r2", Wanted())
    told = tell(found, world.registry, world.store).to_json()
    assert told["rollout"] is None
    assert told["why"].startswith("the caller asked for version 2 by its number; version 1 held production")


def test_a_ledger_that_names_another_bundle_than_the_registry_is_not_believed(world: World) -> None:
    world.recorded([world.observed("r1")])
    (found,) = world.ledger().decisions_of("r1", Wanted())
    with pytest.raises(IntegrityError, match="churn@7"):
        tell(replace(found, decision=replace(found.decision, version=7)), world.registry, world.store)


def page_event(**changed: object) -> NewEvent:
    page = LedgerPage(
        model=MODEL,
        stage=STAGE,
        replica="one",
        sequence=1,
        digest=hash_bytes(b"page"),
        finder=None,
        rows=1,
        bytes=10,
        first_at=moment(BEGAN),
        last_at=moment(BEGAN),
        dropped=0,
        sample=1.0,
        interrupted=False,
        kept_until=None,
    )
    return NewEvent(Action.PAGE_SEAL, MODEL, STAGE, details={**page.details(), **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"page": "sha256:12"},
        {"format": "another"},
        {"format_version": "2.0"},
        {"sequence": 0},
        {"rows": -1},
        {"sample": 1.5},
        {"sample": 0},
        {"kept_until": "tomorrow"},
        {"first_at": to_text(moment(BEGAN + 1))},
        {"interrupted": "no"},
        {"more": 1},
    ],
)
def test_the_log_takes_no_event_that_seals_nothing(world: World, changed: dict[str, object]) -> None:
    size = len(world.registry.log())
    with pytest.raises(UsageError):
        world.registry.record(page_event(**changed), "ana")
    assert len(world.registry.log()) == size


def test_a_page_is_read_from_its_event_as_it_was_told(world: World) -> None:
    event = world.registry.record(page_event(), "ana")
    (page,) = ledger_pages(world.registry, MODEL)
    assert (page.event, dict(page.details())) == (event.index, dict(event.details))
    assert list(ledger_pages(world.registry, MODEL, until=moment(BEGAN) - timedelta(seconds=1))) == []

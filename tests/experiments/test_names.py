"""Registered models and their pointers on every kind of database; what is asked on the wire is tested there."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, NotFound, PermissionRefused, StageMoved, UsageError
from holdfast.experiments.name_search import NameSearch, SqlNameSearch
from holdfast.experiments.names import SqlNames
from holdfast.experiments.pointing import SqlPointing
from holdfast.experiments.registered import NewRegistered
from holdfast.experiments.version_words import SqlVersionWords
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry

CHURN = ModelName("churn")
OURS = ModelName("ours")
STAGING = StageName("staging")


class Clock:
    """Goes one second further each time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, 0, 0, 123_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Room:
    """All of it on one database, on one clock."""

    def __init__(self, database: Database) -> None:
        clock = Clock()
        self.registry = SqlRegistry(database, clock, lambda: "unused")
        self.names = SqlNames(database, clock)
        self.words = SqlVersionWords(database, clock)
        self.pointing = SqlPointing(database, clock)
        self.found = SqlNameSearch(database)

    def version(self, content: str, model: ModelName = CHURN, *, said: bool = True) -> int:
        """A version, of which an MLflow client has said something or nothing."""
        number = self.registry.register(NewVersion(model, hash_bytes(content.encode()), complete=True), "ana").number
        if said:
            self.words.keep(NewRegistered(model, number, f"runs:/r{number}/model", f"1/r{number}", f"r{number}"), "ana")
        return number

    def numbers(self, filter_: str = "", *orders: str) -> list[int]:
        return [one.number for one in self.found.versions(NameSearch(filter_, orders))]


@pytest.fixture
def room(anywhere: Database) -> Room:
    return Room(anywhere)


def test_versions_of_which_nobody_spoke_stand_in_the_order_of_time_with_the_others(room: Room) -> None:
    room.names.create("churn", "ana")
    room.version("one", said=False)
    room.version("two")
    room.version("three", said=False)
    assert room.numbers("", "creation_timestamp ASC") == [1, 2, 3]
    assert room.numbers("", "last_updated_timestamp DESC") == [3, 2, 1]
    room.words.describe("churn", 1, "spoken of")
    assert room.numbers() == [1, 3, 2]
    moments = [one.created_ms for one in room.found.versions(NameSearch("", ["version_number ASC"]))]
    assert moments == sorted(moments)
    assert {moment % 1000 for moment in moments} == {123}


def test_texts_are_compared_as_mlflow_compares_them(room: Room) -> None:
    for name in ("alpha", "Beta", "b%ta"):
        room.names.create(name, "ana", tags={"team": "Risk"})
    said = [one.name for one in room.found.models(NameSearch("name LIKE 'b%'"))]
    assert said == ["b%ta"]
    assert {one.name for one in room.found.models(NameSearch("name ILIKE 'B_TA'"))} == {"Beta", "b%ta"}
    assert len(room.found.models(NameSearch("tags.team = 'Risk'"))) == 3
    assert room.found.models(NameSearch("tags.team = 'risk'")) == ()
    assert [one.name for one in room.found.models(NameSearch("", ["name DESC"], limit=1))] == ["b%ta"]


def test_a_model_that_is_called_otherwise_here_says_so_where_it_is_looked_for(room: Room) -> None:
    model = room.names.create("Churn EU", "ana").model
    (begun,) = room.registry.log(model)
    assert "'Churn EU'" in str(begun.details["description"])
    with pytest.raises(UsageError) as caught:
        ModelName("Churn EU")
    assert str(model) in (caught.value.hint or "")


def test_a_stage_moves_and_is_emptied_in_one_transaction_with_its_words(room: Room) -> None:
    room.names.create("churn", "ana")
    room.version("one")
    room.version("two")
    room.pointing.point("churn", 1, STAGING, "ana")
    room.pointing.point("churn", 2, STAGING, "ana")
    assert [room.words.get("churn", number).stage for number in (1, 2)] == ["Archived", "Staging"]
    assert room.pointing.holder(CHURN, STAGING) == 2
    room.pointing.point("churn", 2, StageName("champion"), "ana", alias="Champion")
    assert room.words.get("churn", 2).aliases == ("Champion",)
    assert room.names.get("churn").aliases == {"Champion": VersionNumber(2)}
    room.pointing.clear("churn", StageName("champion"), "ana", held=VersionNumber(2), alias="Champion")
    with pytest.raises(UsageError, match="alias Champion not found"):
        room.pointing.by_alias("churn", "Champion")
    before = room.registry.log(limit=1)[0].index
    room.pointing.clear("churn", StageName("champion"), "ana", held=None, alias="Champion")
    room.pointing.point("churn", 2, STAGING, "ana")
    assert room.registry.log(limit=1)[0].index == before
    assert room.registry.audit_verify().ok


def test_a_stage_that_moved_after_it_was_looked_at_is_not_emptied(room: Room) -> None:
    room.names.create("churn", "ana")
    for content in ("one", "two"):
        room.version(content)
    for number in (1, 2):
        seen = room.pointing.holder(CHURN, STAGING)
        room.pointing.point("churn", number, STAGING, "ana")
        with pytest.raises(StageMoved, match=f"version {number}"):
            room.pointing.clear("churn", STAGING, "ben", held=seen)
    assert room.pointing.holder(CHURN, STAGING) == 2


def test_the_registry_tells_what_clients_call_a_model_where_that_is_another_name(room: Room) -> None:
    other = room.names.create("Churn EU", "ana").model
    room.names.create("churn", "ana")
    room.registry.ensure_model(OURS, "ana")
    assert {one.name: one.known_as for one in room.registry.models()} == {CHURN: None, OURS: None, other: "Churn EU"}
    room.names.rename("churn", "leavers", "ana")
    assert [one.known_as for one in room.registry.models(only=CHURN)] == ["leavers"]
    assert room.registry.ensure_model(CHURN, "ana").known_as == "leavers"


def test_a_name_that_two_models_have_means_the_one_that_was_called_so(room: Room) -> None:
    room.names.create("risk", "ana")
    room.names.rename("risk", "churn", "ana")
    room.registry.ensure_model(CHURN, "ana")
    assert str(room.names.model_of("churn")) == "risk"
    assert str(room.names.get("churn").model) == "risk"


def test_what_was_withdrawn_is_seen_again_where_a_stage_holds_it(room: Room) -> None:
    room.names.create("churn", "ana")
    room.version("one")
    room.version("two", said=False)
    room.words.withdraw("churn", 1, "ana")
    room.names.withdraw("churn", "ana")
    for call in (lambda: room.names.get("churn"), lambda: room.words.get("churn", 2)):
        with pytest.raises(NotFound):
            call()
    assert room.numbers() == []
    room.names.create("churn", "ana")
    assert room.numbers() == []
    # Somebody promotes it past MLflow's clients: what is served is always to be seen.
    with pytest.raises(NotFound):
        room.pointing.point("churn", 1, STAGING, "ana")
    room.registry.move_stage(MoveStage(CHURN, STAGING, VersionNumber(1), None, Action.STAGE_PROMOTE), "ana")
    assert (room.numbers(), room.words.get("churn", 1).stage) == ([1], "Staging")
    with pytest.raises(PermissionRefused, match="holds staging"):
        room.words.withdraw("churn", 1, "ana")
    with pytest.raises(PermissionRefused, match="hold staging"):
        room.names.withdraw("churn", "ana")
    assert room.registry.audit_verify().ok


def test_of_many_that_move_one_alias_at_once_each_leaves_one_event_or_finds_nothing_to_do(room: Room) -> None:
    room.names.create("churn", "ana")
    for content in ("one", "two", "three"):
        room.version(content)
    champion = StageName("champion")

    def move(turn: int) -> None:
        room.pointing.point("churn", 1 + turn % 3, champion, f"script {turn}", alias="champion")

    with ThreadPoolExecutor(4) as several:
        list(several.map(move, range(24)))
    moves = [one for one in reversed(room.registry.log(CHURN)) if one.action == Action.STAGE_PROMOTE]
    held = [None, *(one.to_number for one in moves)]
    assert [one.from_number for one in moves] == held[:-1]
    assert all(one.from_number != one.to_number for one in moves)
    assert room.pointing.by_alias("churn", "champion").number == held[-1]
    assert room.registry.audit_verify().ok


def test_a_name_that_was_taken_by_another_model_gets_a_model_of_its_own(room: Room) -> None:
    room.names.create("churn", "ana")
    room.names.rename("churn", "leavers", "ana")
    second = room.names.create("churn", "ana")
    assert second.model != CHURN
    assert room.names.model_of("leavers") == CHURN
    assert room.names.model_of("churn") == second.model
    with pytest.raises(AlreadyExists):
        room.names.rename("leavers", "churn", "ana")
    room.names.rename("leavers", "leavers", "ana")
    assert [one.action for one in room.registry.log(CHURN)] == [Action.MODEL_RENAME, Action.MODEL_CREATE]

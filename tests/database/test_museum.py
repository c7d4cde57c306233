"""Databases of every schema that ever was are upgraded, and still say what they said."""

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import Digest, hash_bytes
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.logged_search import LoggedModelSearch, search_models
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Action, Facts, Meaning, MoveStage, NewVersion, ReplicaState
from holdfast.registry.sql import SqlRegistry
from holdfast.store.memory import MemoryStore
from holdfast.tracking import RunInput, RunStatus
from holdfast.tracking.sql import SqlTracking

MUSEUM = Path(__file__).parents[1] / "museum"
EXHIBITS = sorted(MUSEUM.glob("v*/registry.sql"))
CHURN, PRODUCTION = ModelName("churn"), StageName("production")
ROOT = "550fb8b9996ec0aa34f4236d83f57a6df20d08812147fb084005d0128227b27c"
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def clock() -> datetime:
    return NOW


OLDEST, *LATER = EXHIBITS
"""The oldest goes through every migration; the others go through fewer of the same."""


@pytest.fixture(
    params=[OLDEST, *(pytest.param(path, marks=pytest.mark.thorough) for path in LATER)],
    ids=lambda path: path.parent.name,
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(request.param.read_text(encoding="utf-8"))
    database = Database.open(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def registry(database: Database) -> SqlRegistry:
    return SqlRegistry(database, clock, lambda: "approval-9")


def test_there_is_an_exhibit_of_every_schema() -> None:
    assert [path.parent.name for path in EXHIBITS] == ["v1", "v2", "v3", "v4", "v5", "v6", "v7"]


def test_its_log_is_whole_and_its_root_is_the_one_it_had(registry: SqlRegistry) -> None:
    audit = registry.audit_verify()
    assert audit.ok, audit.sentence
    assert audit.size == 10
    assert audit.root == Digest(ROOT)


def test_its_log_has_the_tree_that_it_would_have_grown(registry: SqlRegistry) -> None:
    head, _ = registry.heads()
    assert (head.size, head.root) == (10, Digest(ROOT))
    for event in registry.log(limit=50):
        proof = registry.prove(event.index)
        assert proof.body == event.body()
        assert proof.holds()
        assert proof.head == head


def test_its_names_mean_what_they_meant(registry: SqlRegistry) -> None:
    assert [str(stage.name) for stage in registry.stages(CHURN)] == ["archived", "canary", "production", "staging"]
    stage = registry.stage(CHURN, PRODUCTION)
    assert (stage.number, stage.epoch, stage.last_known_good, stage.event) == (1, 3, None, 8)
    version = registry.resolve(Reference.parse("churn@production"))
    assert (version.number, version.digest, version.run_id) == (1, hash_bytes(b"1"), "r1")
    assert version.summary == {"recall": 0.9}
    assert len(registry.versions(CHURN)) == 3
    [approval] = registry.approvals(CHURN, VersionNumber(2))
    assert (approval.approver, approval.meaning) == ("bob", Meaning.APPROVE)
    assert approval.verdict is not None
    assert registry.verdict(approval.verdict).outcome == "pass"
    assert len(registry.lineage("snapshot", str(hash_bytes(b"data")))) == 3
    [replica] = registry.live_replicas(CHURN, PRODUCTION, timedelta(days=10_000))
    assert replica.state is ReplicaState.READY


def test_what_was_live_then_is_still_known(registry: SqlRegistry) -> None:
    held = {
        event.index: registry.live(CHURN, event.time).stages.get("production")
        for event in registry.log(CHURN, limit=50)
    }
    found = {index: None if holding is None else holding.version for index, holding in held.items()}
    assert found == {0: None, 1: None, 2: None, 3: None, 4: None, 5: 1, 6: 1, 7: 2, 8: 1, 9: 1}


def test_its_versions_are_searched_by_name_and_by_what_they_are_once_that_is_written_down(
    registry: SqlRegistry,
) -> None:
    found = registry.search("run = r1 and created >= 2020-01-01")
    assert ([one.version.number for one in found.versions], found.not_indexed) == ([1], 3)
    assert [one.version.number for one in registry.search().versions] == [3, 2, 1]
    facts = Facts((("metrics.recall", 0.75),), ())
    assert registry.index(CHURN, VersionNumber(2), facts).facts == 1
    found = registry.search("metrics.recall > 0.7")
    assert ([one.version.number for one in found.versions], found.not_indexed) == ([2], 2)
    assert registry.audit_verify().ok


def test_its_history_is_drawn(registry: SqlRegistry) -> None:
    spells = registry.history(CHURN, PRODUCTION)[::-1]
    assert [one.number for one in spells] == [1, 2, 1]
    assert [one.ended for one in spells] == [Action.STAGE_PROMOTE, Action.STAGE_ROLLBACK, None]


def test_its_runs_are_read(database: Database) -> None:
    tracking = SqlTracking(database, clock, lambda: "r9")
    alive, ended = tracking.search()
    assert (alive.name, alive.status) == ("still alive", RunStatus.RUNNING)
    assert (ended.name, ended.status, ended.notes) == ("baseline", RunStatus.FINISHED, "first")
    assert ended.params == {"lr": 0.1, "layers": [64, 32], "name": "it's"}
    assert ended.metrics["recall"] == 0.75
    assert math.isnan(ended.metrics["loss"])
    assert ended.inputs == (RunInput("train", "rows", hash_bytes(b"rows"), "data/train.parquet", 1, 4),)
    assert [point.value for point in tracking.history(ended.id, "recall")] == [0.5, 0.75]
    assert tracking.search("params.lr = 0.1 and metrics.recall > 0.7") == (ended,)


def test_it_goes_on_from_there(registry: SqlRegistry) -> None:
    steps: list[Callable[[], object]] = [
        lambda: registry.register(NewVersion(CHURN, hash_bytes(b"4"), complete=True), "ana"),
        lambda: registry.move_stage(
            MoveStage(CHURN, PRODUCTION, VersionNumber(4), VersionNumber(1), Action.STAGE_PROMOTE), "ana"
        ),
    ]
    for step in steps:
        step()
    audit = registry.audit_verify()
    assert audit.ok, audit.sentence
    assert registry.stage(CHURN, PRODUCTION).last_known_good == 1


def test_files_and_logged_models_of_the_seventh_are_read(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript((MUSEUM / "v7/registry.sql").read_text(encoding="utf-8"))
    with closing(Database.open(f"sqlite:///{path}")) as database:
        found = search_models(database, LoggedModelSearch([3], "metrics.auc > 0.7"))
        assert [(one.id, one.params) for one in found] == [("m-1", {"depth": "3"})]
        files = SqlFiles(database, MemoryStore())
        assert files.read("3/models/m-1/artifacts/MLmodel", bytes_max=100) == b"flavors: {}\n"
        assert files.is_frozen("3/models/m-1/artifacts/MLmodel")

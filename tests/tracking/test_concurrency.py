"""Many who log to one run at once, in a file and on a server; on a server nobody of them waits for the log's writer."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.database.engine import Database
from holdfast.errors import AlreadyExists, UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry import Replica, ReplicaState
from holdfast.registry.sql import SqlRegistry
from holdfast.tracking import NewRun, Point, RunInput, RunStatus
from holdfast.tracking.sql import SqlTracking

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ON_A_SERVER = pytest.param("server", marks=pytest.mark.slow)


@pytest.fixture(params=["file", ON_A_SERVER])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    on_a_server = request.param == "server"
    found = request.getfixturevalue("postgres_url" if on_a_server else "database_path")
    database = Database.open(found if on_a_server else f"sqlite:///{found}")
    yield database
    database.close()


@pytest.fixture
def tracking(database: Database) -> SqlTracking:
    ids = itertools.count(1)
    return SqlTracking(database, lambda: NOW, lambda: f"r{next(ids)}")


def at_once(work: Callable[[int], bool], count: int) -> list[bool]:
    ready = threading.Barrier(count)

    def begin(nth: int) -> bool:
        ready.wait()
        return work(nth)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_many_who_begin_a_run_under_one_key_begin_one_run(tracking: SqlTracking) -> None:
    begun: list[str] = []

    def begin(_: int) -> bool:
        begun.append(tracking.start_run(NewRun(params={"lr": 0.1}), "ana", key="k").id)
        return True

    at_once(begin, 8)
    assert (len(begun), len(set(begun)), len(tracking.search())) == (8, 1, 1)


def test_many_who_log_the_same_points_log_them_once(tracking: SqlTracking) -> None:
    run = tracking.start_run(NewRun(), "ana").id
    points = [Point("loss", 1.0, step, NOW) for step in range(20)]

    def log(_: int) -> bool:
        tracking.log_points(run, points)
        return True

    at_once(log, 8)
    assert len(tracking.history(run, "loss")) == 20


def test_of_many_values_of_one_param_the_first_stays(tracking: SqlTracking) -> None:
    run = tracking.start_run(NewRun(), "ana").id

    def log(nth: int) -> bool:
        try:
            tracking.log_params(run, {"lr": nth})
            tracking.log_inputs(run, [RunInput("train", "rows", source=str(nth))])
        except AlreadyExists:
            return False
        return True

    won = at_once(log, 8)
    assert won.count(True) == 1
    found = tracking.run(run)
    assert found.params == {"lr": won.index(True)}
    assert [one.source for one in found.inputs] == [str(won.index(True))]


def test_what_was_logged_before_the_end_is_there_and_nothing_after_it(tracking: SqlTracking) -> None:
    run = tracking.start_run(NewRun(), "ana").id
    logged: list[float] = []

    def log(nth: int) -> bool:
        for turn in range(30):
            value = float(nth * 1_000 + turn)
            try:
                if nth == 0 and turn == 5:
                    tracking.finish_run(run, RunStatus.FINISHED)
                tracking.log_points(run, [Point("m", value, 1), Point("m", value + 0.5, 1)])
            except UsageError:
                return True
            logged.extend((value, value + 0.5))
        return False

    assert all(at_once(log, 5))
    history = [point.value for point in tracking.history(run, "m")]
    assert sorted(history) == sorted(logged)
    assert all(later == earlier + 0.5 for earlier, later in zip(history[::2], history[1::2], strict=True))
    assert tracking.run(run).metrics == {"m": history[-1]}


@pytest.mark.parametrize("database", [ON_A_SERVER], indirect=True)
def test_runs_and_replicas_go_on_while_the_log_is_being_written(database: Database, tracking: SqlTracking) -> None:
    registry = SqlRegistry(database, lambda: NOW, str)
    with database.write():
        run = tracking.start_run(NewRun(params={"a": 1}, tags={"b": "c"}), "ana").id
        tracking.log_metrics(run, {"m": 1.0})
        tracking.set_tags(run, {"b": "d"})
        assert registry.report(replica("one")).id == "one"
        assert tracking.finish_run(run, RunStatus.FINISHED).metrics == {"m": 1.0}


def replica(id_: str, url: str = "") -> Replica:
    model, stage = ModelName("churn"), StageName("production")
    return Replica(id_, model, stage, "h", 1, url, None, None, None, ReplicaState.READY, None, NOW, NOW)


def test_replicas_that_report_at_once_are_all_there_and_old_ones_are_forgotten_once(database: Database) -> None:
    later = SqlRegistry(database, lambda: NOW + timedelta(days=30), str)
    before = SqlRegistry(database, lambda: NOW, str)
    for nth in range(20):
        before.report(replica(f"old {nth}"))
    assert all(at_once(lambda nth: bool(later.report(replica(f"new {nth % 3}", str(nth)))), 9))
    found = later.live_replicas(ModelName("churn"), StageName("production"), timedelta(days=60))
    assert [one.id for one in found] == ["new 0", "new 1", "new 2"]

"""Runs of experiments: what MLflow's clients begin, log to, end, take up again, delete and search.

A run is a row of `holdfast.tracking.tables.runs` with an experiment; what it logs stands where every run's does. Each
change is one transaction, and the same request again changes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, delete, insert, update

from holdfast.canonical import JsonObject
from holdfast.database.driver import asked
from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.documents import Numbers, documents, info, numbers_of, texts
from holdfast.experiments.experiments import ID_MAX, experiment_number
from holdfast.experiments.filters import RUNS, parse_filter
from holdfast.experiments.limits import (
    ACTOR_CHARACTERS_MAX,
    KEY_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    check_batch,
    check_length,
    check_page,
    check_param,
    check_run_id,
    check_tag,
)
from holdfast.experiments.moments import now_ms, to_text
from holdfast.experiments.paging import Place, read_token, token
from holdfast.experiments.run_names import run_name
from holdfast.experiments.searching import has_key, parse_orders, statement
from holdfast.experiments.standing import active_experiment, active_run
from holdfast.experiments.view import View
from holdfast.experiments.writing import NAME_TAG, Measured, add_metrics, add_params, set_tags, to_point
from holdfast.tracking.tables import run_tags, runs
from holdfast.tracking.values import RunStatus

__all__ = ["SqlRuns"]

_T = TypeVar("_T")

_EXPERIMENTS_MAX = 10_000
"""Of one search: each is a parameter of the statement, beside the fifty thousand that a filter can have. PostgreSQL
takes 65,535, and SQLite as many as it was built for, mostly 250,000."""


class SqlRuns:
    """Runs of experiments in a database.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        new_id: gives 32 hexadecimal digits that nothing else has.
        require_default: makes the experiment that is always there.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        require_default: Callable[[], None],
    ) -> None:
        self._database = database
        self._new_id = new_id
        self._require_default = require_default
        self._clock = clock

    def create(
        self, experiment: str, actor: str, start_ms: int, name: str = "", tags: Sequence[tuple[str, str]] = ()
    ) -> JsonObject:
        """Begins a run; it as MLflow writes it.

        Args:
            experiment: its id; empty: the default one.
            actor: who runs it.
            start_ms: when it began.
            name: for people, cut as its tag is; one is made up where it is empty, and no tag gives one.
            tags: its first tags.

        Raises:
            NotFound: there is no such experiment.
            UsageError: the experiment is deleted, or there are two names.
        """
        named = next((value for key, value in tags if key == NAME_TAG), "")
        if name and named and name != named:
            raise UsageError(
                "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
                f"(run_name='{name}', mlflow.runName='{named}').",
                hint="Give one.",
            )
        for key, _ in tags:
            check_length("key", key, KEY_CHARACTERS_MAX)
        check_length("user_id", actor, ACTOR_CHARACTERS_MAX)
        called = (name or named or run_name())[:TAG_CHARACTERS_MAX]
        words = {**{key: value[:TAG_CHARACTERS_MAX] for key, value in tags}, NAME_TAG: called}
        id_ = self._new_id()
        self._require_default()
        with self._database.change() as connection:
            number, _ = active_experiment(connection, experiment or "0")
            row = {
                "id": id_,
                "name": called,
                "status": str(RunStatus.RUNNING),
                "started_at": to_text(start_ms),
                "actor": actor,
                "notes": "",
                "experiment": number,
            }
            connection.execute(insert(runs), row)
            set_tags(connection, id_, words)
            return documents(connection, [id_])[0]

    def get(self, run: str) -> JsonObject:
        """The run, deleted or not, as MLflow writes it.

        Raises:
            NotFound: there is no such run of an experiment.
        """
        with self._database.view() as connection:
            found = documents(connection, [run])
        if not found:
            raise _no_run(run)
        return found[0]

    def update(
        self, run: str, status: RunStatus | None = None, end_ms: int | None = None, name: str = ""
    ) -> JsonObject:
        """Changes what is given of a run; its info as MLflow writes it.

        Raises:
            NotFound: there is no such run.
            UsageError: it is deleted.
        """
        change: dict[str, str] = {}
        if status is not None:
            change["status"] = str(status)
        if end_ms is not None:
            change["finished_at"] = to_text(end_ms)

        def work(connection: Connection) -> JsonObject:
            active_run(connection, run)
            if change:
                connection.execute(update(runs).where(runs.c.id == run).values(change))
            if name:
                set_tags(connection, run, {NAME_TAG: name[:TAG_CHARACTERS_MAX]})
            return info(connection, run)

        return self._changed(work)

    def delete(self, run: str) -> None:
        """Deletes a run; it stays, and can be restored.

        Raises:
            NotFound: there is no such run.
        """
        self._mark(run, now_ms(self._clock))

    def restore(self, run: str) -> None:
        """Takes the deletion of a run back.

        Raises:
            NotFound: there is no such run.
        """
        self._mark(run, None)

    def _mark(self, run: str, deleted_ms: int | None) -> None:
        def work(connection: Connection) -> None:
            marked = connection.execute(
                update(runs).where(runs.c.id == run, runs.c.experiment.is_not(None)).values(deleted_ms=deleted_ms)
            )
            if not marked.rowcount:
                raise _no_run(run)

        self._changed(work)

    def log(
        self,
        run: str,
        metrics: Sequence[Measured] = (),
        params: Sequence[tuple[str, str]] = (),
        tags: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Logs a batch, all of it or nothing.

        Raises:
            NotFound: there is no such run, or no such logged model.
            UsageError: the run is deleted, a param has another value, or something cannot be logged.
        """
        check_run_id(run)
        points = [to_point(one, f"metrics[{place}].") for place, one in enumerate(metrics)]
        said = [(key, check_param(key, value, f"params[{place}].key")) for place, (key, value) in enumerate(params)]
        words = {key: check_tag(key, value, f"tags[{place}].key") for place, (key, value) in enumerate(tags)}
        check_batch(len(metrics), [key for key, _ in params], len(tags))

        def work(connection: Connection) -> None:
            active_run(connection, run)
            add_params(connection, run, dict(said))
            add_metrics(connection, run, metrics, points)
            set_tags(connection, run, words)

        self._changed(work)

    def log_metric(self, run: str, metric: Measured) -> None:
        """Logs one value of one metric; see `log`."""
        point = to_point(metric, "")

        def work(connection: Connection) -> None:
            active_run(connection, run)
            add_metrics(connection, run, [metric], [point])

        self._changed(work)

    def log_param(self, run: str, key: str, value: str) -> None:
        """Logs one param; see `log`."""
        said = check_param(key, value)

        def work(connection: Connection) -> None:
            active_run(connection, run)
            add_params(connection, run, {key: said}, is_alone=True)

        self._changed(work)

    def set_tag(self, run: str, key: str, value: str) -> None:
        """Sets one tag; see `log`."""
        said = check_tag(key, value)

        def work(connection: Connection) -> None:
            active_run(connection, run)
            set_tags(connection, run, {key: said})

        self._changed(work)

    def delete_tag(self, run: str, key: str) -> None:
        """Takes a tag away.

        Raises:
            NotFound: there is no such run, or it has no such tag.
            UsageError: the run is deleted.
        """
        with self._database.change() as connection:
            active_run(connection, run)
            gone = connection.execute(delete(run_tags).where(run_tags.c.run == run, run_tags.c.key == key))
            if not gone.rowcount:
                raise NotFound(
                    f"No tag with name: {key[:KEY_CHARACTERS_MAX]} in run with id {run}", hint="Look at its tags."
                )

    def search(
        self,
        experiments: Sequence[str],
        view: View = View.ACTIVE,
        *,
        limit: int = 1000,
        filter: str = "",  # noqa: A002 - the word of the protocol
        order_by: Sequence[str] = (),
        page: str | None = None,
        write_numbers: Numbers = numbers_of,
    ) -> tuple[list[str], str | None]:
        """The runs that fit, each as the text of MLflow's JSON, and the token of the next page.

        Args:
            experiments: ids of those that are searched.
            view: whether deleted runs are meant.
            limit: 1 to `limits.PAGE_MAX`.
            filter: as `holdfast.experiments.filters` reads it.
            order_by: such as `metrics.accuracy DESC`; the newest first without any, and among equals.
            page: the token of the page.
            write_numbers: gives the JSON of many numbers.

        Raises:
            UsageError: something of it cannot be read.
        """
        check_page(limit)
        if len(experiments) > _EXPERIMENTS_MAX:
            raise UsageError(
                f"A search of runs can name at most {_EXPERIMENTS_MAX} experiments. Got {len(experiments)}.",
                hint="Search in parts.",
            )
        wanted, orders = parse_filter(filter, RUNS), parse_orders(order_by)
        place = read_token(page)
        if place.after is not None and not has_key(orders):
            raise UsageError("Invalid page token, it is of another search", hint="Begin again without one.")
        numbers = sorted({one for one in map(experiment_number, experiments) if abs(one) <= ID_MAX})
        if not numbers:
            return [], None
        with self._database.view() as connection:
            dialect = connection.dialect.name
            found = statement(numbers, view, wanted, orders, dialect, place=place, limit=limit + 1)
            (rows,) = asked(connection, found)
            after = None
            if len(rows) > limit:
                id_, _, _, started_at, *_ = rows[limit - 1]
                is_keyed = has_key(orders) and not place.offset
                after = token(Place(after=(started_at, id_)) if is_keyed else Place(offset=place.offset + limit))
            return texts(connection, rows[:limit], write_numbers), after

    def _changed(self, work: Callable[[Connection], _T]) -> _T:
        """What the work gives, which is done again when the answer to its commit was lost: twice is as good as once."""

        def once() -> _T:
            with self._database.change() as connection:
                return work(connection)

        return insisted(once)


def _no_run(run: str) -> NotFound:
    return NotFound(f"Run with id={run[:80]} not found", hint="Search the runs of its experiment.")

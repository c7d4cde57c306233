"""Experiments: what runs of MLflow's clients are grouped by."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, exists, select, text, update

from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.experiments.filters import EXPERIMENTS, Clause, parse_filter, parse_order
from holdfast.experiments.likeness import compared
from holdfast.experiments.limits import check_experiment_name, check_experiment_tag, check_orders, check_page
from holdfast.experiments.moments import now_ms
from holdfast.experiments.paging import Place, read_token, token
from holdfast.experiments.places import served
from holdfast.experiments.standing import deleted
from holdfast.experiments.tables import experiment_tags, experiments
from holdfast.experiments.view import View, shown
from holdfast.tracking.tables import runs

__all__ = ["DEFAULT", "ID_MAX", "SqlExperiments", "experiment_number", "no_experiment"]

DEFAULT = 0
"""The experiment that is always there: clients that name none mean it."""

ID_MAX = 2**63 - 1
"""What the column of an id holds."""

_PLACE = "mlflow-artifacts:/{id}"
"""Where files of an experiment are said to be when its client named no other place: with this server."""

_PLACE_CHARACTERS_MAX = 2048
"""Of a place that a client names, as MLflow's servers take it."""

_LONGEST = f"models/m-{'0' * 32}/artifacts"
"""What is put behind a place: it has to be a path with this too."""

_ADD = text(
    "INSERT INTO experiments (name, place, created_by, created_ms, updated_ms) "
    "VALUES (:name, :place, :created_by, :now, :now) ON CONFLICT (name) DO NOTHING RETURNING id"
)

# Made when somebody first asks for it: a backup is loaded into tables that have to be empty.
_ADD_DEFAULT = text(
    "INSERT INTO experiments (id, name, place, created_by, created_ms, updated_ms) "
    "VALUES (0, 'Default', 'mlflow-artifacts:/0', '', :now, :now) ON CONFLICT DO NOTHING"
)

_SET_TAG = text(
    "INSERT INTO experiment_tags (experiment, key, value) VALUES (:experiment, :key, :value) "
    "ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value"
)

_ONE = select(experiments).where(experiments.c.id == bindparam("id"))

_ONE_LOCKED = _ONE.with_for_update(key_share=True)

_NAMED = select(experiments).where(experiments.c.name == bindparam("name"))

_TAGS = (
    select(experiment_tags)
    .where(experiment_tags.c.experiment.in_(bindparam("ids", expanding=True)))
    .order_by(experiment_tags.c.experiment, experiment_tags.c.key)
)

_IDS_AT_A_TIME = 500
"""Ids in one statement: below every database's limit of parameters."""

_ATTRIBUTES = {
    "name": experiments.c.name,
    "experiment_id": experiments.c.id,
    "creation_time": experiments.c.created_ms,
    "last_update_time": experiments.c.updated_ms,
}


def experiment_number(said: str) -> int:
    """The number of an experiment, which clients give as a text.

    Raises:
        UsageError: it is none.
    """
    try:
        return int(said)
    except ValueError as error:
        raise UsageError(
            f"Invalid experiment ID '{said[:80]}'. Experiment ID must be a valid integer.", hint="Give its id."
        ) from error


def no_experiment(number: int) -> NotFound:
    """The refusal for an experiment that is not there."""
    return NotFound(f"No Experiment with id={number} exists", hint="Search the experiments.")


class SqlExperiments:
    """Experiments in a database.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._default_is_there = False

    def create(self, name: str, actor: str, place: str | None = None, tags: Sequence[tuple[str, str]] = ()) -> str:
        """Makes an experiment; its id.

        Args:
            name: that no other has, a deleted one neither.
            actor: who makes it.
            place: where files of its runs are; None, or empty: with this server.
            tags: its first tags.

        Raises:
            AlreadyExists: the name is taken.
            UsageError: a name or a tag cannot be.
        """
        check_experiment_name(name)
        for key, value in tags:
            check_experiment_tag(key, value)
        if place:
            _check_place(place)
        self.require_default()
        with self._database.change() as connection:
            row = {"name": name, "place": place or "", "created_by": actor, "now": now_ms(self._clock)}
            id_ = connection.execute(_ADD, row).scalar_one_or_none()
            if id_ is None:
                raise _taken(name)
            if not place:
                whole = {"place": _PLACE.format(id=id_)}
                connection.execute(update(experiments).where(experiments.c.id == id_).values(whole))
            if tags:
                rows = [{"experiment": id_, "key": key, "value": value} for key, value in dict(tags).items()]
                connection.execute(_SET_TAG, rows)
        return str(id_)

    def require_default(self) -> None:
        """Makes the experiment that is always there, where nobody has asked for it yet."""
        if self._default_is_there:
            return
        with self._database.read() as connection:
            found = connection.execute(_ONE, {"id": DEFAULT}).first()
        if found is None:
            with self._database.change() as connection:
                connection.execute(_ADD_DEFAULT, {"now": now_ms(self._clock)})
        self._default_is_there = True

    def get(self, experiment: str) -> JsonObject:
        """The experiment with this id, deleted or not, as MLflow writes it.

        Raises:
            NotFound: there is none.
            UsageError: the id is no number.
        """
        number = experiment_number(experiment)
        if number == DEFAULT:
            self.require_default()
        with self._database.view() as connection:
            row = connection.execute(_ONE, {"id": number}).one_or_none() if abs(number) <= ID_MAX else None
            if row is None:
                raise no_experiment(number)
            return _documents(connection, [row])[0]

    def by_name(self, name: str) -> JsonObject:
        """The experiment of this name, deleted or not, as MLflow writes it.

        Raises:
            NotFound: there is none.
        """
        self.require_default()
        with self._database.view() as connection:
            row = connection.execute(_NAMED, {"name": name}).one_or_none()
            if row is None:
                raise NotFound(f"Could not find experiment with name '{name[:500]}'", hint="Search the experiments.")
            return _documents(connection, [row])[0]

    def rename(self, experiment: str, name: str) -> None:
        """Gives an experiment another name.

        Raises:
            NotFound: there is no such experiment.
            AlreadyExists: the name is taken.
            UsageError: it cannot be a name, or the experiment is deleted.
        """
        check_experiment_name(name)
        with self._database.change() as connection:
            row = self._locked(connection, experiment)
            if row.deleted_ms is not None:
                raise UsageError(
                    "Cannot rename a non-active experiment.", hint="Restore it first.", mlflow="INVALID_STATE"
                )
            other = connection.execute(_NAMED, {"name": name}).one_or_none()
            if other is not None and other.id != row.id:
                raise _taken(name)
            change = {"name": name, "updated_ms": now_ms(self._clock)}
            connection.execute(update(experiments).where(experiments.c.id == row.id).values(change))

    def delete(self, experiment: str) -> None:
        """Deletes an experiment and its runs; they stay, and can be restored.

        Raises:
            NotFound: there is no such experiment, or it is deleted already.
        """
        self._mark(experiment, View.ACTIVE, now_ms(self._clock))

    def restore(self, experiment: str) -> None:
        """Takes the deletion of an experiment and of its runs back.

        Raises:
            NotFound: there is no such experiment, or it is not deleted.
        """
        self._mark(experiment, View.DELETED, None)

    def _mark(self, experiment: str, view: View, deleted_ms: int | None) -> None:
        with self._database.change() as connection:
            row = self._locked(connection, experiment)
            if (row.deleted_ms is None) is not (view is View.ACTIVE):
                raise no_experiment(row.id)
            change = {"deleted_ms": deleted_ms, "updated_ms": now_ms(self._clock)}
            connection.execute(update(experiments).where(experiments.c.id == row.id).values(change))
            connection.execute(update(runs).where(runs.c.experiment == row.id).values(deleted_ms=deleted_ms))

    def set_tag(self, experiment: str, key: str, value: str) -> None:
        """Sets a tag; one that is there gets the new value.

        Raises:
            NotFound: there is no such experiment.
            UsageError: it can be no tag, or the experiment is deleted.
        """
        check_experiment_tag(key, value)
        with self._database.change() as connection:
            row = self._active(connection, experiment)
            connection.execute(_SET_TAG, {"experiment": row.id, "key": key, "value": value})

    def delete_tag(self, experiment: str, key: str) -> None:
        """Takes a tag away.

        Raises:
            NotFound: there is no such experiment, or it has no such tag.
            UsageError: the experiment is deleted.
        """
        tag = experiment_tags.c
        with self._database.change() as connection:
            row = self._active(connection, experiment)
            gone = connection.execute(delete(experiment_tags).where(tag.experiment == row.id, tag.key == key))
            if not gone.rowcount:
                raise NotFound(
                    f"No tag with name: {key[:250]} in experiment with id {row.id}", hint="Look at its tags."
                )

    def _active(self, connection: Connection, experiment: str) -> Row[*tuple[Any, ...]]:
        row = self._locked(connection, experiment)
        if row.deleted_ms is not None:
            raise deleted("experiment", str(row.id))
        return row

    def _locked(self, connection: Connection, experiment: str) -> Row[*tuple[Any, ...]]:
        number = experiment_number(experiment)
        if number == DEFAULT:
            connection.execute(_ADD_DEFAULT, {"now": now_ms(self._clock)})
        row = connection.execute(_ONE_LOCKED, {"id": number}).one_or_none() if abs(number) <= ID_MAX else None
        if row is None:
            raise no_experiment(number)
        return row

    def search(
        self,
        view: View,
        *,
        limit: int,
        filter: str = "",  # noqa: A002 - the word of the protocol
        order_by: Sequence[str] = (),
        page: str | None = None,
    ) -> tuple[list[JsonObject], str | None]:
        """The experiments that fit, as MLflow writes them, and the token of the next page.

        Args:
            view: whether deleted ones are meant.
            limit: 1 to `limits.PAGE_MAX`.
            filter: as `holdfast.experiments.filters` reads it.
            order_by: such as `name DESC`; the newest first without any.
            page: the token of the page.

        Raises:
            UsageError: something of it cannot be read.
        """
        check_page(limit)
        wanted, place = parse_filter(filter, EXPERIMENTS), read_token(page)
        self.require_default()
        with self._database.view() as connection:
            conditions = [_condition(clause, connection.dialect.name) for clause in wanted]
            found = select(experiments).where(shown(experiments.c.deleted_ms, view), *conditions)
            rows = connection.execute(_sorted(found, order_by).offset(place.offset).limit(limit + 1)).all()
            after = token(Place(offset=place.offset + limit)) if len(rows) > limit else None
            return _documents(connection, rows[:limit]), after


def _documents(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[JsonObject]:
    tags: dict[int, list[JsonObject]] = {}
    for begin in range(0, len(rows), _IDS_AT_A_TIME):
        some = [row.id for row in rows[begin : begin + _IDS_AT_A_TIME]]
        for experiment, key, value in connection.execute(_TAGS, {"ids": some}):
            tags.setdefault(experiment, []).append({"key": key, "value": value})
    return [_document(row, tags) for row in rows]


def _document(row: Row[*tuple[Any, ...]], tags: Mapping[int, list[JsonObject]]) -> JsonObject:
    found = {
        "experiment_id": str(row.id),
        "name": row.name,
        "artifact_location": row.place,
        "lifecycle_stage": "active" if row.deleted_ms is None else "deleted",
        "last_update_time": row.updated_ms,
        "creation_time": row.created_ms,
    }
    if row.id in tags:
        found["tags"] = tags[row.id]
    return {**found, "workspace": "default"}


def _condition(clause: Clause, dialect: str) -> ColumnElement[bool]:
    if clause.kind == "tag":
        tag = experiment_tags.c
        of_it = (tag.experiment == experiments.c.id) & (tag.key == clause.key)
        if clause.operator in {"IS NULL", "IS NOT NULL"}:
            there = exists().where(of_it)
            return there if clause.operator == "IS NOT NULL" else ~there
        return exists().where(of_it, compared(tag.value, clause.operator, clause.value, dialect))
    value: Any = clause.value
    if clause.key == "experiment_id":
        if clause.operator not in {"=", "!=", "IN", "NOT IN"}:
            raise UsageError(f"Invalid comparator for experiment_id: {clause.operator}", hint="Use = or IN.")
        many = value if isinstance(value, tuple) else (value,)
        # One that no column holds is none that is there.
        numbers = [number if abs(number := experiment_number(one)) <= ID_MAX else -1 for one in many]
        value = numbers if isinstance(value, tuple) else numbers[0]
    elif isinstance(value, float):
        raise UsageError(
            f"Invalid value for numeric attribute '{clause.key}': {str(value)!r}", hint="Give a whole number."
        )
    return compared(_ATTRIBUTES[clause.key], clause.operator, value, dialect)


def _sorted(found: Select[*tuple[Any, ...]], order_by: Sequence[str]) -> Select[*tuple[Any, ...]]:
    has_id = False
    check_orders(order_by)
    for written in order_by or ("creation_time DESC", "experiment_id ASC"):
        sorting = parse_order(written, EXPERIMENTS)
        if sorting.kind != "attribute":
            raise UsageError(f"Invalid order_by entity: {sorting.kind}", hint="Sort by an attribute.")
        column = _ATTRIBUTES[sorting.key]
        found = found.order_by(column.asc() if sorting.ascending else column.desc())
        has_id = has_id or sorting.key == "experiment_id"
    return found if has_id else found.order_by(experiments.c.id.desc())


def _check_place(place: str) -> None:
    """A place is what clients are told again; this server itself opens none that a client named."""
    if place.startswith("runs:"):
        raise UsageError(f"Artifact location cannot be a runs:/ URI. Given: '{place[:80]}'", hint="Name a folder.")
    if "#" in place or ";" in place.rpartition("/")[2]:
        raise UsageError("'artifact_location' URL can't include fragments or params.", hint="Take them out.")
    if len(place) > _PLACE_CHARACTERS_MAX:
        raise UsageError(
            f"Invalid artifact path length. The length of the artifact path cannot be greater than "
            f"{_PLACE_CHARACTERS_MAX}",
            hint="Shorten it.",
        )
    served(f"{place.rstrip('/')}/{_LONGEST}")


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"Experiment(name={name}) already exists. Error: the name is taken, perhaps by a deleted experiment",
        hint="Take another name, or restore that one.",
    )

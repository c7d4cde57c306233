"""What MLflow's clients say of versions: where they are from, descriptions, tags; and which are not shown any more.

The version itself stands in the registry and never changes. Taking one away, or back, is an event of the log.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select, text, update

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.errors import PermissionRefused
from holdfast.experiments.limits import WORDS_CHARACTERS_MAX, check_length
from holdfast.experiments.names import known_row
from holdfast.experiments.naming import model_name, registry_tag, tag_key
from holdfast.experiments.registered import NewRegistered, RegisteredVersion
from holdfast.experiments.registered_rows import held_by, load_versions, milliseconds, require_version
from holdfast.experiments.tables import (
    registered_models,
    registered_version_tags,
    registered_versions,
)
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.recording import record
from holdfast.registry.records import NewEvent

__all__ = ["SqlVersionWords", "known_version", "touch_model"]

_T = TypeVar("_T")

_SET_TAG = text(
    "INSERT INTO registered_version_tags (model, number, key, value) VALUES (:model, :number, :key, :value) "
    "ON CONFLICT (model, number, key) DO UPDATE SET value = excluded.value"
)

_KEEP = text(
    "INSERT INTO registered_versions (model, number, source, path, run, logged_model, run_link, description, rest, "
    "created_by, created_ms, updated_ms) VALUES (:model, :number, :source, :path, :run, :logged_model, :run_link, "
    ":description, 'None', :created_by, :moment, :moment) ON CONFLICT (model, number) DO NOTHING"
)

# A version that Holdfast made itself: there are no files of it that MLflow's clients could read.
_TAKE_IN = text(
    "INSERT INTO registered_versions (model, number, source, path, run, rest, created_by, created_ms, updated_ms) "
    "SELECT model, number, 'holdfast:' || model || '@' || number, '', run_id, 'None', created_by, :moment, :moment "
    "FROM versions WHERE model = :model AND number = :number ON CONFLICT DO NOTHING"
)


class SqlVersionWords:
    """What is said of versions, in a database; it keeps no state of its own.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        meant: aliases that the settings give a stage.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], meant: Mapping[str, StageName] | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._meant = meant or {}

    def get(self, name: str, number: int) -> RegisteredVersion:
        """The version of a model.

        Raises:
            NotFound: there is no such model, or no such version.
        """
        model_name(name)
        with self._database.view() as connection:
            return self._load(connection, require_version(connection, name, number))

    def keep(self, new: NewRegistered, actor: str) -> RegisteredVersion:
        """Writes down what a client says of a version that was just registered.

        What is said of it already stays: the same content was registered before. One that was withdrawn comes back.
        """

        def work(connection: Connection, now: datetime) -> RegisteredVersion:
            model, number, moment = str(new.model), new.number, milliseconds(now)
            row = {"model": model, "number": number, "source": new.source, "path": new.path, "run": new.run}
            more = {"logged_model": new.logged_model, "run_link": new.run_link, "description": new.description}
            connection.execute(_KEEP, {**row, **more, "created_by": actor, "moment": moment})
            found = registered_versions.c
            this = (found.model == model) & (found.number == number)
            if connection.execute(select(found.deleted_ms).where(this)).scalar_one() is not None:
                event = NewEvent(Action.VERSION_READMIT, new.model, to_number=number)
                record(connection, event, now, actor)
                again = {**row, **more, "deleted_ms": None, "rest": "None", "updated_ms": moment}
                connection.execute(update(registered_versions).where(this).values(again))
            _say(connection, new.model, number, new.tags)
            touch_model(connection, new.model, moment)
            return load_versions(connection, [(model, number)], self._meant)[0]

        with self._database.write() as connection:
            return work(connection, self._clock())

    def describe(self, name: str, number: int, description: str | None) -> RegisteredVersion:
        """Gives a version another description.

        Raises:
            NotFound: there is no such model, or no such version.
            UsageError: it is longer than it may be.
        """
        check_length("description", description or "", WORDS_CHARACTERS_MAX)

        def work(connection: Connection, now: datetime) -> RegisteredVersion:
            row = known_version(connection, name, number)
            values = {"description": description, "updated_ms": milliseconds(now)}
            connection.execute(_of(row).values(values))
            return self._load(connection, row)

        return self._changed(work)

    def set_tag(self, name: str, number: int, key: str, value: str) -> None:
        """Gives a version a tag, or another value.

        Raises:
            NotFound: there is no such model, or no such version.
            UsageError: the tag cannot be.
        """
        model_name(name)
        registry_tag(key, value)

        def work(connection: Connection, _: datetime) -> None:
            row = known_version(connection, name, number)
            _say(connection, ModelName(row.model), row.number, {key: value})

        self._changed(work)

    def remove_tag(self, name: str, number: int, key: str) -> None:
        """Takes a tag from a version, if it has it.

        Raises:
            NotFound: there is no such model, or no such version.
        """
        model_name(name)
        tag_key(key)

        def work(connection: Connection, _: datetime) -> None:
            row = require_version(connection, name, number)
            found = registered_version_tags.c
            this = (found.model == row.model) & (found.number == row.number) & (found.key == key)
            connection.execute(delete(registered_version_tags).where(this))

        self._changed(work)

    def withdraw(self, name: str, number: int, actor: str) -> None:
        """Takes a version from what is shown; it and its bytes stay, and nothing else ever has its number.

        Raises:
            NotFound: there is no such model, or no such version.
            PermissionRefused: it holds a stage.
        """
        model_name(name)
        with self._database.write() as connection:
            now = self._clock()
            row = known_version(connection, name, number)
            held = sorted(held_by(connection, [row.model]).get((row.model, number), ()))
            if held:
                raise PermissionRefused(
                    f"Model Version (name={name}, version={number}) cannot be deleted: it holds {', '.join(held)}",
                    hint=f"Move the stage or the alias to another version first; or: holdfast clear {row.model} "
                    f"--stage {held[0]}",
                    stages=held,
                )
            event = NewEvent(Action.VERSION_WITHDRAW, ModelName(row.model), to_number=VersionNumber(number))
            record(connection, event, now, actor)
            moment = milliseconds(now)
            connection.execute(_of(row).values(deleted_ms=moment, updated_ms=moment))
            touch_model(connection, ModelName(row.model), moment)

    def _load(self, connection: Connection, row: Any) -> RegisteredVersion:
        return load_versions(connection, [(row.model, row.number)], self._meant)[0]

    def _changed(self, work: Callable[[Connection, datetime], _T]) -> _T:
        def once() -> _T:
            with self._database.change() as connection:
                return work(connection, self._clock())

        return insisted(once)


def known_version(connection: Connection, name: str, number: int) -> Any:
    """The row of a version, of which MLflow's clients have said something from here on.

    Raises:
        NotFound: there is no such model, or no such version.
    """
    model_name(name)
    row = require_version(connection, name, number)
    if row.source is None:
        known_row(connection, name)
        given = {"model": row.model, "number": number, "moment": milliseconds(row.created_at)}
        connection.execute(_TAKE_IN, given)
    return row


def touch_model(connection: Connection, model: ModelName, moment: int) -> None:
    """Something was said of a model, or of a version of it, at a moment."""
    this = registered_models.c.model == str(model)
    connection.execute(update(registered_models).where(this).values(updated_ms=moment))


def _of(row: Any) -> Any:
    found = registered_versions.c
    return update(registered_versions).where(found.model == row.model, found.number == row.number)


def _say(connection: Connection, model: ModelName, number: int, tags: Mapping[str, str]) -> None:
    if tags:
        rows = [{"model": str(model), "number": number, "key": key, "value": value} for key, value in tags.items()]
        connection.execute(_SET_TAG, rows)

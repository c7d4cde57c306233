"""Registered models in the database: what MLflow's clients call them, and what they say of them.

A registered model is a model of the registry. Beginning one, calling it otherwise, and taking it away or back are
events of the log, in the transaction of the change; what people say of it is not.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, exists, insert, select, text, update

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.errors import AlreadyExists, PermissionRefused
from holdfast.experiments.limits import WORDS_CHARACTERS_MAX, check_length
from holdfast.experiments.naming import PROMPT, model_name, of_model, other_model, registry_tag, tag_key
from holdfast.experiments.registered import RegisteredModel
from holdfast.experiments.registered_rows import find_row, held_by, load_models, milliseconds, require_row
from holdfast.experiments.tables import aliases, registered_model_tags, registered_models, registered_versions
from holdfast.names import ModelName, StageName
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append
from holdfast.registry.tables import models, versions
from holdfast.registry.values import STAGES
from holdfast.registry.versions import create_model

__all__ = ["SqlNames", "known_row"]

_T = TypeVar("_T")

_SET_TAG = text(
    "INSERT INTO registered_model_tags (model, key, value) VALUES (:model, :key, :value) "
    "ON CONFLICT (model, key) DO UPDATE SET value = excluded.value"
)


_TAKE_IN_VERSIONS = text(
    "INSERT INTO registered_versions (model, number, source, path, rest, created_by, created_ms, updated_ms) "
    "VALUES (:model, :number, :source, '', 'None', :actor, :moment, :moment) ON CONFLICT DO NOTHING"
)


class SqlNames:
    """The names of models, in a database; it keeps no state of its own.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        meant: aliases that the settings give a stage.
        stages: those that a new model gets.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        meant: Mapping[str, StageName] | None = None,
        stages: Sequence[StageName] = STAGES,
    ) -> None:
        self._database = database
        self._clock = clock
        self._meant = meant or {}
        self._stages = stages

    def model_of(self, name: str) -> ModelName:
        """The model that a name means, or would mean if it were created: what permissions are asked for.

        Raises:
            UsageError: nothing can be called so.
        """
        model_name(name)
        with self._database.read() as connection:
            row = find_row(connection, name)
        return of_model(name) if row is None else ModelName(row.model)

    def made_by(self, name: str) -> ModelName:
        """The model that `create` would begin, or take back, under a name.

        Raises:
            UsageError: nothing can be called so.
            AlreadyExists: both names that it could have here are taken.
        """
        model_name(name)
        with self._database.view() as connection:
            row = find_row(connection, name)
            return _free(connection, name) if row is None else ModelName(row.model)

    def there(self, name: str) -> ModelName:
        """The model that a name means; of `get` what a caller needs who asks nothing else of it.

        Raises:
            NotFound: there is none.
            UsageError: nothing can be called so.
        """
        model_name(name)
        with self._database.read() as connection:
            return ModelName(require_row(connection, name).model)

    def get(self, name: str) -> RegisteredModel:
        """The model of a name.

        Raises:
            NotFound: there is none.
            UsageError: nothing can be called so.
        """
        model_name(name)
        with self._database.view() as connection:
            row = require_row(connection, name)
            return self._load(connection, row.model)

    def create(
        self, name: str, actor: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Begins a model under a name; one that was withdrawn under it comes back, and goes on with its numbers.

        Raises:
            AlreadyExists: there is one.
            UsageError: nothing can be called so, a tag cannot be, or the description is too long.
        """
        model_name(name)
        check_length("description", description or "", WORDS_CHARACTERS_MAX)
        said = dict(registry_tag(key, value) for key, value in (tags or {}).items())

        def work(connection: Connection, now: datetime) -> RegisteredModel:
            found = find_row(connection, name)
            if found is not None and found.there:
                raise _taken(name, said.get(PROMPT) == "true", _is_prompt(connection, found.model))
            if found is None:
                model = _free(connection, name)
                # Who reads the log, or the list of versions, knows it by the other name.
                about = "" if str(model) == name else f"MLflow's clients call it {name!r}"
                create_model(connection, model, now, actor, description=about, names=self._stages)
                moment = milliseconds(now)
                row = {"model": str(model), "name": name, "description": description, "created_by": actor}
                connection.execute(insert(registered_models), {**row, "created_ms": moment, "updated_ms": moment})
            else:
                model = ModelName(found.model)
                append(connection, Entry(Action.MODEL_READMIT, str(model), details={"name": name}), now, actor)
                moment = milliseconds(now)
                back = {"description": description, "created_ms": moment, "updated_ms": moment, "deleted_ms": None}
                connection.execute(_of(model).values(back))
            _say(connection, model, said)
            return self._load(connection, str(model))

        return self._written(work)

    def describe(self, name: str, description: str | None) -> RegisteredModel:
        """Gives a model another description.

        Raises:
            NotFound: there is no such model.
            UsageError: it is longer than it may be.
        """
        model_name(name)
        check_length("description", description or "", WORDS_CHARACTERS_MAX)

        def work(connection: Connection, now: datetime) -> RegisteredModel:
            model = known_row(connection, name)
            values = {"description": description, "updated_ms": milliseconds(now)}
            connection.execute(_of(model).values(values))
            return self._load(connection, str(model))

        return self._changed(work)

    def rename(self, name: str, new_name: str, actor: str) -> RegisteredModel:
        """Calls a model otherwise; it stays the model that it is here, with all that it has.

        Raises:
            NotFound: there is no such model.
            AlreadyExists: another one has the name, or had it when it was withdrawn.
        """
        model_name(name)
        model_name(new_name)

        def work(connection: Connection, now: datetime) -> RegisteredModel:
            model = known_row(connection, name)
            other = find_row(connection, new_name)
            if other is not None and other.model != str(model):
                raise AlreadyExists(
                    f"Registered Model (name={new_name}) already exists.",
                    hint="Take another name.",
                    name=new_name,
                )
            if other is None:
                details = {"from": name, "to": new_name}
                append(connection, Entry(Action.MODEL_RENAME, str(model), details=details), now, actor)
            moment = milliseconds(now)
            connection.execute(_of(model).values(name=new_name, updated_ms=moment))
            of_versions = update(registered_versions).where(registered_versions.c.model == str(model))
            connection.execute(of_versions.values(updated_ms=moment))
            return self._load(connection, str(model))

        return self._written(work)

    def withdraw(self, name: str, actor: str) -> None:
        """Takes a model from what is shown, with all its versions; they and their bytes stay.

        Raises:
            NotFound: there is no such model.
            PermissionRefused: a version of it holds a stage.
        """
        model_name(name)

        def work(connection: Connection, now: datetime) -> None:
            model = known_row(connection, name)
            held = {stage for its in held_by(connection, [str(model)]).values() for stage in its}
            if held:
                raise PermissionRefused(
                    f"Registered Model with name={name} cannot be deleted: its versions hold {', '.join(sorted(held))}",
                    hint=f"Delete the aliases, or move the stages, first; or: holdfast clear {model} --stage NAME.",
                    stages=sorted(held),
                )
            append(connection, Entry(Action.MODEL_WITHDRAW, str(model), details={"name": name}), now, actor)
            moment = milliseconds(now)
            _withdraw_versions(connection, str(model), actor, moment)
            connection.execute(_of(model).values(deleted_ms=moment, updated_ms=moment))
            connection.execute(delete(registered_model_tags).where(registered_model_tags.c.model == str(model)))
            connection.execute(delete(aliases).where(aliases.c.model == str(model)))

        self._written(work)

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Gives a model a tag, or another value.

        Raises:
            NotFound: there is no such model.
            UsageError: the tag cannot be.
        """
        model_name(name)
        registry_tag(key, value)

        def work(connection: Connection, _: datetime) -> None:
            _say(connection, known_row(connection, name), {key: value})

        self._changed(work)

    def remove_tag(self, name: str, key: str) -> None:
        """Takes a tag from a model, if it has it.

        Raises:
            NotFound: there is no such model.
        """
        model_name(name)
        tag_key(key)

        def work(connection: Connection, _: datetime) -> None:
            model = require_row(connection, name).model
            found = registered_model_tags.c
            connection.execute(delete(registered_model_tags).where(found.model == model, found.key == key))

        self._changed(work)

    def _load(self, connection: Connection, model: str) -> RegisteredModel:
        return load_models(connection, [model], self._meant)[0]

    def _written(self, work: Callable[[Connection, datetime], _T]) -> _T:
        """What the work gives, done by the single writer: it has events."""
        with self._database.write() as connection:
            return work(connection, self._clock())

    def _changed(self, work: Callable[[Connection, datetime], _T]) -> _T:
        """What the work gives, which twice is the same as once."""

        def once() -> _T:
            with self._database.change() as connection:
                return work(connection, self._clock())

        return insisted(once)


def known_row(connection: Connection, name: str) -> ModelName:
    """The model of a name, which MLflow's clients have said something of from here on.

    Raises:
        NotFound: there is none.
    """
    row = require_row(connection, name)
    if row.known is None:
        _take_in(connection, row)
    return ModelName(row.model)


def _take_in(connection: Connection, row: Row[Any]) -> None:
    """Writes down what holds of a model that Holdfast made; somebody may be doing so at this moment."""
    statement = text(
        "INSERT INTO registered_models (model, name, description, created_by, created_ms, updated_ms) "
        "SELECT name, name, :description, created_by, :created_ms, :updated_ms FROM models WHERE name = :model "
        "ON CONFLICT DO NOTHING"
    )
    created = milliseconds(row.created_at)
    given = {"description": row.first_words or None, "created_ms": created, "updated_ms": created}
    connection.execute(statement, {**given, "model": row.model})


def _free(connection: Connection, name: str) -> ModelName:
    """What a new model is called here.

    Raises:
        AlreadyExists: both of its names are taken, by models that are called otherwise.
    """
    for model in (of_model(name), other_model(name)):
        if not connection.execute(select(exists().where(models.c.name == str(model)))).scalar_one():
            return model
    raise AlreadyExists(f"Registered Model (name={name}) already exists.", hint="Take another name.", name=name)


def _say(connection: Connection, model: ModelName, tags: Mapping[str, str]) -> None:
    if tags:
        rows = [{"model": str(model), "key": key, "value": value} for key, value in tags.items()]
        connection.execute(_SET_TAG, rows)


def _of(model: ModelName) -> Any:
    return update(registered_models).where(registered_models.c.model == str(model))


def _withdraw_versions(connection: Connection, model: str, actor: str, moment: int) -> None:
    """Withdraws every version of a model, those of which nothing was said as well."""
    unknown = select(versions.c.number, versions.c.created_at).where(
        versions.c.model == model,
        ~exists().where(registered_versions.c.model == model, registered_versions.c.number == versions.c.number),
    )
    rows = [
        {"model": model, "number": row.number, "source": f"holdfast:{model}@{row.number}", "actor": actor}
        | {"moment": milliseconds(row.created_at)}
        for row in connection.execute(unknown)
    ]
    if rows:
        connection.execute(_TAKE_IN_VERSIONS, rows)
    of_model_ = (registered_versions.c.model == model) & registered_versions.c.deleted_ms.is_(None)
    connection.execute(update(registered_versions).where(of_model_).values(deleted_ms=moment, updated_ms=moment))


def _is_prompt(connection: Connection, model: str) -> bool:
    found = registered_model_tags.c
    asked = select(found.value).where(found.model == model, found.key == PROMPT)
    return connection.execute(asked).scalar_one_or_none() == "true"


def _taken(name: str, *asked_and_there: bool) -> AlreadyExists:
    after, before = ("Prompt" if is_prompt else "Registered Model" for is_prompt in asked_and_there)
    message = f"{after} (name={name}) already exists."
    if before != after:
        message = (
            f"Tried to create a {after.lower()} with name {name!r}, but the name is already taken by a "
            f"{before.lower()}. MLflow does not allow creating a model and a prompt with the same name."
        )
    return AlreadyExists(message, hint="Take another name.", name=name)

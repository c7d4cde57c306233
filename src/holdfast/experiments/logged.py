"""Logged models: the files of one model, with what was said of it, before anybody registers it.

A model is written while it is `PENDING`. Once it is `READY`, its files and its params stay as they are; tags and
metrics are still added to it, for they are said of it later.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, text, update

from holdfast.database.engine import Database
from holdfast.errors import NotFound, PermissionRefused, UsageError
from holdfast.experiments.files import freeze_files
from holdfast.experiments.limits import ID_CHARACTERS_MAX, check_length
from holdfast.experiments.logged_metrics import ModelPoint, no_model, points_of
from holdfast.experiments.places import served
from holdfast.experiments.run_names import run_name
from holdfast.experiments.standing import active_experiment
from holdfast.experiments.tables import logged_model_params, logged_model_tags, logged_models

__all__ = ["FILES", "LoggedModel", "ModelStatus", "NewLoggedModel", "SqlLoggedModels", "models_of"]

FILES = "mlflow-artifacts:/"
"""How a place on this server begins; what follows is the path of its files."""

_NAME_CHARACTERS_MAX = 500
"""As long as the names of experiments."""

_KEY_CHARACTERS_MAX = 255
"""As MLflow's own tables; one line."""

_VALUE_CHARACTERS_MAX = 100_000
"""A signature of a wide table fits; what is longer is a file."""

_WORDS_MAX = 10_000
"""Params or tags of one request: the largest configurations seen have a few thousand."""

_BAD_CHARACTERS = ("/", ":", ".", "%", '"', "'")

_MODELS_AT_A_TIME = 500
"""Names in one statement: below every database's limit of parameters."""

_MODELS = select(logged_models).where(logged_models.c.id.in_(bindparam("models", expanding=True)))

_LOCKED = select(logged_models).where(logged_models.c.id == bindparam("model")).with_for_update()

_SET_TAG = text(
    "INSERT INTO logged_model_tags (model, key, value) VALUES (:model, :key, :value) "
    "ON CONFLICT (model, key) DO UPDATE SET value = excluded.value"
)


class ModelStatus(StrEnum):
    """How far a logged model has come."""

    PENDING = "PENDING"
    READY = "READY"
    UPLOAD_FAILED = "UPLOAD_FAILED"


@dataclass(frozen=True, slots=True)
class NewLoggedModel:
    """What a client says of a model before it sends its files.

    Attributes:
        experiment: id of the experiment that it belongs to.
        name: need not be unique; empty where the client leaves it to us.
        type: what the client calls its kind, such as `Agent`; may be empty.
        run: that makes it; None where none does.
        params: of its training.
        tags: of any kind.
    """

    experiment: str
    name: str = ""
    type: str = ""
    run: str | None = None
    params: Sequence[tuple[str, str]] = ()
    tags: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model as it stands. Moments are milliseconds since 1970."""

    id: str
    experiment: int
    name: str
    place: str
    type: str
    status: ModelStatus
    status_message: str | None
    run: str | None
    created_ms: int
    updated_ms: int
    deleted_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Sequence[ModelPoint]


class SqlLoggedModels:
    """The logged models of a database.

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
        self._clock = clock
        self._new_id = new_id
        self._require_default = require_default

    def create(self, new: NewLoggedModel, actor: str) -> LoggedModel:
        """A model that waits for its files.

        Raises:
            UsageError: its name or one of its words cannot be, or its experiment is deleted.
            NotFound: there is no such experiment.
        """
        _check_name(new.name)
        check_length("model_type", new.type, ID_CHARACTERS_MAX)
        check_length("source_run_id", new.run or "", ID_CHARACTERS_MAX)
        params, tags = _words("params", new.params), _words("tags", new.tags)
        self._require_default()
        id_, now = f"m-{self._new_id()}", self._now()
        with self._database.change() as connection:
            experiment, place = active_experiment(connection, new.experiment)
            row = {
                "id": id_,
                "experiment": experiment,
                "name": new.name or run_name(),
                "place": f"{place.rstrip('/')}/models/{id_}/artifacts",
                "type": new.type,
                "status": ModelStatus.PENDING.value,
                "run": new.run,
                "created_by": actor,
                "created_ms": now,
                "updated_ms": now,
            }
            connection.execute(insert(logged_models), row)
            _insert_words(connection, logged_model_params, id_, params)
            _insert_words(connection, logged_model_tags, id_, tags)
            return models_of(connection, [id_])[0]

    def get(self, model: str, *, deleted: bool = False) -> LoggedModel:
        """A model with all that is said of it.

        Args:
            model: its id.
            deleted: whether a deleted one is told too.

        Raises:
            NotFound: nobody has logged it, or it is deleted.
        """
        with self._database.view() as connection:
            found = models_of(connection, [model])
        if not found or (found[0].deleted_ms is not None and not deleted):
            raise no_model(model)
        return found[0]

    def finalise(self, model: str, status: ModelStatus) -> LoggedModel:
        """Says how the upload ended. A model that is ready is never anything else again, and its files stay.

        Raises:
            NotFound: nobody has logged it.
            PermissionRefused: it is ready, and this says something else.
        """
        with self._database.change() as connection:
            row = _locked(connection, model)
            if row.status == ModelStatus.READY and status != ModelStatus.READY:
                raise PermissionRefused(
                    f"The logged model {model} is ready; what is ready stays so", hint="Log a new model instead."
                )
            now = self._now()
            if row.status != status:
                change = update(logged_models).where(logged_models.c.id == model)
                connection.execute(change.values(status=status.value, updated_ms=now))
            path = served(row.place) if status == ModelStatus.READY else None
            if path:
                why = f"The files of logged model {model} are immutable since it is ready; log a new model instead."
                freeze_files(connection, path, why, now)
            return models_of(connection, [model])[0]

    def delete(self, model: str) -> None:
        """Hides a model; its rows and its bytes stay.

        Raises:
            NotFound: nobody has logged it.
        """
        with self._database.change() as connection:
            row = _locked(connection, model)
            if row.deleted_ms is None:
                now = self._now()
                change = update(logged_models).where(logged_models.c.id == model)
                connection.execute(change.values(deleted_ms=now, updated_ms=now))

    def set_tags(self, model: str, tags: Sequence[tuple[str, str]]) -> None:
        """Sets tags, over those of the same names.

        Raises:
            NotFound: nobody has logged it.
            UsageError: one of them cannot be.
        """
        words = _words("tags", tags)
        with self._database.change() as connection:
            _locked(connection, model)
            if words:
                rows = [{"model": model, "key": key, "value": value} for key, value in words.items()]
                connection.execute(_SET_TAG, rows)

    def delete_tag(self, model: str, key: str) -> None:
        """Takes a tag away.

        Raises:
            NotFound: nobody has logged the model, or it has no such tag.
        """
        with self._database.change() as connection:
            _locked(connection, model)
            gone = delete(logged_model_tags).where(logged_model_tags.c.model == model, logged_model_tags.c.key == key)
            if connection.execute(gone).rowcount == 0:
                raise NotFound(
                    f"No tag with key {key!r} found for model with ID {model!r}.", hint="Look at the model's tags."
                )

    def add_params(self, model: str, params: Sequence[tuple[str, str]]) -> None:
        """Adds params to a model that is not ready; the same ones again change nothing.

        Raises:
            NotFound: nobody has logged it.
            UsageError: one of them cannot be, or is there with another value.
            PermissionRefused: the model is ready, and this would add to it.
        """
        words = _words("params", params)
        with self._database.change() as connection:
            row = _locked(connection, model)
            there = _words_of(connection, logged_model_params, [model]).get(model, {})
            for key in words.keys() & there.keys():
                if words[key] != there[key]:
                    raise UsageError(
                        f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                        f"value='{there[key]}' for model ID='{model}'. Attempted logging new value '{words[key]}'.",
                        hint="Log a new model instead.",
                    )
            fresh = {key: value for key, value in words.items() if key not in there}
            if fresh and row.status == ModelStatus.READY:
                raise PermissionRefused(
                    f"The logged model {model} is ready, and its params stay as they are",
                    hint="Log a new model instead.",
                )
            _insert_words(connection, logged_model_params, model, fresh)

    def _now(self) -> int:
        return int(self._clock().timestamp() * 1000)


def models_of(connection: Connection, ids: Sequence[str]) -> list[LoggedModel]:
    """These models in this order, but for those that nobody has logged: four statements for any 500 of them."""
    rows: dict[str, Row[Any]] = {}
    params: dict[str, dict[str, str]] = {}
    tags: dict[str, dict[str, str]] = {}
    for begin in range(0, len(ids), _MODELS_AT_A_TIME):
        some = list(ids[begin : begin + _MODELS_AT_A_TIME])
        rows |= {row.id: row for row in connection.execute(_MODELS, {"models": some})}
        params |= _words_of(connection, logged_model_params, some)
        tags |= _words_of(connection, logged_model_tags, some)
    points = points_of(connection, rows)
    return [
        _model(rows[id_], params.get(id_, {}), tags.get(id_, {}), points.get(id_, ())) for id_ in ids if id_ in rows
    ]


def _model(
    row: Row[Any], params: Mapping[str, str], tags: Mapping[str, str], points: Sequence[ModelPoint]
) -> LoggedModel:
    return LoggedModel(
        id=row.id,
        experiment=row.experiment,
        name=row.name,
        place=row.place,
        type=row.type,
        status=ModelStatus(row.status),
        status_message=row.status_message,
        run=row.run,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        deleted_ms=row.deleted_ms,
        params=params,
        tags=tags,
        points=points,
    )


def _locked(connection: Connection, model: str) -> Row[Any]:
    row = connection.execute(_LOCKED, {"model": model}).one_or_none()
    if row is None:
        raise no_model(model)
    return row


def _words_of(connection: Connection, table: Any, models: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    asked = select(table.c.model, table.c.key, table.c.value).where(table.c.model.in_(models))
    for row in connection.execute(asked.order_by(table.c.model, table.c.key)):
        found.setdefault(row.model, {})[row.key] = row.value
    return found


def _insert_words(connection: Connection, table: Any, model: str, words: Mapping[str, str]) -> None:
    if words:
        rows = [{"model": model, "key": key, "value": value} for key, value in words.items()]
        connection.execute(insert(table), rows)


def _check_name(name: str) -> None:
    if any(character in name for character in _BAD_CHARACTERS):
        raise UsageError(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string "
            f"and cannot contain the following characters: {_BAD_CHARACTERS}",
            hint="Give another name.",
        )
    check_length("name", name, _NAME_CHARACTERS_MAX)


def _words(kind: str, given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and values that fit; of two values of one name the last, as the tables would keep it."""
    words = dict(given)
    if len(words) > _WORDS_MAX:
        raise UsageError(f"A request can contain at most {_WORDS_MAX} {kind}. Got {len(words)}.", hint="Send parts.")
    for key, value in words.items():
        check_length("key", key, _KEY_CHARACTERS_MAX)
        check_length("value", value, _VALUE_CHARACTERS_MAX)
    return words

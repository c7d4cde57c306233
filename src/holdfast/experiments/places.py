"""Where the files of a run, a logged model or a registered version are: the URI that clients are told, and its path.

    mlflow-artifacts:/3/<run>/…  ──►  3/<run>/…

A server opens no URI: one that leads elsewhere is the client's own affair.
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import bindparam, select

from holdfast.database.engine import Database
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.paths import bounds, folders_of, safe_path
from holdfast.experiments.tables import experiments, logged_models, registered_models, registered_versions
from holdfast.names import ModelName
from holdfast.tracking.tables import runs

__all__ = ["Place", "SqlPlaces", "once_served", "place_of_run", "served"]

SCHEME = "mlflow-artifacts"
"""Of what a server keeps itself; MLflow's clients find the server by themselves then."""

_RUN = (
    select(experiments.c.place, runs.c.id)
    .join(experiments, experiments.c.id == runs.c.experiment)
    .where(runs.c.id == bindparam("run"))
)

_LOGGED_MODEL = select(logged_models.c.place).where(
    logged_models.c.id == bindparam("model"), logged_models.c.deleted_ms.is_(None)
)

_VERSION = (
    select(registered_versions.c.path)
    .join(registered_models, registered_models.c.model == registered_versions.c.model)
    .where(registered_models.c.name == bindparam("name"), registered_versions.c.number == bindparam("number"))
    .where(registered_models.c.deleted_ms.is_(None), registered_versions.c.deleted_ms.is_(None))
)

_MODEL_OF_RUN = select(runs.c.model).where(runs.c.id.in_(bindparam("runs", expanding=True)), runs.c.model.is_not(None))

_MODELS_OF_PATH = (
    select(registered_versions.c.model)
    .where(registered_versions.c.path.in_(bindparam("paths", expanding=True)))
    .distinct()
)

_MODELS_BELOW = (
    select(registered_versions.c.model)
    .where(registered_versions.c.path > bindparam("low"), registered_versions.c.path < bindparam("high"))
    .distinct()
)


class Place(NamedTuple):
    """Where some files are.

    Attributes:
        uri: as clients are told.
        path: of their folder on this server; None where it is elsewhere.
    """

    uri: str
    path: str | None

    def folder(self, what: str) -> str:
        """The path.

        Raises:
            UsageError: the files are elsewhere.
        """
        if self.path is None:
            raise UsageError(
                f"The files of {what} are at {self.uri[:200]}, and this server opens no place but its own.",
                hint="Read them from there.",
            )
        return self.path


def served(uri: str) -> str | None:
    """The path of a URI on this server; None where it leads elsewhere.

    Raises:
        UsageError: `Invalid path`; also of a query or a fragment, behind which the end of a path would be lost, so that
            what is left of it would be somebody else's folder.
    """
    if ":" not in uri.partition("/")[0]:
        return safe_path(uri)
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise _invalid(uri) from error
    if parts.scheme != SCHEME:
        return None
    if "?" in uri or "#" in uri:
        raise _invalid(uri)
    return safe_path(parts.path.lstrip("/"))


def once_served(uri: str) -> str | None:
    """As `served`, of what was kept before such URIs were refused: None for them as well, for they lead nowhere."""
    try:
        return served(uri)
    except UsageError:
        return None


def place_of_run(experiment: str, run: str) -> Place:
    """Where the files of a run are.

    Args:
        experiment: the place of its experiment, below which they are.
        run: its id.

    Raises:
        UsageError: as `served`.
    """
    uri = f"{experiment.rstrip('/')}/{run}/artifacts"
    return Place(uri, served(uri))


def _invalid(uri: str) -> UsageError:
    return UsageError("Invalid path", hint="Write a URI, or a path with plain names.", path=uri[:200])


class SqlPlaces:
    """Where files are.

    Args:
        database: has runs, logged models and registered versions.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_run(self, run: str) -> Place:
        """Where the files of a run are.

        Raises:
            NotFound: there is no such run of an experiment.
        """
        with self._database.read() as connection:
            row = connection.execute(_RUN, {"run": run}).one_or_none()
        if row is None:
            raise NotFound(f"Run with id={run} not found", hint="Search the runs of its experiment.")
        return place_of_run(row.place, row.id)

    def of_logged_model(self, model: str) -> Place:
        """Where the files of a logged model are.

        Raises:
            NotFound: there is no such logged model.
        """
        with self._database.read() as connection:
            uri = connection.execute(_LOGGED_MODEL, {"model": model}).scalar_one_or_none()
        if uri is None:
            raise NotFound(f"Logged model with ID '{model}' not found.", hint="Search the models of its experiment.")
        return Place(uri, served(uri))

    def of_version(self, name: str, number: int) -> Place:
        """Where the files of a registered version are.

        Raises:
            NotFound: there is no such version.
        """
        with self._database.read() as connection:
            path = connection.execute(_VERSION, {"name": name, "number": number}).scalar_one_or_none()
        if path is None:
            raise NotFound(f"Model Version (name={name}, version={number}) not found", hint="List its versions.")
        return Place(path, served(path))

    def models_behind(self, path: str) -> list[ModelName]:
        """The models that a path concerns: that of its run, and those that were registered from it; by name."""
        if not path:
            return []
        with self._database.view() as connection:
            found = set(connection.scalars(_MODELS_OF_PATH, {"paths": folders_of(path)}))
            found |= set(connection.scalars(_MODEL_OF_RUN, {"runs": path.split("/")}))
        return [ModelName(str(one)) for one in sorted(found)]

    def models_below(self, path: str) -> list[ModelName]:
        """The models that were registered from folders inside of this one; by name."""
        low, high = bounds(path)
        with self._database.read() as connection:
            found = connection.scalars(_MODELS_BELOW, {"low": low, "high": high}).all()
        return [ModelName(str(one)) for one in sorted(found)]

"""What another MLflow moves into, and what leaves for one: a project, by its own database and store."""

from holdfast.bridges.from_mlflow.target import Target
from holdfast.bridges.to_mlflow import Leaving
from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.exporting import SqlExports
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.importing import SqlImports
from holdfast.experiments.names import SqlNames
from holdfast.experiments.places import SqlPlaces
from holdfast.experiments.pointing import SqlPointing
from holdfast.experiments.version_words import SqlVersionWords
from holdfast.service.line import Line
from holdfast.wire.project import Project, utc_now
from holdfast.wire.service import open_files

__all__ = ["open_leaving", "open_target"]


def open_target(project: Project) -> Target:
    """Where what another MLflow holds comes to.

    Raises:
        UsageError: another server keeps the project.
        NoSpace, PermissionRefused: the store cannot be written to.
    """
    database, files = _database(project), open_files(project)
    return Target(
        imports=SqlImports(database, utc_now),
        files=SqlFiles(database, files.store, files.undisturbed),
        names=SqlNames(database, utc_now),
        words=SqlVersionWords(database, utc_now),
        pointing=SqlPointing(database, utc_now),
        store=files.store,
        registry=project.registry,
        actor=project.actor,
    )


def open_leaving(project: Project) -> Leaving:
    """What leaves for an MLflow.

    Raises:
        UsageError: another server keeps the project.
    """
    database = _database(project)
    return Leaving(SqlExports(database), SqlFiles(database, project.store), SqlPlaces(database), project.store)


def _database(project: Project) -> Database:
    if isinstance(project.names, Line):
        raise UsageError(
            "HOLDFAST_URL names a server, which keeps the names and the bytes",
            hint="Run this where the server runs, with HOLDFAST_URL unset.",
        )
    return project.names.database()

"""What a server keeps for MLflow's clients, on the database and the store of its project."""

from dataclasses import dataclass

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.inputs import SqlInputs
from holdfast.experiments.logged import SqlLoggedModels
from holdfast.service.line import Line
from holdfast.store.interface import Store
from holdfast.wire.project import Project, new_id, utc_now

__all__ = ["Shelf", "open_shelf"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Experiments and all that belongs to them.

    Attributes:
        database: where they are.
        store: where the bytes of their files are.
        logged: logged models.
        inputs: what runs read and made.
    """

    database: Database
    store: Store
    logged: SqlLoggedModels
    inputs: SqlInputs


def open_shelf(project: Project, store: Store) -> Shelf:
    """What a server keeps for MLflow's clients.

    Args:
        project: of the server.
        store: as the server gives it to others.

    Raises:
        UsageError: another server keeps the project.
    """
    if isinstance(project.names, Line):
        raise UsageError("HOLDFAST_URL names a server, and a server gives away what is its own", hint="Unset it here.")
    database = project.names.database()
    return Shelf(
        database,
        store,
        logged=SqlLoggedModels(database, utc_now, new_id),
        inputs=SqlInputs(database, new_id),
    )

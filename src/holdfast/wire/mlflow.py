"""What a server keeps for MLflow's clients, on the database and the store of its project."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.places import SqlPlaces
from holdfast.service.line import Line
from holdfast.store.interface import Store
from holdfast.wire.project import Project

__all__ = ["Shelf", "open_shelf"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Experiments and all that belongs to them.

    Attributes:
        database: where they are.
        store: where the bytes of their files are.
        undisturbed: nothing is deleted from the store while this lasts.
    """

    database: Database
    store: Store
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def files(self) -> SqlFiles:
        """Files of runs and logged models."""
        return SqlFiles(self.database, self.store, self.undisturbed)

    @property
    def places(self) -> SqlPlaces:
        """Where the files of runs, logged models and versions are."""
        return SqlPlaces(self.database)


def open_shelf(
    project: Project, store: Store, undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Shelf:
    """What a server keeps for MLflow's clients.

    Args:
        project: of the server.
        store: as the server gives it to others.
        undisturbed: nothing is deleted from it while this lasts.

    Raises:
        UsageError: another server keeps the project.
    """
    if isinstance(project.names, Line):
        raise UsageError("HOLDFAST_URL names a server, and a server gives away what is its own", hint="Unset it here.")
    return Shelf(project.names.database(), store, undisturbed)

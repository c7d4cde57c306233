"""Where what another MLflow holds comes to, and the report of what came."""

from dataclasses import dataclass

from holdfast.bridges.from_mlflow.records import NotBrought
from holdfast.canonical import JsonObject
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.importing import SqlImports
from holdfast.experiments.names import SqlNames
from holdfast.experiments.pointing import SqlPointing
from holdfast.experiments.version_words import SqlVersionWords
from holdfast.registry.interface import Registry
from holdfast.store.interface import Store

__all__ = ["Moved", "MovedVersion", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A project that another MLflow moves into.

    Attributes:
        imports: takes in experiments, runs and logged models.
        files: takes in their files.
        names, words, pointing: registered models, what is said of versions, and what points to them.
        store, registry: of the project.
        actor: who moves it.
    """

    imports: SqlImports
    files: SqlFiles
    names: SqlNames
    words: SqlVersionWords
    pointing: SqlPointing
    store: Store
    registry: Registry
    actor: str


@dataclass(frozen=True, slots=True)
class MovedVersion:
    """A version that came: its model there and here, its number, and what it lacks."""

    name: str
    model: str
    number: int
    complete: bool
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What came, and what stayed behind.

    Attributes:
        experiments: how many were looked at.
        runs, logged_models, models: how many came.
        there: runs and logged models that were here already.
        points: values of metrics.
        files, bytes: of runs and logged models.
        versions: all that are here now.
        left: what stayed behind, and why.
    """

    experiments: int = 0
    runs: int = 0
    logged_models: int = 0
    models: int = 0
    there: int = 0
    points: int = 0
    files: int = 0
    bytes: int = 0
    versions: tuple[MovedVersion, ...] = ()
    left: tuple[NotBrought, ...] = ()

    def to_json(self) -> JsonObject:
        """What `import mlflow` prints."""
        return {
            "experiments": self.experiments,
            "runs": self.runs,
            "logged_models": self.logged_models,
            "models": self.models,
            "there": self.there,
            "points": self.points,
            "files": self.files,
            "bytes": self.bytes,
            "versions": [
                {
                    "name": one.name,
                    "model": one.model,
                    "version": one.number,
                    "complete": one.complete,
                    "missing": list(one.missing),
                }
                for one in self.versions
            ],
            "left": [{"what": one.what, "why": one.why} for one in self.left],
        }

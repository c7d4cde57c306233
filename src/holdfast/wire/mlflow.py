"""What a server keeps for MLflow's clients, on the database and the store of its project."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from threading import BoundedSemaphore

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.inputs import SqlInputs
from holdfast.experiments.logged import SqlLoggedModels
from holdfast.experiments.metrics import SqlMetrics
from holdfast.experiments.name_search import SqlNameSearch
from holdfast.experiments.names import SqlNames
from holdfast.experiments.naming import meant_by
from holdfast.experiments.places import SqlPlaces
from holdfast.experiments.pointing import SqlPointing
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.traces import SqlTraces
from holdfast.experiments.uploads import SqlUploads
from holdfast.experiments.version_words import SqlVersionWords
from holdfast.flow.gate import Policy, Workbench
from holdfast.service.line import Line
from holdfast.store.interface import Store
from holdfast.webhooks.mlflow import HookOffice
from holdfast.wire.project import Project, new_id, utc_now
from holdfast.wire.webhooks import open_hooks

__all__ = ["Registered", "Shelf", "open_shelf"]


_JUDGING_MAX = 2
"""Gates at once in one process: each has a worker that reads a whole bundle, and holds a thread for as long."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Registered models, as MLflow's clients know them.

    Attributes:
        names: of models.
        words: what is said of versions.
        pointing: aliases and stages.
        found: searches.
        policy: what the project's stages ask.
        bench: where a gate judges, which opens bundles in processes of their own; None: nowhere.
        judging: lets in as many as may judge at once.
    """

    names: SqlNames
    words: SqlVersionWords
    pointing: SqlPointing
    found: SqlNameSearch
    policy: Policy
    bench: Workbench | None
    judging: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(_JUDGING_MAX))

    @classmethod
    def of(cls, database: Database, policy: Policy, bench: Workbench | None = None) -> "Registered":
        """All of it on one database.

        Args:
            database: at the schema of this Holdfast.
            policy: with the aliases that mean stages, in `[mlflow]`.
            bench: where a gate judges.

        Raises:
            UsageError: `[mlflow]` is not valid.
        """
        meant = meant_by(policy.document.get("mlflow", {}), f"{policy.where} [mlflow]")
        return cls(
            names=SqlNames(database, utc_now, meant, policy.stages),
            words=SqlVersionWords(database, utc_now, meant),
            pointing=SqlPointing(database, utc_now, meant),
            found=SqlNameSearch(database, meant),
            policy=policy,
            bench=bench,
        )


@dataclass(frozen=True, slots=True)
class Shelf:
    """Experiments and all that belongs to them.

    Attributes:
        database: where they are.
        store: where the bytes of their files are.
        experiments: what runs are grouped by.
        runs: of experiments.
        metrics: the histories of what runs measured.
        files: files of runs and logged models.
        uploads: files that come in parts.
        places: where the files of runs, logged models and versions are.
        logged: logged models.
        inputs: what runs read and made.
        registered: registered models and their versions.
        traces: of calls of applications.
        hooks: webhooks of MLflow's clients; None where there are none.
        public_url: where clients reach the server; None: where their requests say that they do.
    """

    database: Database
    store: Store
    experiments: SqlExperiments
    runs: SqlRuns
    metrics: SqlMetrics
    files: SqlFiles
    uploads: SqlUploads
    places: SqlPlaces
    logged: SqlLoggedModels
    inputs: SqlInputs
    registered: Registered
    traces: SqlTraces
    hooks: HookOffice | None = None
    public_url: str | None = None

    @classmethod
    def of(
        cls,
        database: Database,
        store: Store,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
        registered: Registered | None = None,
    ) -> "Shelf":
        """All of it on one database and one store.

        Args:
            database: at the schema of this Holdfast.
            store: as a server gives it to others.
            undisturbed: nothing is deleted from the store while this lasts.
            registered: registered models; without a policy by default.
        """
        experiments = SqlExperiments(database, utc_now)
        files = SqlFiles(database, store, undisturbed)
        return cls(
            database,
            store,
            experiments=experiments,
            runs=SqlRuns(database, utc_now, new_id, experiments.require_default),
            metrics=SqlMetrics(database),
            files=files,
            uploads=SqlUploads(database, store, files, undisturbed),
            places=SqlPlaces(database),
            logged=SqlLoggedModels(database, utc_now, new_id, experiments.require_default),
            inputs=SqlInputs(database, new_id),
            registered=registered or Registered.of(database, Policy()),
            traces=SqlTraces(database, experiments.require_default),
        )


def open_shelf(
    project: Project, store: Store, undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Shelf:
    """What a server keeps for MLflow's clients.

    Args:
        project: of the server.
        store: as the server gives it to others.
        undisturbed: nothing is deleted from the store while this lasts.

    Raises:
        UsageError: another server keeps the project.
    """
    if isinstance(project.names, Line):
        raise UsageError("HOLDFAST_URL names a server, and a server gives away what is its own", hint="Unset it here.")
    database = project.names.database()
    registered = Registered.of(database, project.policy, project.workbench)
    shelf = Shelf.of(database, store, undisturbed, registered)
    return replace(shelf, hooks=open_hooks(project), public_url=project.settings.public_url)

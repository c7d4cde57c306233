"""What a rehearsal is held with: the project's store and registry to read, and a folder in which everything else is."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from holdfast.database.engine import Database
from holdfast.flow.gate import Workbench
from holdfast.registry.interface import Registry
from holdfast.registry.sql import SqlRegistry
from holdfast.serving.opening import opener
from holdfast.serving.rehearsal import Scene
from holdfast.serving.switch import Hosting
from holdfast.store.disk import refusing
from holdfast.store.scratch import scratch, sweep
from holdfast.wire.project import Project, new_id, utc_now
from holdfast.wire.workers import environments
from holdfast.wire.workers import opener as workers

__all__ = ["open_scene"]

_PREFIX = "rehearsal-"


@contextmanager
def open_scene(project: Project, hosting: Hosting, told: Callable[[str], None]) -> Iterator[Scene]:
    """Inside, a rehearsal can be held; what an earlier one left that was killed is swept first.

    Raises:
        NoSpace, PermissionRefused: the project's scratch folder cannot be written.
    """
    settings = project.settings
    with refusing(settings.scratch):
        settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(settings.scratch, _PREFIX)
    with scratch(settings.scratch, _PREFIX) as mine:
        cache, kept = mine.path / "cache", environments(settings, project.store)
        # What was built before is not used: a new machine has none of it.
        anew = replace(kept, cache=cache)
        yield Scene(
            registry=project.registry,
            bench=Workbench(project.store, cache, workers(anew)),
            fresh=opener(project.store, cache, project.registry, anew),
            ready=opener(project.store, settings.cache, project.registry, kept),
            names=_names,
            hosting=hosting,
            scratch=mine.path,
            clock=utc_now,
            new_id=new_id,
            told=told,
        )


@contextmanager
def _names(path: Path) -> Iterator[Registry]:
    """A registry in a file of its own, which knows nothing yet."""
    with refusing(path):
        path.mkdir()
    with closing(Database.open(f"sqlite:///{path / 'registry.db'}")) as database:
        yield SqlRegistry(database, utc_now, new_id)

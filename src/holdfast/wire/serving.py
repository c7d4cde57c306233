"""A replica, put together from a project: what answers in `holdfast serve`, in each process of it and elsewhere."""

from collections.abc import Collection, Sequence
from pathlib import Path

from holdfast.config import Settings
from holdfast.digest import Digest
from holdfast.errors import Unavailable
from holdfast.names import ModelName, StageName
from holdfast.registry import Registry
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import SERVED
from holdfast.service.line import Line
from holdfast.serving.book import RegistryBook
from holdfast.serving.engine import LOCAL, Engine
from holdfast.serving.exchange import Exchange
from holdfast.serving.observing import Observer
from holdfast.serving.opening import Opener, opener
from holdfast.serving.queueing import Batching
from holdfast.serving.remembered import Remembered
from holdfast.serving.replica import Place, Replica
from holdfast.serving.settings import ServeSettings
from holdfast.serving.shadow import Mirror
from holdfast.serving.source import RegistrySource
from holdfast.serving.tallying import Tallying
from holdfast.wire.ledger import recorder_of
from holdfast.wire.project import Project, new_id, open_project, utc_now
from holdfast.wire.watching import traced, watch_of
from holdfast.wire.workers import environments

__all__ = ["opener_on_node", "remembered", "replica_of", "serve_settings"]


def serve_settings(project: Project, model: ModelName) -> ServeSettings:
    """What `holdfast.toml` says of serving this model.

    Raises:
        UsageError: an unknown key, or a value that a key does not take.
    """
    return ServeSettings.of(project.policy.document, model, project.policy.where)


def remembered(project: Project, model: ModelName, stage: StageName) -> Remembered:
    """The stage as a replica follows it: as its registry tells it, or before that answers, as it was told last time."""
    source = RegistrySource(_registry_of(project), model, stage)
    return Remembered(source, project.settings.cache / "routes", model, stage)


def _registry_of(project: Project) -> Registry:
    """The registry of a replica, which may be away when it starts.

    Then nobody can say whether its log begins with what was seen of it; whoever opens the project next is told.
    """
    try:
        return project.registry
    except Unavailable:
        if isinstance(project.names, Line):
            return project.unwatched
        raise


def _opener(
    project: Project,
    registry: Registry,
    limits: Limits,
    signed_by: Collection[Digest],
    batching: Batching | None,
) -> Opener:
    settings = project.settings
    return opener(
        project.store,
        settings.cache,
        registry,
        environments(settings, project.store),
        limits=limits,
        signed_by=signed_by,
        batching=batching,
    )


def opener_on_node(folder: Path, limits: Limits, signed_by: Collection[Digest]) -> Opener:
    """The way to bundles on a node of a cluster: the project in this folder, as the environment there has it."""
    project = open_project(Settings.find(folder))
    return _opener(project, _registry_of(project), limits, signed_by, None)


def replica_of(
    project: Project,
    model: ModelName,
    stage: StageName,
    place: Place,
    *,
    limits: Limits = SERVED,
    signed_by: Collection[Digest] = (),
    observers: Sequence[Observer] = (),
    batching: Batching | None = None,
    exchange: Exchange | None = None,
    engine: Engine = LOCAL,
) -> Replica:
    """The replica that answers for a stage of this project; not started yet.

    Args:
        project: has the registry and the bytes.
        model: whose stage it is.
        stage: what it follows.
        place: where it answers, for its reports.
        limits: what the workers may use.
        signed_by: keys, one of which must have signed a version before it is opened; empty: none is asked for.
        observers: whoever is told of each answer, besides what counts a canary, mirrors a shadow, keeps the ledger and
            watches.
        batching: how requests are answered together; None: as the project's `[serve.batching]` says.
        exchange: how the processes of one port meet; None: there is one.
        engine: what runs the versions.
    """
    identity, said = new_id(), serve_settings(project, model)
    registry = _registry_of(project)
    fetch = _opener(project, registry, limits, signed_by, batching or said.batching.batching)
    tallying = Tallying(RegistryBook(registry, model))
    mirror = Mirror(registry, model, stage, fetch, replica=identity, actor=project.actor)
    recorder = recorder_of(project, registry, model, stage, identity)
    watch = watch_of(project, registry, model, stage, place, settings=said.watch, exchange=exchange)
    replica = Replica(
        remembered(project, model, stage),
        model=model,
        stage=stage,
        opener=fetch,
        place=place,
        clock=utc_now,
        new_id=lambda: identity,
        observers=(
            tallying,
            mirror,
            *([] if recorder is None else [recorder]),
            watch,
            *traced(said, model, stage),
            *observers,
        ),
        engine=engine,
    )
    tallying.follow(replica.beside, replica.id)
    watch.follow(replica)
    return replica

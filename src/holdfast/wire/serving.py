"""A replica, put together from a project: what answers in `holdfast serve`, in each process of it and elsewhere."""

from collections.abc import Collection, Sequence

from holdfast.digest import Digest
from holdfast.names import ModelName, StageName
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import SERVED
from holdfast.serving.book import RegistryBook
from holdfast.serving.observing import Observer
from holdfast.serving.opening import opener
from holdfast.serving.queueing import Batching
from holdfast.serving.replica import Place, Replica
from holdfast.serving.settings import ServeSettings
from holdfast.serving.shadow import Mirror
from holdfast.serving.source import RegistrySource
from holdfast.serving.tallying import Tallying
from holdfast.wire.project import Project, new_id, utc_now
from holdfast.wire.workers import environments

__all__ = ["replica_of", "serve_settings"]


def serve_settings(project: Project, model: ModelName) -> ServeSettings:
    """What `holdfast.toml` says of serving this model.

    Raises:
        UsageError: an unknown key, or a value that a key does not take.
    """
    return ServeSettings.of(project.policy.document, model, project.policy.where)


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
) -> Replica:
    """The replica that answers for a stage of this project; not started yet.

    Args:
        project: has the registry and the bytes.
        model: whose stage it is.
        stage: what it follows.
        place: where it answers, for its reports.
        limits: what the workers may use.
        signed_by: keys, one of which must have signed a version before it is opened; empty: none is asked for.
        observers: whoever is told of each answer, besides what counts a canary and mirrors a shadow.
        batching: how requests are answered together; None: as the project's `[serve.batching]` says.
    """
    settings = project.settings
    fetch = opener(
        project.store,
        settings.cache,
        project.registry,
        environments(settings, project.store),
        limits=limits,
        signed_by=signed_by,
        batching=batching or serve_settings(project, model).batching.batching,
    )
    tallying = Tallying(RegistryBook(project.registry, model))
    mirror = Mirror(project.registry, model, stage, fetch, replica=new_id(), actor=project.actor)
    replica = Replica(
        RegistrySource(project.registry, model, stage),
        model=model,
        stage=stage,
        opener=fetch,
        place=place,
        clock=utc_now,
        new_id=new_id,
        observers=(tallying, mirror, *observers),
    )
    tallying.follow(replica.beside, replica.id)
    return replica

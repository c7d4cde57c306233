"""A replica, put together from a project: what answers in `holdfast serve`, in each process of it and elsewhere."""

from collections.abc import Collection, Sequence

from holdfast.digest import Digest
from holdfast.names import ModelName, StageName
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import SERVED
from holdfast.serving.exchange import Exchange
from holdfast.serving.observing import Observer
from holdfast.serving.opening import opener
from holdfast.serving.replica import Place, Replica
from holdfast.serving.source import RegistrySource
from holdfast.wire.project import Project, new_id, utc_now
from holdfast.wire.watching import serve_settings, traced, watch_of
from holdfast.wire.workers import environments

__all__ = ["replica_of"]


def replica_of(
    project: Project,
    model: ModelName,
    stage: StageName,
    place: Place,
    *,
    limits: Limits = SERVED,
    signed_by: Collection[Digest] = (),
    observers: Sequence[Observer] = (),
    exchange: Exchange | None = None,
) -> Replica:
    """The replica that answers for a stage of this project; not started yet.

    Args:
        project: has the registry and the bytes.
        model: whose stage it is.
        stage: what it follows.
        place: where it answers, for its reports.
        limits: what the workers may use.
        signed_by: keys, one of which must have signed a version before it is opened; empty: none is asked for.
        observers: whoever is told of each answer, besides those that the project's settings ask for.
        exchange: how the processes of one port meet; None: there is one.
    """
    settings, said = project.settings, serve_settings(project, model)
    watch = watch_of(project, model, stage, place, settings=said.watch, exchange=exchange)
    replica = Replica(
        RegistrySource(project.registry, model, stage),
        model=model,
        stage=stage,
        opener=opener(
            project.store,
            settings.cache,
            project.registry,
            environments(settings, project.store),
            limits=limits,
            signed_by=signed_by,
        ),
        place=place,
        clock=utc_now,
        new_id=new_id,
        observers=(watch, *traced(said, model, stage), *observers),
    )
    watch.follow(replica)
    return replica

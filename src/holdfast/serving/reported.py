"""What is truly answering: the word of every replica of a model, held against where its stages stand."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.canonical import JsonObject
from holdfast.names import ModelName
from holdfast.registry import Registry, Replica, ReplicaState, Stage
from holdfast.serving.confirm import ALIVE_SECONDS

__all__ = ["HEARD_SECONDS", "Reported", "reports_of"]

HEARD_SECONDS = 300.0
"""A replica that fell silent within the last five minutes is of interest to whoever looks for what went wrong; one that
is gone for longer was ended."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One replica's word.

    Attributes:
        replica: what it said last.
        silent_seconds: how long ago that was.
        in_step: it answers with what holds the stage, and was heard of within `ALIVE_SECONDS`.
        how: what a person has to know of it, in a few words.
    """

    replica: Replica
    silent_seconds: float
    in_step: bool
    how: str

    @classmethod
    def of(cls, replica: Replica, stage: Stage, silent_seconds: float, *, heard: bool) -> "Reported":
        """Holds a replica's word against the stage."""
        serves = replica.digest is not None and replica.digest == stage.digest and replica.epoch == stage.epoch
        if not heard:
            how = "silent: gone, or cut off from the registry"
        elif replica.state is ReplicaState.FAILED:
            how = f"failed: {replica.error}"
        elif serves and replica.state is ReplicaState.READY:
            how = "in step" if replica.error is None else replica.error
        else:
            how = f"behind: {replica.error or replica.state}"
        return cls(replica, silent_seconds, heard and serves and replica.state is ReplicaState.READY, how)

    def to_json(self) -> JsonObject:
        """One entry of `live --replicas`."""
        return {
            **self.replica.to_json(),
            "silent_seconds": round(self.silent_seconds, 3),
            "in_step": self.in_step,
            "how": self.how,
        }


def reports_of(registry: Registry, model: ModelName, now: datetime) -> tuple[Reported, ...]:
    """The word of every replica of the model that has spoken lately and not stopped, by stage and start.

    Whether one was heard of within `ALIVE_SECONDS` is the registry's word; `now` only tells a person for how long one
    has been silent, and may come from another clock.
    """
    found = []
    for stage in registry.stages(model):
        recent = registry.live_replicas(model, stage.name, timedelta(seconds=ALIVE_SECONDS))
        heard = {one.id for one in recent}
        for one in registry.live_replicas(model, stage.name, timedelta(seconds=HEARD_SECONDS)):
            silent = max((now - one.reported_at).total_seconds(), 0.0)
            found.append(Reported.of(one, stage, silent, heard=one.id in heard))
    return tuple(found)

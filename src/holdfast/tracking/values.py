"""The values of tracking. All frozen: a run read twice while it lives is two values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from holdfast.canonical import Json, JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.names import ModelName

__all__ = ["NewRun", "Point", "Run", "RunInput", "RunStatus"]


class RunStatus(StrEnum):
    """Whether a run lives, and how it ended; `scheduled` is said by MLflow's clients alone."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run about to start.

    Attributes:
        name: for people; need not be unique.
        model: the model that it trains, when that is known.
        params: its first params.
        tags: its first tags.
        notes: free text.
    """

    name: str = ""
    model: ModelName | None = None
    params: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""


@dataclass(frozen=True, slots=True)
class RunInput:
    """Data that a run read.

    Attributes:
        role: what it was for: `train`, `holdout` …
        name: its name within the role.
        digest: of the frozen data; None when it was seen and not frozen.
        source: where it came from, in words or as a path.
        files: how many files it has.
        bytes: how many bytes.
    """

    role: str
    name: str
    digest: Digest | None = None
    source: str = ""
    files: int | None = None
    bytes: int | None = None

    def to_json(self) -> JsonObject:
        """One entry of `inputs`."""
        return {
            "role": self.role,
            "name": self.name,
            "digest": None if self.digest is None else str(self.digest),
            "source": self.source,
            "files": self.files,
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric; not a number and the infinities are values too.

    Attributes:
        name: of the metric.
        value: as it was computed.
        step: of the training, such as the epoch; 0 when there are none.
        time: when it was logged; None: now.
    """

    name: str
    value: float
    step: int = 0
    time: datetime | None = None

    def to_json(self) -> JsonObject:
        """The point; a value that is not finite is written as a string, since JSON has no number for it."""
        return {
            "name": self.name,
            "value": _number(self.value),
            "step": self.step,
            "time": None if self.time is None else to_text(self.time),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of training code, as it stood when it was read.

    Attributes:
        id: its name for machines.
        model: the model that it trains, when that is known.
        name: for people.
        status: running, or how it ended.
        started_at: when it began.
        finished_at: when it ended; None while it lives.
        actor: who started it.
        params: what it was given, by name.
        metrics: the last value of each metric: that of the highest step, and of the last time at that step.
        tags: what people and tools wrote on it.
        inputs: the data that it read.
        notes: free text.
        experiment: the name of the one that MLflow's clients put it into; None for any other run.
    """

    id: str
    model: ModelName | None
    name: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    actor: str
    params: Mapping[str, Json] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[RunInput, ...] = ()
    notes: str = ""
    experiment: str | None = None

    def to_json(self) -> JsonObject:
        """The run; a metric that is not finite is written as a string."""
        return {
            "id": self.id,
            "model": None if self.model is None else str(self.model),
            "name": self.name,
            "status": str(self.status),
            "started_at": to_text(self.started_at),
            "finished_at": None if self.finished_at is None else to_text(self.finished_at),
            "actor": self.actor,
            "params": dict(self.params),
            "metrics": {name: _number(value) for name, value in self.metrics.items()},
            "tags": dict(self.tags),
            "inputs": [found.to_json() for found in self.inputs],
            "notes": self.notes,
            "experiment": self.experiment,
        }


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")

"""What every source of an MLflow gives. Moments are milliseconds since 1970, as MLflow keeps them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = [
    "DatasetRecord",
    "ExperimentRecord",
    "File",
    "LoggedModelRecord",
    "ModelPointRecord",
    "ModelRecord",
    "NotBrought",
    "PointRecord",
    "RunRecord",
    "Source",
    "VersionRecord",
]


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """An experiment; `place` is where the files of its runs are said to be."""

    id: str
    name: str
    place: str
    created_ms: int
    updated_ms: int
    deleted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """Data that a run said it read: a pointer, of which MLflow keeps no bytes."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run without its metrics. `models` are (`input` or `output`, id of a logged model, step)."""

    id: str
    name: str
    status: str
    began_ms: int | None
    ended_ms: int | None
    user: str
    place: str
    deleted: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[DatasetRecord, ...] = ()
    models: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PointRecord:
    """One value of one metric."""

    key: str
    step: int
    time_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class ModelPointRecord:
    """One value of one metric of a logged model; without a dataset, name and digest are empty."""

    run: str
    point: PointRecord
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True, slots=True)
class LoggedModelRecord:
    """A logged model; its status is `PENDING`, `READY` or `UPLOAD_FAILED`."""

    id: str
    name: str
    place: str
    type: str
    status: str
    run: str | None
    created_ms: int
    updated_ms: int
    deleted: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: tuple[ModelPointRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model."""

    name: str
    description: str | None
    created_ms: int
    updated_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version of a registered model; `place` is where its files are said to be."""

    model: str
    number: int
    place: str
    source: str
    stage: str
    created_ms: int
    updated_ms: int
    run: str | None = None
    logged_model: str | None = None
    run_link: str | None = None
    description: str | None = None
    user: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """One file below a place; `pieces` opens it, may be called once, and raises as `Source.files`."""

    path: str
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class NotBrought:
    """Something that stays behind, and why."""

    what: str
    why: str


class Source(Protocol):
    """An MLflow that is read. What it gives stands in a fixed order, so that an interrupted reading can go on.

    Each may raise `IntegrityError` where what is there cannot be read, `Unavailable` and `PermissionRefused`.
    """

    def experiments(self) -> Iterator[ExperimentRecord]:
        """All of them, deleted ones too."""

    def runs(self, experiment: str) -> Iterator[RunRecord]:
        """The runs of an experiment, deleted ones too, oldest first."""

    def points(self, run: str) -> Iterator[PointRecord]:
        """Every point of every metric of a run."""

    def logged_models(self, experiment: str) -> Iterator[LoggedModelRecord]:
        """The logged models of an experiment."""

    def models(self) -> Iterator[ModelRecord]:
        """The registered models, by name."""

    def versions(self, model: str) -> Iterator[VersionRecord]:
        """The versions of a model that have not been deleted, by number."""

    def files(self, place: str) -> Iterator[File]:
        """The files below a place, by path.

        Raises:
            NotFound: the place is nowhere that can be read from here; the message says why.
            PermissionRefused: it may not be read; that says nothing of other places.
        """

    def may_come(self, place: str) -> bool:
        """Whether files of a place that stayed behind can be had another time, when more folders may be read."""

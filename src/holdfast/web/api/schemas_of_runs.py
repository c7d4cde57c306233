"""What travels of runs, as the OpenAPI document describes it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.web.api.schemas import Asked, DigestText, Moment, Said

Value = float | Literal["NaN", "Infinity", "-Infinity"]
"""A number; JSON has none for what is not finite."""

Step = Annotated[int, Field(ge=-(2**53 - 1), le=2**53 - 1)]


Size = Annotated[int, Field(ge=0, le=2**63 - 1)]


class NewRun(Asked):
    """A run about to start."""

    name: str = ""
    model: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    notes: str = ""


class Params(Asked):
    """What a run was given, by name."""

    params: dict[str, Any]


class Tags(Asked):
    """What people and tools write on a run."""

    tags: dict[str, str]


class Point(Asked):
    """One value of one metric; without a time: now."""

    name: str
    value: Value
    step: Step = 0
    time: Moment | None = None


class Points(Asked):
    """Points of any metrics."""

    points: list[Point]


class SaidPoints(Said):
    """Every point of a metric."""

    points: list[Point]


class Input(Asked):
    """Data that a run read."""

    role: str
    name: str
    digest: DigestText | None = None
    source: str = ""
    files: Size | None = None
    bytes: Size | None = None


class Inputs(Asked):
    """Data that a run read."""

    inputs: list[Input]


class End(Asked):
    """How a run ended."""

    status: Literal["finished", "failed", "killed"]
    notes: str | None = None


class Run(Said):
    """One execution of training code, as it stands."""

    id: str
    model: str | None
    name: str
    status: str
    started_at: Moment
    finished_at: Moment | None
    actor: str
    params: dict[str, Any]
    metrics: dict[str, Value]
    tags: dict[str, str]
    inputs: list[Input]
    notes: str
    experiment: str | None


class Runs(Said):
    """Runs, in the order that was asked for."""

    runs: list[Run]


class RunDigest(Said):
    """A digest that a run names."""

    run: str
    digest: DigestText


class Digests(Said):
    """Every digest that a run names."""

    digests: list[RunDigest]

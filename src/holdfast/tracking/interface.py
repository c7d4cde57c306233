"""What tracking promises. `sql.py` keeps it, and one contract suite holds whatever keeps it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from holdfast.canonical import Json
from holdfast.digest import Digest
from holdfast.tracking.values import NewRun, Point, Run, RunInput, RunStatus

__all__ = ["POINTS_MAX", "RUNS_MAX", "Tracking"]

POINTS_MAX = 100_000
"""Points in one batch: about a second of the single writer's time, which everybody else waits for."""

RUNS_MAX = 10_000
"""Runs in one answer of a search: tens of megabytes; more is asked for with a narrower filter."""


class Tracking(Protocol):
    """Runs and what they log.

    Every operation is all or nothing, and durable when it returns. Each may raise `Unavailable`, `NoSpace`,
    `IntegrityError` or `PermissionRefused`. Each that changes a run raises `NotFound` when there is no such run,
    `UsageError` when it has ended, and `TooLarge` past a limit.

    Whoever got no answer may ask again. `start_run` knows the same request by its `key`, where it has one: the same key
    again with the same request gives the run as it stands, and with another request it is a `UsageError`. Whatever else
    changes a run is the same twice as once.
    """

    def start_run(self, new: NewRun, actor: str, *, key: str | None = None) -> Run:
        """Begins a run, with its first params and tags."""

    def log_params(self, run: str, params: Mapping[str, Json]) -> None:
        """Adds params; the same value again changes nothing.

        Raises:
            AlreadyExists: a param has another value; the details give `key`, `there` and `given`.
        """

    def log_metrics(
        self, run: str, values: Mapping[str, float], *, step: int = 0, time: datetime | None = None
    ) -> None:
        """Adds one point to each of these metrics."""

    def log_points(self, run: str, points: Iterable[Point]) -> None:
        """Adds up to `POINTS_MAX` points, of any metrics, steps and times, all together or not at all.

        A point is its metric, step, time and value: the same again changes nothing. One without a time has that of the
        call.
        """

    def history(self, run: str, metric: str) -> tuple[Point, ...]:
        """Every point of a metric by step, and within a step as they were logged; empty for an unknown metric."""

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Sets tags; a tag that is there gets the new value."""

    def log_inputs(self, run: str, inputs: Iterable[RunInput]) -> None:
        """Adds inputs; the same again changes nothing.

        Raises:
            AlreadyExists: other data under the same role and name.
        """

    def finish_run(self, run: str, status: RunStatus, *, notes: str | None = None) -> Run:
        """Ends a run for good; from now on the database refuses every change of it. The same end again changes nothing.

        Raises:
            UsageError: the status is `running`, or the run has ended in another way.
        """

    def run(self, run: str) -> Run:
        """The run as it stands."""

    def search(self, filter: str = "", *, order_by: str = "", limit: int = 100) -> tuple[Run, ...]:  # noqa: A002
        """The runs that fit the filter; `holdfast.tracking.grammar` says how one is written.

        Args:
            filter: such as `metrics.accuracy > 0.9 and params.lr = 0.1`; empty: every run.
            order_by: such as `metrics.accuracy desc, name`; runs without the value come last; newest first when empty,
                and among equals.
            limit: 1 to `RUNS_MAX`.

        Raises:
            UsageError: the filter, the order or the limit cannot be read; the details give the `place`.
        """

    def digests(self) -> tuple[tuple[str, Digest], ...]:
        """Every digest that a run names, with the run: of its inputs, and in the tags that Holdfast sets; sorted.

        Not all of them need be in a store: a file that was only opened is named by its digest too.
        """

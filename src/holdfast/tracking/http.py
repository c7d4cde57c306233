"""Runs behind a Holdfast server: the same promises, asked for over HTTP."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice

from holdfast.canonical import Json, JsonObject, Reader, plain
from holdfast.digest import Digest
from holdfast.service.line import Line, quoted
from holdfast.tracking import documents, limits
from holdfast.tracking.interface import POINTS_MAX
from holdfast.tracking.values import NewRun, Point, Run, RunInput, RunStatus

__all__ = ["HttpTracking"]


class HttpTracking:
    """A `Tracking` that a server keeps.

    Args:
        line: to the server.
        clock: gives the moment, in UTC: the time of points without one.
        new_id: gives an id that nobody has had, for idempotency keys.
    """

    def __init__(self, line: Line, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._line = line
        self._clock = clock
        self._new_id = new_id

    def start_run(self, new: NewRun, actor: str, *, key: str | None = None) -> Run:
        """See `Tracking.start_run`."""
        said = self._line.send("POST", "/runs", documents.asked_run(new), actor=actor, key=key or self._new_id())
        return documents.run(Reader(said, "run"))

    def log_params(self, run: str, params: Mapping[str, Json]) -> None:
        """See `Tracking.log_params`."""
        self._add(run, "params", {"params": plain(params)})

    def log_metrics(
        self, run: str, values: Mapping[str, float], *, step: int = 0, time: datetime | None = None
    ) -> None:
        """See `Tracking.log_metrics`."""
        self.log_points(run, (Point(name, value, step, time) for name, value in values.items()))

    def log_points(self, run: str, points: Iterable[Point]) -> None:
        """See `Tracking.log_points`."""
        given = list(islice(points, POINTS_MAX + 1))
        limits.check_count("points", len(given), POINTS_MAX)
        now = self._clock()  # told here, so that a point that is sent again is the same one
        said = [replace(one, value=limits.check_point(one), time=one.time or now).to_json() for one in given]
        self._add(run, "points", {"points": said})

    def history(self, run: str, metric: str) -> tuple[Point, ...]:
        """See `Tracking.history`."""
        found = Reader(self._line.get(f"{_run(run)}/metrics/{quoted(metric)}"), "history")
        return tuple(documents.point(Reader(one, "point")) for one in found.items("points"))

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """See `Tracking.set_tags`."""
        self._add(run, "tags", {"tags": {key: str(value) for key, value in tags.items()}})

    def log_inputs(self, run: str, inputs: Iterable[RunInput]) -> None:
        """See `Tracking.log_inputs`."""
        given = list(islice(inputs, limits.KEYS_MAX + 1))
        limits.check_count("inputs", len(given), limits.KEYS_MAX)
        self._add(run, "inputs", {"inputs": [one.to_json() for one in given]})

    def finish_run(self, run: str, status: RunStatus, *, notes: str | None = None) -> Run:
        """See `Tracking.finish_run`."""
        body: JsonObject = {"status": str(status), "notes": notes}
        said = self._line.send("POST", f"{_run(run)}/finish", body, again=True)
        return documents.run(Reader(said, "run"))

    def run(self, run: str) -> Run:
        """See `Tracking.run`."""
        return documents.run(Reader(self._line.get(_run(run)), "run"))

    def search(self, filter: str = "", *, order_by: str = "", limit: int = 100) -> tuple[Run, ...]:  # noqa: A002
        """See `Tracking.search`."""
        found = Reader(self._line.get("/runs", filter=filter, order_by=order_by, limit=limit), "runs")
        return tuple(documents.run(Reader(one, "run")) for one in found.items("runs"))

    def digests(self) -> tuple[tuple[str, Digest], ...]:
        """See `Tracking.digests`."""
        found = Reader(self._line.get("/run-digests"), "digests")
        rows = (Reader(one, "digest") for one in found.items("digests"))
        return tuple((row.text("run"), Digest.parse(row.text("digest"))) for row in rows)

    def _add(self, run: str, what: str, body: JsonObject) -> None:
        self._line.send("POST", f"{_run(run)}/{what}", body, again=True)


def _run(run: str) -> str:
    return f"/runs/{quoted(run)}"

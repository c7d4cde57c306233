"""What a server counts of itself, as Prometheus reads it.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/

Labels are few and of few values: the template of a route and never its path, a code and never a sentence. Several
processes count in files of one folder, each under the number of its place: whoever takes the place of one that was
killed goes on with its counters, so that sums never fall and no file is left over.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from holdfast.registry.census import Census

__all__ = ["MEDIA_TYPE", "UNMATCHED", "Meters", "Shared"]

_written, MEDIA_TYPE = choose_encoder("")
"""The text format that every version of Prometheus reads."""

UNMATCHED = "unmatched"
"""The route of what is none: whoever asks for many paths makes one line."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""From a read of an index to the longest that a request may be held open."""

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Shared:
    """The folder in which several processes count.

    Args:
        folder: of this server alone, and empty when it starts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def join(self, place: int) -> "Meters":
        """Count in this process, in the place of one that counted there before."""
        os.environ[_FOLDER] = self._folder
        # What is under way is the dead one's; what it counted is not.
        mark_process_dead(place, self._folder)  # type: ignore[no-untyped-call]
        counting = values.MultiProcessValue(process_identifier=lambda: place)  # type: ignore[no-untyped-call]
        values.ValueClass = counting
        return Meters(self.collected)

    def collected(self) -> CollectorRegistry:
        """What all of them counted."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]
        return registry


class Meters:
    """The counters of one process.

    Args:
        collected: gives what all processes counted; None: this one is alone.
    """

    def __init__(self, collected: Callable[[], CollectorRegistry] | None = None) -> None:
        own = CollectorRegistry()
        self._collected = collected or (lambda: own)
        kind = ("route", "method", "status")
        self._requests = Counter("holdfast_requests", "Requests that were answered.", kind, registry=own)
        self._seconds = Histogram(
            "holdfast_request_seconds",
            "How long they took, without those that were held open on purpose.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=own,
        )
        # Finding a line by its labels costs more than counting on it; there are as many as routes and statuses.
        self._answered: dict[tuple[str, str, int], Counter] = {}
        self._took: dict[tuple[str, str], Histogram] = {}
        self._in_flight = Gauge(
            "holdfast_requests_in_flight", "Requests under way.", registry=own, multiprocess_mode="livesum"
        )
        self._moves = Counter("holdfast_moves", "Stages moved through this server.", ("action",), registry=own)
        self._refusals = Counter("holdfast_refusals", "Requests refused, by code.", ("code",), registry=own)
        self._failures = Counter(
            "holdfast_failures", "Requests that database, store or server failed, by code.", ("code",), registry=own
        )
        self._deliveries = Counter("holdfast_webhook_attempts", "Messages to webhooks.", ("outcome",), registry=own)

    def began(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def ended(self, route: str, method: str, status: int, seconds: float, *, held_open: bool) -> None:
        """A request was answered."""
        self._in_flight.dec()
        answered = self._answered.get((route, method, status))
        if answered is None:
            answered = self._answered[route, method, status] = self._requests.labels(route, method, str(status))
        answered.inc()
        if held_open:
            return
        took = self._took.get((route, method))
        if took is None:
            took = self._took[route, method] = self._seconds.labels(route, method)
        took.observe(seconds)

    def moved(self, action: str) -> None:
        """A stage moved."""
        self._moves.labels(action).inc()

    def refused(self, code: str, *, failed: bool) -> None:
        """A request was refused, or failed."""
        (self._failures if failed else self._refusals).labels(code).inc()

    def told(self, outcome: str) -> None:
        """A webhook was told of an event, or could not be."""
        self._deliveries.labels(outcome).inc()

    def text(self, census: Census | None) -> bytes:
        """All of it, with what was counted in the database; None: that did not answer."""
        counted = CollectorRegistry()
        counted.register(_Counted(census))
        return _written(self._collected()) + _written(counted)


class _Counted(Collector):
    def __init__(self, census: Census | None) -> None:
        self._census = census

    def collect(self) -> Iterator[GaugeMetricFamily]:
        census = self._census
        yield GaugeMetricFamily("holdfast_database_up", "The database answered just now.", float(census is not None))
        if census is None:
            return
        yield GaugeMetricFamily("holdfast_log_events", "Events in the log.", float(census.events))
        serving = GaugeMetricFamily(
            "holdfast_replicas",
            "Replicas that spoke within a minute, by what they serve.",
            labels=["model", "stage", "version", "state"],
        )
        for one in census.replicas:
            version = "" if one.version is None else str(one.version)
            serving.add_metric([one.model, one.stage, version, one.state], one.count)
        yield serving
        behind = GaugeMetricFamily(
            "holdfast_webhook_behind_events", "Events before a webhook, meant for it or not.", labels=["webhook"]
        )
        stopped = GaugeMetricFamily("holdfast_webhook_stopped", "The webhook waits for a person.", labels=["webhook"])
        for hook in census.webhooks:
            behind.add_metric([hook.webhook], hook.events)
            stopped.add_metric([hook.webhook], float(hook.state == "stopped"))
        yield behind
        yield stopped

"""What a replica shows of what it watches, for all processes of its port: `/metrics`, `/watch` and `/alerts`."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Protocol

from holdfast.canonical import JsonObject
from holdfast.registry import ReplicaState
from holdfast.serving.alerts import Alerts
from holdfast.serving.counters import Lines
from holdfast.serving.exchange import Exchange
from holdfast.serving.live import Live
from holdfast.serving.measures import Measure, Measured, Together
from holdfast.serving.meters import text
from holdfast.serving.monitor import Monitor, Over
from holdfast.serving.replica import Replica
from holdfast.serving.roles import Stay, roles_of
from holdfast.serving.windows import Slice

__all__ = ["MEASURED", "Shown", "Watched"]

Versions = dict[int, Over]

MEASURED = {
    "holdfast_serving_info": "Which versions are held, as what, and under which digest; always 1.",
    "holdfast_serving_route_epoch": "How often the stage had moved when the route that answers was made.",
    "holdfast_serving_registry_up": "The registry answered when it was asked last.",
    "holdfast_serving_not_opened": "The version that holds the stage could not be opened, and another one answers.",
    "holdfast_serving_in_flight": "Requests that have taken the version, and are not finished.",
    "holdfast_serving_waiting": "Requests that were handed to the version's process and not answered yet.",
    "holdfast_serving_worker_up": "The process that runs the version is there.",
    "holdfast_serving_worker_restarts": "How often it died and came back.",
    "holdfast_serving_open_seconds": "How long it took to have the bundle open, when it did so last.",
    "holdfast_serving_opened": "Versions that were opened, or could not be, by outcome.",
    "holdfast_serving_unseen": "Requests that were answered and not looked at, since too many waited to be.",
    "holdfast_serving_psi": "How far predictions, or the column that moved most, are from what is known: PSI.",
    "holdfast_serving_psi_by_chance": "What that stays below in 999 of 1,000 cases when nothing has moved.",
    "holdfast_serving_alert": "Alerts that fire; always 1.",
}
"""What is shown beside the requests, by name."""


class Watched(Protocol):
    """What is shown."""

    @property
    def lines(self) -> Lines:
        """What was counted since the start."""
        ...

    @property
    def monitor(self) -> Monitor:
        """What was done lately."""
        ...

    @property
    def alerts(self) -> Alerts:
        """What is wrong."""
        ...

    @property
    def unseen(self) -> int:
        """Requests that were not looked at."""
        ...

    @property
    def opened(self) -> Mapping[str, int]:
        """How often versions were opened, and how often one could not be."""
        ...


class Shown:
    """One look at a replica."""

    def __init__(self, watched: Watched, replica: Replica | None, exchange: Exchange | None) -> None:
        self._watched = watched
        self._replica = replica
        self._exchange = exchange
        self._roles = roles_of(None if replica is None else replica.route)
        self._model = "" if replica is None else str(replica.model)
        self._stage = "" if replica is None else str(replica.stage)

    def metrics(self) -> bytes:
        """Everything for Prometheus.

        Raises:
            MissingExtra: prometheus-client is not installed.
        """
        lines, measures = Lines(), list(self._measures())
        lines.add(self._watched.lines)
        for said, alive in self._others(time.time()):
            with suppress(KeyError, TypeError, ValueError):  # an earlier Holdfast's: it counts alone
                lines.add(Lines.from_json(said["lines"]))
                # Counters outlive who counted; what is under way does not.
                measures += [one for one in map(Measure.from_json, said["measures"]) if alive or one.counts]
        measures += self._shifts(self._over(time.monotonic(), time.time()))
        return text(self._model, lines, measures)

    def watch(self) -> JsonObject:
        """What each version did lately."""
        over = self._over(time.monotonic(), time.time())
        return {
            "model": self._model,
            "stage": self._stage,
            "epoch": None if self._replica is None or self._replica.route is None else self._replica.route.epoch,
            "replica": None if self._replica is None else self._replica.id,
            "registry": self._replica is None or self._replica.sees_registry,
            "versions": self._watched.monitor.told(over, self._roles),
            **self.alerted(),
        }

    def alerted(self) -> JsonObject:
        """What is wrong, and what was."""
        said = self._alerted()
        for other, alive in self._others(time.time()):
            for kind in ("alerts", "resolved"):
                if alive or kind == "resolved":
                    said[kind] += other.get(kind, [])
        return said

    def to_json(self, now: float, wall: float) -> JsonObject:
        """What this process tells the others of its port."""
        over = self._watched.monitor.over(now)
        return {
            "at": wall,
            "pid": os.getpid(),
            "lines": self._watched.lines.to_json(),
            "measures": [one.to_json() for one in self._measures()],
            "over": {
                str(version): {str(minutes): slice_.to_json() for minutes, slice_ in windows.items()}
                for version, windows in over.items()
            },
            "stays": {str(version): stay for version, stay in self._watched.monitor.stays().items()},
            **self._alerted(),
        }

    def _alerted(self) -> dict[str, Any]:
        alerts = self._watched.alerts
        return {
            "alerts": [alert.to_json() for alert in alerts.open],
            "resolved": [alert.to_json() for alert in alerts.over],
        }

    def _others(self, wall: float) -> Iterator[tuple[JsonObject, bool]]:
        if self._exchange is not None:
            yield from self._exchange.others(wall)

    def _over(self, now: float, wall: float) -> Versions:
        """What each version did, in all processes together that have it in the same role since the same move."""
        found = dict(self._watched.monitor.over(now))
        stays = self._watched.monitor.stays()
        for said, alive in self._others(wall):
            if not alive:
                continue
            with suppress(KeyError, TypeError, ValueError):
                for version, windows in said["over"].items():
                    stay = Stay(*said["stays"][version])
                    if stays.setdefault(int(version), stay) == stay:
                        mine = found.setdefault(int(version), {})
                        found[int(version)] = {**mine, **_added(mine, windows)}
        return found

    def _measures(self) -> Iterator[Measure]:
        yield from self._own()
        for observer in () if self._replica is None else self._replica.observers:
            if isinstance(observer, Measured):
                yield from observer.measures()

    def _own(self) -> Iterator[Measure]:
        yield self._measure("unseen", self._watched.unseen, counts=True)
        for outcome, count in self._watched.opened.items():
            yield self._measure("opened", count, {"outcome": outcome}, counts=True)
        for alert in self._watched.alerts.firing:
            version = "" if alert.version is None else str(alert.version)
            labels = {"version": version, "role": alert.role, "alert": alert.rule.name}
            yield self._measure("alert", 1, labels, Together.MOST)
        replica, of_stage = self._replica, {"stage": self._stage}
        if replica is None:
            return
        is_behind = replica.report().state is ReplicaState.FAILED
        yield self._measure("registry_up", replica.sees_registry, of_stage, Together.LEAST)
        yield self._measure("not_opened", is_behind, of_stage, Together.MOST)
        if (route := replica.route) is not None:
            yield self._measure("route_epoch", route.epoch, of_stage, Together.LEAST)
            for live in route.lives:
                yield from self._of(live)

    def _of(self, live: Live) -> Iterator[Measure]:
        names = {"version": str(live.number), "role": self._roles[int(live.number)]}
        yield self._measure("info", 1, {"stage": self._stage, **names, "digest": str(live.digest)}, Together.MOST)
        yield self._measure("in_flight", live.in_flight, names)
        yield self._measure("waiting", live.waiting, names)
        yield self._measure("worker_up", live.up, names, Together.LEAST)
        yield self._measure("worker_restarts", live.restarts, names, counts=True)
        yield self._measure("open_seconds", live.open_seconds, names, Together.MOST)

    def _shifts(self, over: Mapping[int, Over]) -> Iterable[Measure]:
        """Of the columns only the one that moved most: its name is for `/watch`, and no label."""
        told: set[tuple[int, int, str]] = set()
        for version, minutes, column, moved in self._watched.monitor.shifts(over):
            of = "inputs" if column else "predictions"
            if (version, minutes, of) in told or version not in self._roles:
                continue
            told.add((version, minutes, of))
            names = {"version": str(version), "role": self._roles[version], "of": of, "window_minutes": str(minutes)}
            yield self._measure("psi", moved.psi, names, Together.MOST)
            yield self._measure("psi_by_chance", moved.by_chance, names, Together.MOST)

    def _measure(
        self,
        name: str,
        value: float,
        labels: Mapping[str, str] = MappingProxyType({}),
        together: Together = Together.SUM,
        *,
        counts: bool = False,
    ) -> Measure:
        full = f"holdfast_serving_{name}"
        named = (("model", self._model), *labels.items())
        return Measure(full, MEASURED[full], named, float(value), counts, together)


def _added(mine: Over, written: Mapping[str, Any]) -> dict[int, Slice]:
    found: dict[int, Slice] = {}
    for minutes, one in written.items():
        both = found[int(minutes)] = Slice.from_json(one)
        if (own := mine.get(int(minutes))) is not None:
            both.add(own)
    return found

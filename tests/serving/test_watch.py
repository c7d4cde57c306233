"""What watches a replica goes on watching, without any process."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.registry import ReplicaState
from holdfast.runtime.shapes import INVOCATIONS
from holdfast.serving.alert_rules import AlertRule
from holdfast.serving.observing import Observed
from holdfast.serving.route import PRIMARY, Route
from holdfast.serving.settings import WatchSettings
from holdfast.serving.watch import Watch
from tests.serving.stages import run, until


class Torn(Watch):
    """Does not expect its first request."""

    torn = False

    def count(self, most: int) -> None:
        if self._queue and not self.torn:
            self.torn = True
            raise RuntimeError("nobody expected this")
        super().count(most)


class Version:
    """As much of a live version as is counted."""

    number = 1
    schema = None


def observed(request_id: str) -> Observed:
    version = cast("Any", Version())
    return Observed(
        request_id, 0.0, Route(1, version), version, PRIMARY, None, 0.001, INVOCATIONS, b"{}", b'{"predictions":[1]}',
        None,
    )  # fmt: skip


def test_requests_are_counted_again_after_an_unexpected_error() -> None:
    watch = Torn(WatchSettings(), ())

    async def work() -> None:
        await watch.start()
        watch.see(observed("r1"))
        await until(lambda: watch.torn, "the error")
        watch.see(observed("r2"))
        await until(lambda: not watch._queue, "both requests")
        await watch.stop()

    run(work)


class Held(Version):
    """One of several."""

    def __init__(self, number: int) -> None:
        self.number = number


class Scene:
    """A watched stage that moves when the test says so, by the test's own clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now)
        monkeypatch.setattr("holdfast.serving.watch.time", clock)
        rule = AlertRule("broken", "error_share", above=0.1, window_minutes=1, requests_min=5)
        self.watch = Watch(WatchSettings(), [rule])
        self.one, self.two = (cast("Any", Held(number)) for number in (1, 2))
        self.replica = cast("Any", SimpleNamespace(
            route=None, sees_registry=True, report=lambda: SimpleNamespace(state=ReplicaState.READY),
        ))  # fmt: skip
        self.watch._replica = self.replica
        for live in (self.one, self.two):
            self.watch._known[live] = self.now

    def route(self, route: Route) -> None:
        self.replica.route = route
        self.second()

    def second(self) -> None:
        self.now += 1.0
        for live in (self.one, self.two):
            self.watch._known[live] = self.now  # both are open all the time
        self.watch.look(self.now, self.now)

    def ask(self, route: Route, live: Any, count: int, error: str | None = None) -> None:
        answer = b"" if error is None else None
        for _ in range(count):
            self.watch.see(Observed("r", 0.0, route, live, PRIMARY, None, 0.001, INVOCATIONS, b"{}", answer, error))
        self.watch.count(count)

    @property
    def firing(self) -> list[tuple[int | None, str]]:
        return [(alert.version, alert.role) for alert in self.watch.alerts.firing]

    def requests(self) -> dict[int, int]:
        return {version: over[1].requests for version, over in self.watch.monitor.over(self.now).items()}


def test_who_is_promoted_again_is_judged_by_what_it_answers_since(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    routes = [Route(2, scene.two, scene.one), Route(3, scene.one, scene.two), Route(4, scene.two, scene.one)]
    scene.route(routes[0])
    scene.ask(routes[0], scene.two, 207, "bundle_failed")
    for _ in range(2):
        scene.second()
    assert scene.firing == [(2, "primary")]
    scene.route(routes[1])
    assert scene.firing == []
    assert [alert.version for alert in scene.watch.alerts.over] == [2]
    scene.ask(routes[1], scene.one, 10)
    scene.route(routes[2])
    scene.ask(routes[1], scene.one, 1)  # it came before the stage moved
    scene.ask(routes[2], scene.two, 20)
    for _ in range(3):
        scene.second()
    assert (scene.firing, scene.watch.alerts.open) == ([], ())
    assert scene.requests() == {1: 0, 2: 20}
    scene.ask(routes[2], scene.two, 20, "bundle_failed")
    for _ in range(2):
        scene.second()
    assert scene.firing == [(2, "primary")]
    assert "20 of 40 requests" in scene.watch.alerts.firing[0].sentence


def test_requests_of_a_canary_do_not_count_once_it_holds_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    canary = cast("Any", SimpleNamespace(live=scene.two))
    beside, promoted = Route(2, scene.one, None, canary), Route(3, scene.two, scene.one)
    scene.route(beside)
    scene.ask(beside, scene.two, 30, "bundle_failed")
    for _ in range(2):
        scene.second()
    assert scene.firing == [(2, "canary")]
    scene.ask(promoted, scene.two, 10)
    scene.route(promoted)
    for _ in range(2):
        scene.second()
    assert scene.firing == []
    assert scene.requests() == {1: 0, 2: 10}

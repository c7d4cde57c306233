"""What a replica shows of what it watches, over real workers: counts by version, comparisons, alerts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.errors import Unavailable
from holdfast.serving.alert_rules import AlertRule
from holdfast.serving.counters import Lines
from holdfast.serving.exchange import Exchange
from holdfast.serving.meters import COUNTED
from holdfast.serving.monitor import rules_of
from holdfast.serving.replica import Replica
from holdfast.serving.settings import WatchSettings
from holdfast.serving.showing import MEASURED
from holdfast.serving.watch import Watch
from holdfast.web.inference.override import anybody
from tests.serving.building import ROWS, Built
from tests.serving.stages import HandMovedStage, Shelf, pointer, run, running, until, until_epoch
from tests.web.test_inference import calling

pytestmark = pytest.mark.slow

BROKEN = AlertRule("broken", "error_share", above=0.1, window_minutes=1, requests_min=5)


@asynccontextmanager
async def watched(
    first: Built, second: Built, exchange: Exchange | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, Replica, Watch, HandMovedStage]]:
    """Version 2 holds the stage and version 1 is last-known-good."""
    settings = WatchSettings(rows_per_second_max=1_000_000, alerts=(BROKEN,))
    watch = Watch(settings, rules_of(settings, 100.0), exchange=exchange)
    stage, shelf = HandMovedStage(), Shelf(first, second)
    epoch = stage.move(pointer(2, second), pointer(1, first))
    async with running(stage, shelf, observers=[watch]) as replica, calling(replica, anybody) as client:
        watch.follow(replica)
        await until_epoch(replica, epoch)
        await until(lambda: replica.route is not None and replica.route.standby is not None, "the standby")
        watch.look(time.monotonic(), time.time())
        await until(lambda: len(known(watch)) == 2, "what both are compared with")
        yield client, replica, watch, stage


def known(watch: Watch) -> list[str]:
    """What the versions are compared with, those of which that is known."""
    told = watch.monitor.told(watch.monitor.over(time.monotonic()), {})
    return [one["compared_with"] for one in told if one["compared_with"]]


async def ask(client: httpx.AsyncClient, **changes: object) -> int:
    rows = [{**row, **changes} for row in ROWS[:4]]
    return (await client.post("/invocations", json={"dataframe_records": rows})).status_code


def numbers(text: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    return {
        sample.name: {
            frozenset(one.labels.items()): one.value
            for family_ in text_string_to_metric_families(text)
            for one in family_.samples
            if one.name == sample.name
        }
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: dict[frozenset[tuple[str, str]], float], **labels: str) -> float:
    """The sum of the lines that have these labels."""
    return sum(value for named, value in found.items() if set(labels.items()) <= named)


def test_requests_are_counted_by_version_role_and_outcome(first: Built, second: Built) -> None:
    async def work() -> None:
        async with watched(first, second) as (client, _, watch, _):
            for _ in range(5):
                assert await ask(client) == 200
            assert await ask(client, calls="many") == 422
            assert await ask(client, plan="raise") == 500
            columns = {key: [one[key] for one in ROWS] for key in ROWS[0]}
            kinds = {"age": "FP64", "calls": "INT64", "plan": "BYTES", "sleep": "FP64"}
            tensors = [
                {"name": name, "shape": [40], "datatype": kinds[name], "data": data} for name, data in columns.items()
            ]
            other = await client.post("/v2/models/churn/versions/1/infer", json={"inputs": tensors})
            assert other.status_code == 200
            watch.count(100)
            watch.look(time.monotonic(), time.time())
            text = (await client.get("/metrics")).text
            found = numbers(text)
            requests = found["holdfast_serving_requests_total"]
            assert of(requests, version="2", role="primary", outcome="ok") == 5
            assert of(requests, version="2", outcome="error") == 2
            assert of(requests, version="1", role="standby", outcome="ok") == 1
            errors = found["holdfast_serving_errors_total"]
            assert of(errors, version="2", code="invalid_input") == of(errors, code="bundle_failed") == 1
            assert of(found["holdfast_serving_rows_total"], version="2") == 20
            assert of(found["holdfast_serving_predictions_total"], version="2") == 20
            assert of(found["holdfast_serving_seconds_count"], version="2") == 5
            assert of(found["holdfast_serving_seconds_bucket"], version="2", le="+Inf") == 5
            assert of(found["holdfast_serving_score_count"], version="1") == 40
            assert of(found["holdfast_serving_worker_seconds_total"], version="2") > 0
            assert of(found["holdfast_serving_info"], version="2", role="primary", digest=str(second.digest)) == 1
            assert of(found["holdfast_serving_worker_up"], version="1", role="standby") == 1
            assert of(found["holdfast_serving_registry_up"]) == 1
            assert of(found["holdfast_serving_opened_total"], outcome="opened") == 2
            assert of(found["holdfast_serving_psi"], version="1", of="predictions", window_minutes="60") == 0
            families = {family.name for family in text_string_to_metric_families(text)}
            assert families <= {*COUNTED, *MEASURED}

    run(work)


def test_a_version_that_is_let_go_of_takes_its_lines_with_it_and_is_still_shown_to_people(
    first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.serving.watch._KEPT_SECONDS", 0.0)

    async def work() -> None:
        async with watched(first, second) as (client, replica, watch, stage):
            await ask(client)
            watch.count(10)
            await until_epoch(replica, stage.move(pointer(1, first)))
            await ask(client)
            watch.count(10)
            watch.look(time.monotonic() + 1, time.time())
            requests = numbers((await client.get("/metrics")).text)["holdfast_serving_requests_total"]
            assert {dict(labels)["version"] for labels in requests} == {"1"}
            said = (await client.get("/watch")).json()
            assert [(one["version"], one["role"]) for one in said["versions"]] == [(1, "primary"), (2, None)]
            (minute, *_) = said["versions"][1]["windows"]
            assert (minute["minutes"], minute["requests"], minute["rows"]) == (1, 1, 4)

    run(work)


def test_drift_faults_and_a_lost_registry_are_seen_and_said(
    first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.serving.watch._READ_PER_SECOND_MAX", 1_000_000)

    async def work() -> None:
        async with watched(first, second) as (client, _, watch, stage):
            for _ in range(30):
                await ask(client, age=149.0)
            for _ in range(10):
                await ask(client, plan="raise")
            watch.count(100)
            now, wall = time.monotonic(), time.time()
            watch.look(now, wall)
            watch.look(now, wall + 1)
            said = (await client.get("/alerts")).json()
            (alert,) = [one for one in said["alerts"] if one["name"] == "broken"]
            assert (alert["state"], alert["version"], alert["value"]) == ("firing", 2, 0.25)
            assert of(numbers((await client.get("/metrics")).text)["holdfast_serving_alert"], alert="broken") == 1
            hour = (await client.get("/watch")).json()["versions"][0]["windows"][2]
            assert hour["input_shift"][0]["column"] == "age"
            assert hour["input_shift"][0]["psi"] > 1
            assert hour["prediction_shift"]["count"] == 120
            assert sum(hour["predictions"].values()) == 120
            stage.broken = Unavailable("away", hint="Wait.")
            await until(lambda: not watch._replica or not watch._replica.sees_registry, "the registry is lost")
            for later in (1.0, 40.0):
                watch.look(now + later, wall + later)
            firing = {one.rule.name for one in watch.alerts.firing}
            assert "registry_lost" in firing
            assert await ask(client) == 200

    run(work)


def test_processes_of_one_port_show_what_all_of_them_counted(first: Built, second: Built, tmp_path: Path) -> None:
    other = Lines()
    other.of("2", "primary").answered = 7
    gone = {"at": 0.0, "lines": other.to_json(), "measures": [], "over": {}, "alerts": [], "resolved": []}
    (tmp_path / "1.json").write_text(json.dumps(gone))
    (tmp_path / "0.json").write_text(json.dumps(gone))  # of whoever had our place and died
    (tmp_path / "2.json").write_text("half a fi")

    async def work() -> None:
        async with watched(first, second, Exchange(tmp_path, 0)) as (client, _, watch, _):
            await ask(client)
            watch.count(10)
            watch.look(time.monotonic(), time.time())
            found = numbers((await client.get("/metrics")).text)
            assert of(found["holdfast_serving_requests_total"], version="2", outcome="ok") == 15
            alive = json.loads((tmp_path / "0.json").read_text())
            (tmp_path / "3.json").write_text(json.dumps(alive))
            found = numbers((await client.get("/metrics")).text)
            assert of(found["holdfast_serving_requests_total"], version="2", outcome="ok") == 23
            said = (await client.get("/watch")).json()
            assert said["versions"][0]["windows"][0]["requests"] == 2

    run(work)


def test_what_cannot_be_looked_at_is_counted_and_costs_no_answer(
    first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.serving.watch.QUEUE_MAX", 3)
    monkeypatch.setattr("holdfast.serving.watch._DRAIN_SECONDS", 3600.0)
    monkeypatch.setattr("holdfast.serving.watch._READ_BYTES_PER_SECOND_MAX", 1)

    async def work() -> None:
        async with watched(first, second) as (client, _, watch, _):
            assert await asyncio.gather(*(ask(client) for _ in range(5))) == [200] * 5
            watch._left_bytes = 1.0
            watch.count(10)
            found = numbers((await client.get("/metrics")).text)
            assert of(found["holdfast_serving_unseen_total"]) == 2
            assert of(found["holdfast_serving_requests_total"], outcome="ok") == 3
            assert of(found["holdfast_serving_answers_unread_total"]) == 3

    run(work)


def test_a_replica_that_nobody_watches_has_no_such_routes(first: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first)
        epoch = stage.move(pointer(1, first))
        async with running(stage, shelf) as replica, calling(replica) as client:
            await until_epoch(replica, epoch)
            assert (await client.get("/metrics")).status_code == 404

    run(work)


def test_the_rules_of_the_settings_are_those_that_are_looked_at() -> None:
    settings = WatchSettings(alerts=(replace(BROKEN, name="errors"),))
    assert [rule.metric for rule in rules_of(settings, None) if rule.name == "errors"] == ["error_share"]

"""What a server says of its requests: ids, log lines, counters; and what it never says."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from holdfast.canonical import JsonObject
from holdfast.errors import Unavailable
from holdfast.registry.census import Behind, Census, Serving
from holdfast.registry.sql import SqlRegistry
from holdfast.service import Line
from holdfast.web.api.desk import Around
from holdfast.web.logs import AsJson, printable
from tests.patience import until
from tests.serving_api import api_server

pytestmark = pytest.mark.slow

MODELS = "/api/v1/models"


class Lines(logging.Handler):
    """The log lines of this process, as a program reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(AsJson())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def of(self, event: str, **wanted: object) -> list[JsonObject]:
        """Those of one kind; waits a moment, for a line is written behind its answer."""

        def found() -> list[JsonObject]:
            of_kind = [one for one in map(json.loads, list(self.texts)) if one["event"] == event]
            return [one for one in of_kind if all(one.get(name) == value for name, value in wanted.items())]

        return until(found, lambda: f"{event} {wanted}: {self.texts}")


@pytest.fixture
def lines() -> Iterator[Lines]:
    found, log = Lines(), logging.getLogger("holdfast")
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(found)
    yield found
    log.removeHandler(found)
    log.setLevel(before)


def test_a_request_keeps_the_id_that_its_client_gave_it(embedded: SqlRegistry, lines: Lines) -> None:
    with api_server(embedded) as url:
        answer = httpx.get(f"{url}{MODELS}?limit=7", headers={"x-request-id": "build-7.step_2"})
        assert answer.headers.get_list("x-request-id") == ["build-7.step_2"]
        (line,) = lines.of("request", request="build-7.step_2")
    assert (line["method"], line["route"], line["status"], line["code"]) == ("GET", MODELS, 200, None)
    assert line["bytes"] == len(answer.content)
    assert line["milliseconds"] > 0
    assert set(line) == {
        "time", "level", "process", "event", "request", "method", "route", "status", "milliseconds", "bytes", "actor",
        "code",
    }  # fmt: skip


@pytest.mark.parametrize("said", ["", "short", "a" * 65, "seven words; with=signs", "new\tline-in-it", "ümlaut-ümlaut"])
def test_an_id_that_is_not_fit_for_a_log_is_replaced(embedded: SqlRegistry, said: str) -> None:
    with api_server(embedded) as url:
        found = httpx.get(f"{url}/healthz", headers={b"x-request-id": said.encode("latin-1")}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", found)


def test_an_error_names_its_request_and_an_incident_is_found_by_it(embedded: SqlRegistry, lines: Lines) -> None:
    class Broken:
        def models(self, **_: object) -> None:
            raise RuntimeError("/secret/place")

    with api_server(embedded) as url:
        refused = httpx.get(f"{url}{MODELS}/nobody/versions", headers={"x-request-id": "the-refused"})
        unknown = httpx.get(f"{url}/nowhere/at/all", headers={"x-request-id": "the-unknown"})
    assert [one.json()["error"]["request"] for one in (refused, unknown)] == ["the-refused", "the-unknown"]
    assert lines.of("request", request="the-unknown")[0]["route"] == "unmatched"
    assert lines.of("request", request="the-refused")[0]["code"] == "not_found"
    with api_server(Broken()) as url:  # type: ignore[arg-type]
        failed = httpx.get(f"{url}{MODELS}", headers={"x-request-id": "the-failed"})
    error = failed.json()["error"]
    assert (failed.status_code, error["request"], failed.headers["x-request-id"]) == (500, "the-failed", "the-failed")
    assert "/secret/place" not in failed.text
    (incident,) = lines.of("incident", incident=error["incident"])
    assert incident["request"] == "the-failed"
    assert "/secret/place" in incident["trace"]
    assert lines.of("request", request="the-failed")[0]["status"] == 500


def test_no_line_of_a_request_holds_what_only_the_two_sides_should_know(embedded: SqlRegistry, lines: Lines) -> None:
    secrets = {
        "token": "Bearer hf_token",
        "query": "q-secret",
        "body": "b-secret",
        "path": "p-secret",
        "cookie": "c-secret",
    }
    with api_server(embedded) as url:
        httpx.post(
            f"{url}{MODELS}/{secrets['path']}/stages/{secrets['path']}/moves?key={secrets['query']}",
            json={"reason": secrets["body"]},
            headers={"authorization": secrets["token"], "cookie": secrets["cookie"], "x-request-id": "the-secret"},
        )
        lines.of("request", request="the-secret")
    said = "\n".join(lines.texts)
    assert [name for name, text in secrets.items() if text in said] == []


def test_an_actor_begins_no_line_of_its_own(embedded: SqlRegistry, lines: Lines) -> None:
    with api_server(embedded) as url:
        headers = {"holdfast-actor": "ana%0a%1b[2Jforged", "x-request-id": "the-actor"}
        httpx.get(f"{url}/healthz", headers=headers)
        (line,) = lines.of("request", request="the-actor")
    assert line["actor"] == "ana\ufffd\ufffd[2Jforged"
    assert len(printable("a" * 5_000)) == 200


def test_a_client_names_each_request_and_the_same_again_when_it_repeats_it(embedded: SqlRegistry, lines: Lines) -> None:
    with api_server(embedded) as url:
        line = Line(url)
        line.get("/models")
        line.get("/models")
        line.close()
        until(lambda: len(lines.of("request", route=MODELS)) >= 2)
        ids = [one["request"] for one in lines.of("request", route=MODELS)]
    assert len(set(ids)) == 2


def samples(text: str) -> dict[str, float]:
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


def test_metrics_count_by_route_and_not_by_path(embedded: SqlRegistry) -> None:
    census = Census(7, (Serving("churn", "production", 2, "ready", 3),), (Behind("wh_1", "stopped", 5),))
    with api_server(embedded, around=Around(census=lambda: census)) as url:
        for name in ("a", "b", "c"):
            httpx.get(f"{url}{MODELS}/{name}/versions")
        httpx.request("PROPFIND", f"{url}/coffee/{'x' * 50}")
        found = samples(httpx.get(f"{url}/metrics").text)
    route = 'route="/api/v1/models/{model}/versions"'
    assert found[f'holdfast_requests_total{{method="GET",{route},status="404"}}'] == 3
    assert found['holdfast_requests_total{method="other",route="unmatched",status="404"}'] == 1
    assert found[f'holdfast_request_seconds_count{{method="GET",{route}}}'] == 3
    assert found['holdfast_refusals_total{code="not_found"}'] == 4
    assert found["holdfast_requests_in_flight"] == 1
    assert (found["holdfast_database_up"], found["holdfast_log_events"]) == (1, 7)
    assert found['holdfast_replicas{model="churn",stage="production",state="ready",version="2"}'] == 3
    assert found['holdfast_webhook_behind_events{webhook="wh_1"}'] == 5
    assert found['holdfast_webhook_stopped{webhook="wh_1"}'] == 1


def test_metrics_are_given_while_the_database_is_away(embedded: SqlRegistry, lines: Lines) -> None:
    def away() -> Census:
        raise Unavailable("the database is away", hint="Wait.")

    with api_server(embedded, around=Around(census=away)) as url:
        found = samples(httpx.get(f"{url}/metrics").text)
    assert found["holdfast_database_up"] == 0
    assert "holdfast_log_events" not in found


def test_what_is_held_open_on_purpose_is_not_counted_as_slow(embedded: SqlRegistry) -> None:
    impatient = httpx.Timeout(60, read=0.3)
    with api_server(embedded) as url:
        with (
            suppress(httpx.ReadTimeout),
            httpx.stream("GET", f"{url}/api/v1/events/stream", timeout=impatient) as answer,
        ):
            for text in answer.iter_lines():
                assert text in {"retry: 1000", ""}
        counted = 'route="/api/v1/events/stream",status="200"'
        until(lambda: counted in httpx.get(f"{url}/metrics").text)
        text = httpx.get(f"{url}/metrics").text
    assert not any("stream" in line for line in text.splitlines() if line.startswith("holdfast_request_seconds"))

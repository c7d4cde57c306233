"""Traces and their spans, asked as MLflow's tracing asks."""

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import update

from holdfast.experiments.tables import experiments
from tests.web.mlflow.logging import MLMODEL, put
from tests.web.mlflow.served import Served, served

ID = "tr-" + "ab" * 16
ROOT, INNER = b"\1" * 8, b"\2" * 8
V3 = "/api/3.0/mlflow/traces"
HEADERS = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "7"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        yield found


def info(id_: str = ID, **more: Any) -> dict[str, Any]:
    return {
        "trace_id": id_,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "7"}},
        "request_time": "2026-03-01T09:00:00.125Z",
        "execution_duration": "1.500s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace.sizeStats": '{"num_spans": 2}'},
        "tags": {"mlflow.traceName": "answer"},
        **more,
    }


def start(server: Served, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = server.ask("POST", V3, {"trace": {"trace_info": info(**more)}})["trace"]["trace_info"]
    return answer


def spans(ids: Sequence[bytes] = (ROOT, INNER), trace: bytes = b"\xab" * 16) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for id_ in ids:
        span = scope.spans.add(trace_id=trace, span_id=id_, name=f"span {id_[0]}")
        span.start_time_unix_nano = 1_772_355_600_000_000_000 + id_[0]
        span.end_time_unix_nano = span.start_time_unix_nano + 2_000_000_000
        if id_ == ROOT:
            for key, value in (("mlflow.spanInputs", '{"q":1}'), ("mlflow.traceTag.topic", "hot"), ("user.id", "ana")):
                span.attributes.add(key=key).value.string_value = value
        else:
            span.parent_span_id = ROOT
            span.attributes.add(key="n").value.int_value = 2**60
    return bytes(request.SerializeToString())


def send(server: Served, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> Any:
    sent = server.client.post("/v1/traces", content=body, headers={**HEADERS, **(headers or {})})
    answer = server.loop.run(sent)
    assert answer.status_code == status, answer.text
    return answer.json() if status != 200 else answer.content


def test_a_trace_is_told_in_its_clients_words(server: Served) -> None:
    told = start(server, client_request_id="c-1", request_preview="q", response_preview="a")
    location = f"mlflow-artifacts:/7/traces/{ID}/artifacts"
    assert told == {
        **info(client_request_id="c-1", request_preview="q", response_preview="a"),
        "tags": {"mlflow.artifactLocation": location, "mlflow.traceName": "answer"},
    }
    assert start(server, client_request_id="c-1", request_preview="q", response_preview="a") == told
    assert server.ask("GET", f"{V3}/{ID}")["trace"]["trace_info"] == told


@pytest.mark.parametrize("spans_first", [True, False])
def test_spans_and_words_meet_whichever_comes_first(server: Served, spans_first: bool) -> None:
    if spans_first:
        send(server, spans())
        assert start(server)["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    else:
        assert "mlflow.trace.spansLocation" not in start(server)["tags"]
        send(server, spans())
    trace = server.ask("GET", f"{V3}/get", {"trace_id": ID})["trace"]
    assert [span["name"] for span in trace["spans"]] == ["span 1", "span 2"]
    assert trace["spans"][0]["start_time_unix_nano"] == 1_772_355_600_000_000_001
    told = trace["trace_info"]
    assert (told["request_time"], told["execution_duration"]) == ("2026-03-01T09:00:00.125Z", "1.500s")
    assert (told["request_preview"], told["tags"]["topic"], told["state"]) == ('{"q":1}', "hot", "OK")
    assert server.ask("GET", f"{V3}/batchGet", {"trace_ids": [ID]}) == {"traces": [trace]}
    assert server.ask("GET", f"{V3}/batchGet", {"trace_ids": [ID], "experiment_ids": ["8"]}) == {}


def test_a_trace_that_only_its_spans_tell_of_grows_with_them(server: Served) -> None:
    send(server, spans([INNER]))
    assert server.ask("GET", f"{V3}/{ID}")["trace"]["trace_info"]["state"] == "IN_PROGRESS"
    for _ in range(2):
        send(server, gzip.compress(spans([ROOT])), {"content-encoding": "gzip"})
    told = server.ask("GET", f"{V3}/{ID}")["trace"]["trace_info"]
    assert (told["state"], told["execution_duration"]) == ("OK", "2.000s")
    assert told["trace_metadata"] == {"mlflow.trace.user": "ana"}
    assert len(server.ask("GET", f"{V3}/get", {"trace_id": ID})["trace"]["spans"]) == 2


def test_spans_come_in_json_too(server: Served) -> None:
    span = {"traceId": "ab" * 16, "spanId": "01" * 8, "name": "j", "startTimeUnixNano": "5", "endTimeUnixNano": "9"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    assert send(server, body, {"content-type": "application/json"}) == b"{}"
    [found] = server.ask("GET", f"{V3}/get", {"trace_id": ID})["trace"]["spans"]
    assert (found["name"], found["start_time_unix_nano"]) == ("j", 5)


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"\xff\xff", {}, "Invalid OpenTelemetry format"),
        (b"", {}, "Invalid OpenTelemetry format - no spans found"),
        (spans(trace=b"short"), {}, "Cannot convert OpenTelemetry span to MLflow span"),
        (b"[]", {"content-type": "application/json"}, "Invalid OpenTelemetry format"),
        (b"{}", {"content-type": "text/plain"}, "Invalid Content-Type: text/plain."),
        (b"no gzip", {"content-encoding": "gzip"}, "The body is not packed as gzip says"),
        (spans(), {"x-mlflow-experiment-id": ""}, "Missing value for required parameter 'x-mlflow-experiment-id'."),
    ],
)
def test_what_are_no_spans_is_refused(server: Served, body: bytes, headers: dict[str, str], message: str) -> None:
    assert send(server, body, headers, 400)["message"].startswith(message)


@pytest.mark.thorough
def test_a_small_body_that_unpacks_to_a_large_one_is_refused(server: Served) -> None:
    refused = send(server, gzip.compress(bytes(40 << 20)), {"content-encoding": "gzip"}, 400)
    assert refused["message"] == "Spans of one request may have 33554432 bytes"


@pytest.mark.parametrize(("count", "each"), [(1_001, 1), (20_001, 100)])
def test_nobody_keeps_the_writer_busy_with_traces(server: Served, count: int, each: int) -> None:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        scope.spans.add(trace_id=(1 + number // each).to_bytes(16), span_id=(1 + number).to_bytes(8))
    assert "can have" in send(server, request.SerializeToString(), status=400)["message"]


def test_traces_are_found_by_what_is_said_of_them(server: Served) -> None:
    run = server.run("r1")
    start(server, id_="tr-1", trace_metadata={"mlflow.sourceRun": run}, tags={"topic": "Hot"})
    start(server, id_="tr-2", state="ERROR", execution_duration="9s", request_time="2026-03-01T10:00:00Z")
    server.ask("POST", "traces/link-to-run", {"trace_ids": ["tr-2", "none"], "run_id": run})

    def found(filter_: str = "", *order: str) -> list[str]:
        places = [{"mlflow_experiment": {"experiment_id": "7"}}]
        page = server.ask("POST", f"{V3}/search", {"locations": places, "filter": filter_, "order_by": order})
        return [one["trace_id"] for one in page.get("traces", [])]

    assert found() == ["tr-2", "tr-1"]
    assert found("", "timestamp_ms ASC") == ["tr-1", "tr-2"]
    assert found("", "tags.topic DESC") == ["tr-1", "tr-2"]
    assert found("attributes.status = 'ERROR'") == ["tr-2"]
    assert found("tags.topic LIKE 'H%' AND execution_time_ms < 2000") == ["tr-1"]
    assert found("tags.topic IS NULL") == ["tr-2"]
    assert found(f"attribute.run_id = '{run}'") == ["tr-2", "tr-1"]
    assert found(f"request_metadata.`mlflow.sourceRun` = '{run}'") == ["tr-1"]
    assert found("name = 'answer'") == ["tr-2"]
    assert found("trace_id IN ('tr-1', 'tr-9')") == ["tr-1"]
    send(server, spans())
    assert found("trace.text LIKE '%span 2%'") == [ID]


def test_pages_of_a_search_tell_each_trace_once(server: Served) -> None:
    for number in range(5):
        start(server, id_=f"tr-{number}")
    asked: dict[str, Any] = {"locations": [{"mlflow_experiment": {"experiment_id": "7"}}], "max_results": 2}
    found, token = [], ""
    while True:
        page = server.ask("POST", f"{V3}/search", {**asked, "page_token": token})
        found += [one["trace_id"] for one in page["traces"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert found == [f"tr-{number}" for number in range(5)]


def test_tags_of_a_trace_come_and_go(server: Served) -> None:
    start(server)
    server.ask("PATCH", f"{V3}/{ID}/tags", {"key": "topic", "value": "hot"})
    server.ask("DELETE", f"traces/{ID}/tags", {"key": "topic"})
    gone = server.ask("DELETE", f"{V3}/{ID}/tags", {"key": "topic"}, status=404)
    assert gone["message"] == f"No trace tag with key 'topic' for trace with ID '{ID}'"
    immutable = server.ask("PATCH", f"{V3}/{ID}/tags", {"key": "mlflow.trace.spansLocation", "value": "x"}, status=400)
    assert "is immutable" in immutable["message"]


def test_what_is_thought_of_a_trace_is_kept_with_it(server: Served) -> None:
    start(server)
    feedback = {"assessment_name": "good", "feedback": {"value": True}, "metadata": {"a": "1"}}
    made = server.ask("POST", f"{V3}/{ID}/assessments", {"assessment": feedback})["assessment"]
    assert made["trace_id"] == ID
    one = f"{V3}/{ID}/assessments/{made['assessment_id']}"
    change = {"assessment": {"feedback": {"value": False}, "metadata": {"b": "2"}}, "update_mask": "feedback,metadata"}
    changed = server.ask("PATCH", one, change)["assessment"]
    assert (changed["feedback"], changed["metadata"]) == ({"value": False}, {"a": "1", "b": "2"})
    assert server.ask("GET", one)["assessment"] == changed
    over = {**feedback, "overrides": made["assessment_id"]}
    newer = server.ask("POST", f"{V3}/{ID}/assessments", {"assessment": over})["assessment"]
    assert server.ask("GET", one)["assessment"]["valid"] is False
    server.ask("DELETE", f"{V3}/{ID}/assessments/{newer['assessment_id']}")
    assert server.ask("GET", one)["assessment"]["valid"] is True
    assert len(start(server)["assessments"]) == 1
    server.ask("DELETE", one)
    gone = server.ask("GET", one, status=404)
    assert gone["message"] == f"Assessment with ID '{made['assessment_id']}' not found for trace '{ID}'"


def test_traces_are_deleted_for_good(server: Served) -> None:
    for number in range(4):
        start(server, id_=f"tr-{number}", request_time=f"2026-03-01T09:00:0{number}Z")
    files = "/api/2.0/mlflow-artifacts/artifacts/7/traces/tr-{}/artifacts/traces.json"
    for number in (0, 2):
        assert server.loop.run(server.client.put(files.format(number), content=b"{}")).status_code == 200
    deleted = f"{V3}/delete-traces"
    assert server.ask("POST", deleted, {"experiment_id": "7", "request_ids": ["tr-0"]}) == {"traces_deleted": 1}
    assert server.loop.run(server.client.get(files.format(0))).status_code == 404
    assert server.loop.run(server.client.get(files.format(2))).content == b"{}"
    before = {"experiment_id": "7", "max_timestamp_millis": 1_772_355_602_000, "max_traces": 1}
    assert server.ask("POST", deleted, before) == {"traces_deleted": 1}
    assert server.ask("GET", f"{V3}/tr-1", status=404)["message"] == "Trace with ID 'tr-1' not found."
    assert "must be specified" in server.ask("POST", deleted, {"experiment_id": "7"}, status=400)["message"]
    assert server.ask("GET", f"{V3}/tr-2")["trace"]["trace_info"]["trace_id"] == "tr-2"


def test_traces_are_deleted_where_a_place_was_taken_that_is_refused_now(server: Served) -> None:
    start(server, id_="tr-1")
    with server.database.change() as connection:
        connection.execute(update(experiments).values(place="mlflow-artifacts:/x#y"))
    asked = {"experiment_id": "7", "request_ids": ["tr-1"]}
    assert server.ask("POST", f"{V3}/delete-traces", asked) == {"traces_deleted": 1}


def test_traces_that_are_deleted_take_no_file_of_a_version_along(server: Served) -> None:
    run, files = server.run("run"), "7/run/artifacts/model"
    put(server, f"{files}/MLmodel", MLMODEL.encode())
    put(server, f"{files}/traces/tr-1/artifacts/data.bin", b"weights")
    server.ask("POST", "registered-models/create", {"name": "churn"})
    server.ask("POST", "model-versions/create", {"name": "churn", "source": f"runs:/{run}/model"})
    inside = {"name": "inside", "artifact_location": f"mlflow-artifacts:/{files}"}
    place = {"mlflow_experiment": server.ask("POST", "experiments/create", inside)}
    start(server, id_="tr-1", trace_location=place)
    server.ask("POST", f"{V3}/delete-traces", {**place["mlflow_experiment"], "request_ids": ["tr-1"]})
    listed = server.ask("GET", "/api/2.0/mlflow-artifacts/artifacts", {"path": f"{files}/traces/tr-1/artifacts"})
    assert [one["path"] for one in listed["files"]] == ["data.bin"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"trace_id": "../x"}, "Invalid value \"../x\" for parameter 'trace_id'"),
        ({"trace_id": ".."}, "Invalid value \"..\" for parameter 'trace_id'"),
        ({"request_time": "0001-01-01T00:00:00+14:00"}, "-62135647200000 is no moment in milliseconds"),
        ({"request_time": "9999-12-31T23:59:59-14:00"}, "253402351199000 is no moment in milliseconds"),
        ({"execution_duration": "999999999999s"}, "1001772355599125 is no moment in milliseconds"),
        ({"request_time": "yesterday"}, "Invalid value \"yesterday\" for parameter 'request_time'"),
        ({"execution_duration": "long"}, "Invalid value \"long\" for parameter 'execution_duration'"),
        ({"state": "FINE"}, "Invalid value \"FINE\" for parameter 'state'"),
        ({"tags": {"a": 1}}, "Invalid value"),
    ],
)
def test_a_trace_that_cannot_be_is_refused(server: Served, more: dict[str, Any], message: str) -> None:
    refused = server.ask("POST", V3, {"trace": {"trace_info": {**info(), **more}}}, status=400)
    assert refused["message"].startswith(message)


def test_without_what_reads_spans_clients_are_told_to_upload_them(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    refused = send(server, spans(), status=501)
    assert refused["error_code"] == "NOT_IMPLEMENTED"
    assert refused["message"].startswith("REST OTLP span logging is not supported by this server")
    assert "pip install 'holdfast[tracing]'" in refused["message"]
    assert "mlflow.trace.spansLocation" not in start(server)["tags"]


def test_a_trace_with_an_endless_number_of_spans_is_told_as_any_other(server: Served) -> None:
    start(server, trace_metadata={"mlflow.trace.sizeStats": '{"num_spans": 1e999}'})
    server.loop.run(server.client.post("/v1/traces", content=spans((ROOT,)), headers=HEADERS))
    assert len(server.ask("GET", f"{V3}/get", {"trace_id": ID})["trace"]["spans"]) == 1


@pytest.mark.parametrize(
    ("span", "status"),
    [({"traceId": 5}, 400), ({"spanId": ["ab"]}, 400), ({"attributes": [{"value": {"stringValue": "x"}}]}, 200)],
)
def test_spans_that_are_written_strangely_are_refused_or_kept(
    server: Served, span: dict[str, Any], status: int
) -> None:
    whole = {"traceId": "ab" * 16, "spanId": "cd" * 8, "startTimeUnixNano": "1", **span}
    said = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [whole]}]}]})
    headers = {**HEADERS, "content-type": "application/json"}
    answer = server.loop.run(server.client.post("/v1/traces", content=said, headers=headers))
    assert answer.status_code == status, answer.text

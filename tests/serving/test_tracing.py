"""Traces, as a collector receives them: continued from the caller's, with the worker's time below."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from holdfast.digest import hash_bytes
from holdfast.runtime.shapes import INVOCATIONS
from holdfast.serving import tracing
from holdfast.serving.observing import Observed
from holdfast.serving.tracing import traces
from tests.serving.stages import run

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A collector of OpenTelemetry that remembers every span."""
    spans: list[Any] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def observed(**changes: Any) -> Observed:
    live = SimpleNamespace(number=2, digest=hash_bytes(b"two"))
    route = SimpleNamespace(epoch=7, primary=live, standby=None)
    given = {
        "request_id": "r-1",
        "at": 1_000.0,
        "route": cast("Any", route),
        "live": cast("Any", live),
        "reason": "primary",
        "key": None,
        "seconds": 0.25,
        "shape": INVOCATIONS,
        "request": b"{}",
        "answer": b'{"predictions":[1,0]}',
        "error": None,
        "worker_seconds": 0.2,
        "traceparent": f"00-{TRACE}-{PARENT}-01",
    }
    return Observed(**{**given, **changes})


def told(spans: list[Any], *seen: Observed) -> None:
    async def work() -> None:
        observer = traces("churn", "production", "here")
        await observer.start()
        for one in seen:
            observer.see(one)
        await observer.stop()

    run(work)


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    for name in ("OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    with collector() as (url, found):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        yield found


@pytest.mark.slow
def test_a_span_goes_on_from_the_caller_s_and_says_who_answered(spans: list[Any]) -> None:
    told(spans, observed())
    by_name = {span.name: span for span in spans}
    request, worker = by_name["predict churn"], by_name["worker"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert (worker.trace_id.hex(), worker.parent_span_id) == (TRACE, request.span_id)
    assert attributes(request) == {
        "holdfast.model": "churn",
        "holdfast.stage": "production",
        "holdfast.version": 2,
        "holdfast.digest": str(hash_bytes(b"two")),
        "holdfast.role": "primary",
        "holdfast.epoch": 7,
        "holdfast.request_id": "r-1",
        "holdfast.outcome": "ok",
        "holdfast.rows": 2,
    }
    assert request.end_time_unix_nano == worker.end_time_unix_nano == 1_000 * 10**9
    assert request.end_time_unix_nano - request.start_time_unix_nano == 250_000_000
    assert worker.end_time_unix_nano - worker.start_time_unix_nano == 200_000_000


@pytest.mark.slow
def test_errors_of_the_version_are_marked_and_requests_without_a_caller_begin_a_trace(spans: list[Any]) -> None:
    told(
        spans,
        observed(traceparent=None, answer=None, error="bundle_failed"),
        observed(traceparent="nonsense", answer=None, error="invalid_input"),
        observed(traceparent=f"00-{TRACE}-{PARENT}-00"),
    )
    found = {attributes(span)["holdfast.outcome"]: span for span in spans if span.name == "predict churn"}
    assert set(found) == {"bundle_failed", "invalid_input"}, "the caller of the third one wants no trace"
    assert found["bundle_failed"].status.code == 2
    assert found["invalid_input"].status.code == 0
    assert not any(span.parent_span_id for span in found.values())


@pytest.mark.slow
def test_a_collector_that_is_away_and_a_full_queue_cost_spans_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(tracing, "QUEUE_MAX", 2)
    monkeypatch.setattr(tracing, "_FLUSH_MILLISECONDS", 100)
    told([], observed(), observed(), observed())


@pytest.mark.slow
def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    code = "import holdfast.wire.serving, sys; assert not [name for name in sys.modules if 'opentelemetry' in name]"
    subprocess.run([sys.executable, "-c", code], check=True)

"""Traces: a span for each request, continued from the caller's, with a child for the time that the worker had it.

    https://opentelemetry.io/docs/specs/otel/trace/api/
    https://www.w3.org/TR/trace-context/

Spans are made when a request is over, from what was measured, and sent by OpenTelemetry's own thread: nothing of it is
on the way of an answer. Where spans go, and how many, is said in the variables that every OpenTelemetry program reads:
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER` and so on. Nothing is imported where traces are off.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from holdfast.config import VERSION
from holdfast.errors import MissingExtra
from holdfast.serving.monitor import CALLERS
from holdfast.serving.observing import Observed
from holdfast.serving.reading import read_answer
from holdfast.serving.roles import role_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

__all__ = ["QUEUE_MAX", "Traces", "traces"]

_LOG = logging.getLogger("holdfast.serving")

QUEUE_MAX = 5_000
"""Requests that wait for their span; what is beyond is not traced, as OpenTelemetry's own queue does it."""

_DRAIN_SECONDS = 0.05
"""How often the queue is emptied."""

_AT_ONCE = 16
"""Spans that are made before the event loop may do something else: a span takes some tens of microseconds."""

_READ_BYTES_MAX = 16 << 10
"""Answers whose rows are counted for their span; a longer one takes more time than its span is worth."""

_FLUSH_MILLISECONDS = 3_000
"""How long a replica that ends waits for the collector."""

_NANOSECONDS = 1_000_000_000


class Traces:
    """The observer that makes spans.

    Args:
        provider: makes and sends them.
        model: whose replica.
        stage: which stage it follows.
    """

    def __init__(self, provider: "TracerProvider", model: str, stage: str) -> None:
        self.dropped = 0
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("holdfast.serving", VERSION)
        self._stage: Mapping[str, Any] = {"holdfast.model": model, "holdfast.stage": stage}
        self._queue: deque[Observed] = deque()
        self._task: asyncio.Task[None] | None = None

    def see(self, observed: Observed) -> None:
        """One request; see `Observer`."""
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            return
        answer = observed.answer
        if answer is not None and len(answer) > _READ_BYTES_MAX:
            answer = b""
        self._queue.append(observed._replace(request=b"", answer=answer))

    async def start(self) -> None:
        """Begin to make spans."""
        self._task = asyncio.create_task(self._drain())

    async def stop(self) -> None:
        """Make what is left of them, and send all."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._make(len(self._queue))
        await asyncio.to_thread(self._provider.force_flush, _FLUSH_MILLISECONDS)
        await asyncio.to_thread(self._provider.shutdown)
        if self.dropped:
            _LOG.warning("%d requests were not traced, since too many waited for it", self.dropped)

    async def _drain(self) -> None:
        while True:
            await asyncio.sleep(_DRAIN_SECONDS)
            while self._queue:
                self._make(_AT_ONCE)
                await asyncio.sleep(0)

    def _make(self, most: int) -> None:
        for _ in range(min(most, len(self._queue))):
            self._span(self._queue.popleft())

    def _span(self, observed: Observed) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {} if observed.traceparent is None else {"traceparent": observed.traceparent}
        caller = TraceContextTextMapPropagator().extract(carrier)
        end = int(observed.at * _NANOSECONDS)
        span = self._tracer.start_span(
            f"predict {self._stage['holdfast.model']}",
            caller,
            SpanKind.SERVER,
            self._attributes(observed),
            start_time=end - int(observed.seconds * _NANOSECONDS),
        )
        if observed.error is not None and observed.error not in CALLERS:
            span.set_status(Status(StatusCode.ERROR, observed.error))
        # The worker answers last of all: what comes behind it is writing to a socket.
        self._tracer.start_span(
            "worker",
            set_span_in_context(span, caller),
            SpanKind.CLIENT,
            start_time=end - int(observed.worker_seconds * _NANOSECONDS),
        ).end(end)
        span.end(end)

    def _attributes(self, observed: Observed) -> dict[str, Any]:
        found = {
            **self._stage,
            "holdfast.version": int(observed.live.number),
            "holdfast.digest": str(observed.live.digest),
            "holdfast.role": role_of(observed),
            "holdfast.epoch": observed.route.epoch,
            "holdfast.request_id": observed.request_id,
            "holdfast.outcome": observed.error or "ok",
        }
        scored = read_answer(observed.shape, observed.answer) if observed.answer else None
        return found if scored is None else {**found, "holdfast.rows": len(scored.predictions)}


def traces(model: str, stage: str, host: str) -> Traces:
    """The observer that sends spans to where the environment says, by OTLP over HTTP.

    Args:
        model: whose replica.
        stage: which stage it follows.
        host: where it runs.

    Raises:
        MissingExtra: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtra("traces need OpenTelemetry", hint="pip install 'holdfast[tracing]'") from error
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before what is said here.
    own = Resource({"service.name": "holdfast", "service.version": VERSION, "host.name": host})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider, model, stage)

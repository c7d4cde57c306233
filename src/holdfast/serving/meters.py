"""What a replica counts, as Prometheus reads it.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/

Every line is labelled by model, version and role, and there are only lines of versions that are held: what was let go
of takes its lines with it, so that a year of promotions costs Prometheus no more than a day of them.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtra
from holdfast.serving.counters import LATENCY_SECONDS, SCORES, Line, LineName, Lines
from holdfast.serving.measures import Measure, together

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["COUNTED", "text"]

COUNTED = {
    "holdfast_serving_requests": "Requests that reached a version, by outcome: ok, or error.",
    "holdfast_serving_errors": "Requests without an answer, by code.",
    "holdfast_serving_seconds": "How long requests took, from the first byte of their head to the answer.",
    "holdfast_serving_worker_seconds": "How long the worker had them, waiting for their turn included; a sum.",
    "holdfast_serving_rows": "Rows of the answers that were read.",
    "holdfast_serving_answers_unread": "Answers that were too long, or too many, to be read.",
    "holdfast_serving_predictions": "Rows of the answers that were read by what was predicted.",
    "holdfast_serving_score": "Rows of the answers that were read by score, where an answer has scores.",
}
"""What is counted of each request; the other numbers say themselves what they are."""


def text(model: str, lines: Lines, measures: Iterable[Measure]) -> bytes:
    """Everything in Prometheus' text format.

    Args:
        model: whose replica.
        lines: what all processes of the port counted.
        measures: the numbers of this moment, of all of them.

    Raises:
        MissingExtra: prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
    except ImportError as error:
        raise MissingExtra("metrics need prometheus-client", hint="pip install 'holdfast[serve]'") from error
    registry: CollectorRegistry = CollectorRegistry()
    registry.register(_Collected(model, lines, measures))
    write, _ = choose_encoder("")
    written: bytes = write(registry)
    return written


class _Collected:
    def __init__(self, model: str, lines: Lines, measures: Iterable[Measure]) -> None:
        self._model = model
        self._lines = lines
        self._measures = measures

    def collect(self) -> "Iterator[Metric]":
        yield from _requests(self._model, self._lines)
        yield from _histograms(self._model, self._lines)
        yield from _measured(self._measures)


def _labels(model: str, name: LineName) -> list[str]:
    return [model, *name]


def _requests(model: str, lines: Lines) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily

    by = ["model", "version", "role"]

    def family(name: str, *more: str) -> CounterMetricFamily:
        return CounterMetricFamily(name, COUNTED[name], labels=[*by, *more])

    requests = family("holdfast_serving_requests", "outcome")
    errors = family("holdfast_serving_errors", "code")
    worker = family("holdfast_serving_worker_seconds")
    rows = family("holdfast_serving_rows")
    unread = family("holdfast_serving_answers_unread")
    predictions = family("holdfast_serving_predictions", "class")
    for name, line in lines:
        labels = _labels(model, name)
        requests.add_metric([*labels, "ok"], line.answered)
        requests.add_metric([*labels, "error"], sum(line.errors.values()))
        for family_, counts in ((errors, line.errors), (predictions, line.predictions)):
            for word, count in sorted(counts.items()):
                family_.add_metric([*labels, word], count)
        worker.add_metric(labels, line.worker_seconds)
        rows.add_metric(labels, line.rows)
        unread.add_metric(labels, line.unread)
    yield from (requests, errors, worker, rows, unread, predictions)


def _histograms(model: str, lines: Lines) -> "Iterator[Metric]":
    from prometheus_client.core import HistogramMetricFamily

    by = ["model", "version", "role"]
    seconds = HistogramMetricFamily("holdfast_serving_seconds", COUNTED["holdfast_serving_seconds"], labels=by)
    scores = HistogramMetricFamily("holdfast_serving_score", COUNTED["holdfast_serving_score"], labels=by)
    for name, line in lines:
        labels = _labels(model, name)
        seconds.add_metric(labels, _buckets(LATENCY_SECONDS, line.buckets), line.seconds)
        if _has_scores(line):
            scores.add_metric(labels, _buckets(SCORES, line.scores), line.score_sum)
    yield from (seconds, scores)


def _has_scores(line: Line) -> bool:
    return any(line.scores)


def _buckets(ends: Iterable[float], counts: Iterable[int]) -> list[tuple[str, float]]:
    names = [*(f"{end:g}" for end in ends), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))


def _measured(measures: Iterable[Measure]) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for one in together(measures):
        family = families.get(one.name)
        if family is None:
            kind = CounterMetricFamily if one.counts else GaugeMetricFamily
            family = families[one.name] = kind(one.name, one.help, labels=[name for name, _ in one.labels])
        family.add_metric([value for _, value in one.labels], one.value)
    yield from families.values()

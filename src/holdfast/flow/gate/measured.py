"""What one version said about the candidate's frozen rows, with its metrics and what its mistakes cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.canonical import Json
from holdfast.errors import HoldfastError, UsageError
from holdfast.evidence import Metrics
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.gate.pricing import Pricing
from holdfast.manifest import Manifest
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import IDENTITY
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table

__all__ = ["Measured", "measured_by"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one version said about the candidate's frozen rows.

    Attributes:
        answer: scores and predictions.
        metrics: measured on them; None when the rows have no target, or the answers cannot be measured.
        metrics_trouble: why they cannot be.
        latencies_ms: of single rows, in the order of measurement.
        batch_latencies_ms: of batches, likewise.
        memory_bytes: the most memory that its process had needed when it had answered them; None when nobody asked.
        foreign: which library wrote its weights and which opened them, where they differ.
        costs: what each answer costs; None where policy does not say, or it could not be said.
        costs_trouble: why it could not be.
    """

    answer: Answer
    metrics: Metrics | None
    metrics_trouble: HoldfastError | None = None
    latencies_ms: tuple[float, ...] = ()
    batch_latencies_ms: tuple[float, ...] = ()
    memory_bytes: int | None = None
    foreign: str | None = None
    costs: tuple[float, ...] | None = None
    costs_trouble: HoldfastError | None = None


def measured_by(
    manifest: Manifest | None,
    targets: Sequence[Json] | None,
    answer: Answer,
    rows: Table,
    *,
    primary: str | None,
    pricing: Pricing | None,
) -> Measured:
    """An answer with its metrics; both versions are measured by the candidate's metrics on the candidate's rows.

    Args:
        manifest: the candidate's.
        targets: the true answers; None where the rows have none.
        answer: what either version said.
        rows: the rows, without the true answers.
        primary: the metric to judge by; None: the one that was recorded.
        pricing: who says what a row costs, if somebody does.
    """
    if manifest is None or targets is None:
        return Measured(answer, None)
    threshold, recorded = manifest.parts.eval_threshold, manifest.evidence.metrics
    if not isinstance(threshold, EvalThreshold):
        return Measured(answer, None)
    primary = primary or (recorded.primary if isinstance(recorded, Metrics) else None)
    try:
        _require_comparable(threshold, targets, answer.predictions)
        costs, trouble = _costs(targets, answer, threshold, rows, pricing)
        primary = None if primary == "cost" and costs is None else primary
        metrics = measure(targets, answer, threshold, primary=primary, costs=costs)
        return Measured(answer, metrics, costs=costs, costs_trouble=trouble)
    except HoldfastError as error:
        return Measured(answer, None, error)


def _costs(
    targets: Sequence[Json], answer: Answer, threshold: EvalThreshold, table: Table, pricing: Pricing | None
) -> tuple[tuple[float, ...] | None, HoldfastError | None]:
    """What each row costs, or why nobody can say; the other metrics are measured all the same."""
    try:
        return None if pricing is None else pricing.costs(targets, answer, threshold, table), None
    except HoldfastError as error:
        return None, error


def _require_comparable(threshold: EvalThreshold, targets: Sequence[Json], predictions: Sequence[Json]) -> None:
    """Refuse answers to another question: measured by this one's metrics they would only seem to be bad."""
    numbers = threshold.rule == IDENTITY
    for value in (*targets, *predictions):
        fits = type(value) in {int, float} if numbers else not isinstance(value, list | dict)
        if not fits:
            raise UsageError(
                f"{'numbers' if numbers else 'labels'} are compared, and {value!r:.40} is none",
                hint="Compare versions that answer the same question.",
            )
    if not numbers and not set(targets) & set(predictions):
        raise UsageError(
            f"none of the answers, such as {predictions[0]!r:.40}, is among the true ones, such as {targets[0]!r:.40}",
            hint="Compare versions that answer the same question, with the same labels.",
        )

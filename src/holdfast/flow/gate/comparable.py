"""Whether answers of two versions, and the true ones, answer the same question."""

from collections.abc import Sequence

from holdfast.canonical import Json
from holdfast.errors import UsageError
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import IDENTITY

__all__ = ["require_comparable"]


def require_comparable(threshold: EvalThreshold, targets: Sequence[Json], predictions: Sequence[Json]) -> None:
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

"""The eval threshold part, from what a person says: a number, `argmax`, `identity`, or a whole rule."""

from dataclasses import replace
from typing import Any

from holdfast.canonical import Json, encode, plain
from holdfast.errors import UsageError
from holdfast.flow.bundle.holdout import FrozenRows
from holdfast.parts import EvalThreshold, Missing
from holdfast.parts.data_slice import HOLDOUT
from holdfast.parts.eval_threshold import ARGMAX, CUT_OFF, IDENTITY

__all__ = ["threshold_part"]


def threshold_part(
    given: float | str | EvalThreshold | None,
    *,
    positive: Json,
    metric: str | None,
    model: Any,
    rows: FrozenRows | None,
) -> EvalThreshold | Missing:
    """The decision rule.

    Args:
        given: a number, `"argmax"`, `"argmax:0.6"` (no answer, null, below that score), `"identity"`, a whole rule, or
            None.
        positive: the label at or above a cut-off; None: found, see below.
        metric: the metric that the cut was chosen by.
        model: the estimator, if one is in memory; its `classes_` name the labels.
        rows: the holdout, whose targets name the labels where the model does not.

    The labels of a cut-off are the two classes of the model, or the two values of the target; the positive one is the
    one that sorts last (1 of 0 and 1, True of False, yes of no), unless it is named.

    Raises:
        UsageError: not a rule, or a cut-off where there are not two labels.
    """
    if given is None:
        return Missing("eval_threshold", "no threshold was given")
    chosen_on = HOLDOUT if rows is not None else None
    if isinstance(given, EvalThreshold):
        return replace(given, metric=given.metric or metric, slice=given.slice or chosen_on)
    rule, _, least = str(given).partition(":")
    if given == IDENTITY:
        return EvalThreshold(IDENTITY, metric=metric, slice=chosen_on)
    try:
        if rule == ARGMAX:
            return EvalThreshold(ARGMAX, float(least) if least else None, metric=metric, slice=chosen_on)
        value = float(given)
    except ValueError as error:
        raise UsageError(
            f"{given!r} is no threshold", hint="Give a number, 'argmax' for several classes, or 'identity'."
        ) from error
    high, low = _labels(positive, model, rows)
    return EvalThreshold(CUT_OFF, value, high, low, metric, chosen_on)


def _labels(positive: Json, model: Any, rows: FrozenRows | None) -> tuple[Json, Json]:
    known = getattr(model, "classes_", None)
    targets = rows.targets() if rows is not None else None
    labels: list[Json]
    if known is not None:
        labels = [plain(label) for label in list(known)]
    elif targets is not None:
        different = {encode(plain(label)): label for label in targets}
        labels = sorted(different.values(), key=lambda label: (str(type(label)), label))
    else:
        labels = [False, True]
    if len(labels) != 2 or (positive is not None and positive not in labels):  # noqa: PLR2004 - a cut makes two
        raise UsageError(
            f"a cut-off chooses between two labels; there are {len(labels)}: {labels[:10]}",
            hint="Use threshold='argmax' for several classes, or name positive= among the labels.",
        )
    # The model's own form of the label: true and 1.0 are ways to write a 1.
    place = 1 if positive is None else labels.index(positive)
    return labels[place], labels[1 - place]

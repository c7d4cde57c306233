"""How a score becomes an answer, as far as a script said it, or the kind of model lets it be told.

What is stated here is true of the bundle: the loader that goes with a rule gives it the scores that the rule speaks of.

    said                          loader            rule
    a number                      mlflow-scores     cut_off of the probability, or of the number that a pyfunc answers
    argmax, argmax:0.6            mlflow-scores     argmax over the probabilities
    identity                      mlflow            what the pyfunc answers
    nothing; a regressor          mlflow            identity
    nothing; a classifier         mlflow-labels     argmax over the votes: all of them for the label that it answers
    nothing; anything else        mlflow            missing
"""

import math
from collections.abc import Sequence

from holdfast.bridges.mlflow.mlmodel import LoggedModel
from holdfast.bridges.mlflow.said import Said
from holdfast.bridges.mlflow.signature import answers_of, answers_several
from holdfast.bridges.mlflow.weights import Estimator
from holdfast.canonical import Json, decode
from holdfast.errors import HoldfastError
from holdfast.flow.bundle.adding import SEVERAL_ANSWERS
from holdfast.parts import EvalThreshold, Missing
from holdfast.parts.eval_threshold import ARGMAX, CUT_OFF, IDENTITY
from holdfast.runtime.loaders.mlflow import ANSWERS, LABELS, SCORES

__all__ = ["threshold_of"]

_OWN = "holdfast.threshold"
_KEYS = (_OWN, "threshold", "eval_threshold", "decision_threshold")
"""Under which names a script may say it: as a tag, a param, or in the model's metadata."""

_NAME = "eval_threshold"

_TWO = 2

_OBJECTIVES = (
    "reg:",
    "count:",
    "survival:",
    "regression",
    "poisson",
    "quantile",
    "tweedie",
    "gamma",
    "huber",
    "fair",
    "mape",
)
"""How the objectives of XGBoost and LightGBM begin whose answers are the numbers that were asked for."""


def threshold_of(
    model: LoggedModel | None, estimator: Estimator, said: Said, classes: Sequence[Json] | None
) -> tuple[EvalThreshold | Missing, str]:
    """The rule, and the loader whose scores it is for.

    Args:
        model: what the MLmodel file says.
        estimator: what is known of the model itself.
        said: where a script may have said it.
        classes: the model's classes, where the plugin recorded them; None where they are not known.
    """
    if model is None or model.pyfunc is None:
        return Missing(_NAME, "nothing says how the model answers"), ANSWERS
    for key in _KEYS:
        text = said.word(key, model.metadata)
        if text is None:
            continue
        rule, least = _rule(text)
        if rule is not None:
            if key == _OWN or rule != CUT_OFF or not estimator.regresses:
                return _as_said((rule, least), model, estimator, said, classes)
        elif key == _OWN:
            return Missing(_NAME, f"{_OWN} is {text[:40]!r}, which is no number, argmax or identity"), ANSWERS
    return _untold(model, estimator, said)


def _rule(text: str) -> tuple[str | None, float | None]:
    name, _, least = text.partition(":")
    try:
        value = float(least if name == ARGMAX else text) if name != IDENTITY and (least or name != ARGMAX) else None
    except ValueError:
        return None, None
    if value is not None and not math.isfinite(value):
        return None, None
    return name if name in {ARGMAX, IDENTITY} else CUT_OFF, value


def _as_said(
    told: tuple[str, float | None],
    model: LoggedModel,
    estimator: Estimator,
    said: Said,
    classes: Sequence[Json] | None,
) -> tuple[EvalThreshold | Missing, str]:
    rule, value = told
    metric, chosen_on = (
        said.word("holdfast.metric", model.metadata),
        said.word("holdfast.threshold_slice", model.metadata),
    )
    if rule == IDENTITY:
        return EvalThreshold(IDENTITY, metric=metric, slice=chosen_on), ANSWERS
    loader = SCORES if estimator.scores else ANSWERS
    if rule == ARGMAX:
        if not estimator.scores:
            return Missing(_NAME, f"argmax needs a score for each class, and {estimator.name} is not known to"), ANSWERS
        return EvalThreshold(ARGMAX, value, metric=metric, slice=chosen_on), loader
    labels = _labels(model, estimator, said, classes)
    if labels is None:
        why = f"the cut {value:g} is known, and not which two labels it chooses between: tag holdfast.positive and "
        return Missing(_NAME, f"{why}holdfast.negative"), ANSWERS
    return EvalThreshold(CUT_OFF, value, *labels, metric, chosen_on), loader


def _labels(
    model: LoggedModel, estimator: Estimator, said: Said, classes: Sequence[Json] | None
) -> tuple[Json, Json] | None:
    """The label at or above the cut, and that below it: as said, as recorded, or what whole numbers and flags mean."""
    answers = answers_of(model)
    high, low = (said.word(f"holdfast.{name}", model.metadata) for name in ("positive", "negative"))
    if classes is not None:
        if len(classes) != _TWO:
            return None
        positive = _label(high, answers) if high is not None else classes[1]
        return (positive, classes[0] if positive == classes[1] else classes[1]) if positive in classes else None
    if high is not None and low is not None:
        return _label(high, answers), _label(low, answers)
    if high is not None or answers == "text":
        return None
    return (1, 0) if estimator.scores and answers != "boolean" else (True, False)


def _label(text: str, answers: str) -> Json:
    """A label as a tag writes it: a number or a flag where the model answers with those."""
    if answers == "text":
        return text
    try:
        found = decode(text, what="the label")
    except HoldfastError:
        return text
    return text if isinstance(found, dict | list) else found


def _untold(model: LoggedModel, estimator: Estimator, said: Said) -> tuple[EvalThreshold | Missing, str]:
    answers = answers_of(model)
    if model.predict_fn != "predict":
        return Missing(
            _NAME, f"the model answers with {model.predict_fn}, and nothing says how that is decided"
        ), ANSWERS
    if estimator.regresses or _fits_numbers(said):
        return EvalThreshold(IDENTITY), ANSWERS
    if estimator.scores and estimator.classifies:
        return EvalThreshold(ARGMAX), LABELS
    if answers in {"text", "boolean"}:
        # A label is no score: whatever was to be decided, the model has decided.
        return EvalThreshold(IDENTITY), ANSWERS
    several = SEVERAL_ANSWERS if answers_several(model) else None
    return Missing(_NAME, several or "nothing says how what the model answers becomes a decision"), ANSWERS


def _fits_numbers(said: Said) -> bool:
    """Whether a booster was trained to answer with a number, as autologging writes it among the params."""
    return any(params.get("objective", "").startswith(_OBJECTIVES) for params in (said.params, said.model_params))

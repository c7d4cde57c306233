"""The decision rule, from what a person says."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from holdfast.errors import UsageError
from holdfast.flow.bundle.holdout import FrozenRows, read_rows
from holdfast.flow.bundle.threshold import threshold_part
from holdfast.parts import EvalThreshold, Missing


def part(given: Any, *, positive: Any = None, model: Any = None, targets: list[Any] | None = None) -> Any:
    rows = None if targets is None else read_rows((pd.DataFrame({"x": targets}), targets), None, Path())
    return threshold_part(given, positive=positive, metric="recall", model=model, rows=rows)


def fitted(labels: list[Any]) -> LogisticRegression:
    x = np.arange(len(labels) * 4.0).reshape(-1, 1)
    return LogisticRegression().fit(x, np.repeat(np.array(labels), 4))


def test_nothing_given_is_missing() -> None:
    found = part(None, targets=[0, 1])
    assert isinstance(found, Missing)
    assert found.why == "no threshold was given"


@pytest.mark.parametrize("given", [0.42, "0.42", np.float64(0.42), np.float32(0.42), 0, 1, "1e-3"])
def test_a_number_is_a_cut_between_two_labels(given: Any) -> None:
    found = part(given, model=fitted(["no", "yes"]))
    assert found == EvalThreshold("cut_off", float(given), "yes", "no", "recall", None)
    assert type(found.value) is float


def test_where_it_was_chosen_is_said() -> None:
    assert part(0.5, targets=[0, 1]).slice == "holdout"
    assert part("argmax", targets=[0, 1]).slice == "holdout"


@pytest.mark.parametrize(
    ("labels", "positive", "high", "low"),
    [
        ([0, 1], None, 1, 0), ([0, 1], 0, 0, 1), ([0, 1], True, 1, 0), ([0, 1], 1.0, 1, 0), ([False, True], None,
        True, False),
        (["a", "b"], "a", "a", "b"), ([0.0, 1.0], None, 1.0, 0.0), ([-1, 1], None, 1, -1),
    ],
)  # fmt: skip
def test_the_labels_come_from_the_model_or_from_the_targets(
    labels: list[Any], positive: Any, high: Any, low: Any
) -> None:
    for found in (part(0.5, positive=positive, model=fitted(labels)), part(0.5, positive=positive, targets=labels * 2)):
        assert (found.positive, found.negative) == (high, low)
        assert (type(found.positive), type(found.negative)) == (type(high), type(low))


def test_without_model_and_targets_there_are_true_and_false() -> None:
    found = part(0.5)
    assert (found.positive, found.negative) == (True, False)


@pytest.mark.parametrize(
    ("given", "rule", "value"),
    [("argmax", "argmax", None), ("argmax:0.6", "argmax", 0.6), ("identity", "identity", None)],
)
def test_rules_by_name(given: str, rule: str, value: float | None) -> None:
    found = part(given)
    assert (found.rule, found.value) == (rule, value)


def test_a_whole_rule_is_kept_and_completed() -> None:
    rule = EvalThreshold("cut_off", 0.3, "b", "a")
    assert part(rule, targets=["a", "b"]) == EvalThreshold("cut_off", 0.3, "b", "a", "recall", "holdout")
    said = EvalThreshold("cut_off", 0.3, "b", "a", "f1", "2025")
    assert part(said, targets=["a", "b"]) == said


@pytest.mark.parametrize(
    "given",
    [
        "half",
        "",
        "nan",
        "inf",
        float("nan"),
        "argmax:",
        "argmax:x",
        "argmax:nan",
        "argmaxx",
        "identity:3",
        "argmin",
        [0.5],
    ],
)
def test_what_is_no_threshold_is_refused(given: Any) -> None:
    if given == "argmax:":
        assert part(given).value is None
        return
    with pytest.raises((UsageError, TypeError)):
        part(given, targets=[0, 1])


@pytest.mark.parametrize(
    ("model", "targets", "positive"),
    [
        (fitted([0, 1, 2]), None, None), (None, [0, 1, 2], None), (None, [1, 1], None), (LinearRegression(), [0.5,
        1.5, 2.5], None),
        (fitted(["no", "yes"]), None, "maybe"), (fitted(["no", "yes"]), None, 1), (None, [0, 1, None], None), (None,
        [0, "1"], "0"),
    ],
)  # fmt: skip
def test_a_cut_needs_two_labels_and_one_of_them_positive(model: Any, targets: Any, positive: Any) -> None:
    with pytest.raises(UsageError, match="chooses between two labels") as error:
        part(0.5, positive=positive, model=model, targets=targets)
    assert "argmax" in error.value.hint


def test_targets_of_lists_are_refused_and_not_a_crash() -> None:
    rows = FrozenRows(None, read_rows([{"x": 1}], None, Path()).table, None)
    assert threshold_part(0.5, positive=None, metric=None, model=None, rows=rows)

"""Three real tables, those that scikit-learn ships, each cut into training rows and a frozen holdout."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["TABLES", "Row", "Table"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """One data set, as somebody would work with it.

    Attributes:
        name: of the model that is trained on it.
        target: the column with the true answer.
        metric: what its versions are judged by.
        group: a column whose groups are watched.
        hurt: the group that a regression hurts.
        threshold: the decision rule, or the cut-off.
        train, holdout: its rows.
        estimator: an estimator that suits it, not fitted.
    """

    name: str
    target: str
    metric: str
    group: str
    hurt: str
    threshold: float | str
    train: tuple[Row, ...]
    holdout: tuple[Row, ...]
    estimator: Callable[[], Any]

    @property
    def numeric(self) -> bool:
        """Whether its answers are numbers and not labels."""
        return self.threshold == "identity"

    @property
    def columns(self) -> list[str]:
        """The columns that a model learns from."""
        return [name for name in self.train[0] if name not in {self.target, self.group}]


def _cut(rows: list[Row], train: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The first `train` rows of a fixed shuffle, and the others."""
    order = np.random.default_rng(20_260_101).permutation(len(rows))
    return tuple(rows[place] for place in order[:train]), tuple(rows[place] for place in order[train:])


@cache
def tumours() -> Table:
    """Breast tumours, malignant or not; watched by size."""
    found = load_breast_cancer()
    names = [name.replace(" ", "_") for name in found.feature_names]
    middle = float(np.median(found.data[:, 0]))
    rows = [
        {
            **dict(zip(names, map(float, values), strict=True)),
            "size": "large" if values[0] > middle else "small",
            "malignant": int(answer == 0),
        }
        for values, answer in zip(found.data, found.target, strict=True)
    ]
    train, holdout = _cut(rows, 300)
    return Table(
        "tumours", "malignant", "accuracy", "size", "large", 0.5, train, holdout,
        lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5_000)),
    )  # fmt: skip


@cache
def digits() -> Table:
    """Written digits, odd or even; watched by digit."""
    found = load_digits()
    rows = [
        {
            **{f"pixel_{place:02}": float(value) for place, value in enumerate(values)},
            "digit": f"a {answer}",
            "odd": int(answer % 2),
        }
        for values, answer in zip(found.data, found.target, strict=True)
    ]
    train, holdout = _cut(rows, 900)
    return Table(
        "digits", "odd", "accuracy", "digit", "a 3", 0.5, train, holdout,
        lambda: RandomForestClassifier(n_estimators=30, random_state=7, n_jobs=1),
    )  # fmt: skip


@cache
def diabetes() -> Table:
    """How far a disease goes on within a year, a number; watched by sex."""
    found = load_diabetes(scaled=False)
    place = found.feature_names.index("sex")
    rows = [
        {
            **{
                name: float(value)
                for name, value in zip(found.feature_names, values, strict=True)
                if name != "sex"
            },
            "sex": "one" if values[place] == 1 else "other",
            "progression": float(answer),
        }
        for values, answer in zip(found.data, found.target, strict=True)
    ]  # fmt: skip
    train, holdout = _cut(rows, 222)
    return Table(
        "diabetes", "progression", "mean_absolute_error", "sex", "one", "identity", train, holdout,
        lambda: make_pipeline(StandardScaler(), Ridge(alpha=1.0)),
    )  # fmt: skip


TABLES = {"tumours": tumours, "digits": digits, "diabetes": diabetes}
"""Each by its name."""

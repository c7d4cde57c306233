"""Every value that shaped the training, and where it came from."""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from holdfast.canonical import encode
from holdfast.flow.bundle.hyperparameters import known_hyperparameters, with_estimator
from holdfast.parts import Hyperparameters, Missing


def test_nothing_known_is_missing() -> None:
    assert known_hyperparameters({}, None) is None
    assert with_estimator(None) == Missing("hyperparameters", "none were logged, given or found")
    assert isinstance(with_estimator(None, None, "none", lambda rows: rows), Missing)


def test_what_a_person_logged_comes_first() -> None:
    found = known_hyperparameters({"lr": np.float64(0.1), "layers": (3, 4)}, None)
    assert found == Hyperparameters({"lr": 0.1, "layers": [3, 4]}, {"lr": "run", "layers": "run"})


def test_an_estimator_says_its_own_behind_a_name_of_theirs() -> None:
    given = Hyperparameters({"C": 9, "estimator.C": "mine"}, {"C": "run", "estimator.C": "run"})
    found = with_estimator(given, LogisticRegression(C=0.5, random_state=7))
    assert isinstance(found, Hyperparameters)
    assert found.values["C"] == 9
    assert found.values["estimator.C"] == "mine"
    assert found.values["estimator.max_iter"] == 100
    assert found.sources["estimator.max_iter"] == "estimator"
    assert found.seeds == {"estimator.random_state": 7}


def deep(value: Any) -> Any:
    return value


def test_what_is_inside_a_pipeline_is_named_and_nothing_differs_between_two_processes() -> None:
    model = make_pipeline(
        FunctionTransformer(deep), StandardScaler(), RandomForestClassifier(class_weight={0: 1, 1: 5})
    )
    found = with_estimator(None, model)
    assert isinstance(found, Hyperparameters)
    assert found.values["estimator.randomforestclassifier__n_estimators"] == 100
    assert found.values["estimator.randomforestclassifier__class_weight"] == {"0": 1, "1": 5}
    assert found.values["estimator.functiontransformer__func"] == f"{__name__}.deep"
    assert "estimator.steps" not in found.values
    assert "0x" not in repr(found.values)
    encode(found.to_json())


def test_values_that_json_cannot_carry_are_told_as_well_as_it_can() -> None:
    class Odd:
        def get_params(self, *, deep: bool = True) -> dict[str, Any]:
            return {
                "nan": float("nan"),
                "big": 2**70,
                "array": np.array([1.5, 2.5]),
                "kind": int,
                "many": np.zeros(10**5),
            }

    found = with_estimator(None, Odd())
    assert isinstance(found, Hyperparameters)
    assert found.values["estimator.array"] == [1.5, 2.5]
    assert found.values["estimator.nan"] == "nan"
    assert len(encode(found.to_json())) < 1000

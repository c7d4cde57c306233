"""The loader of logged models, as far as it needs no MLflow: `tests/mlflow/` opens them with the real one."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from holdfast.canonical import Json
from holdfast.errors import CannotPackage, MissingExtra
from holdfast.runtime.loaders import loader_for, loader_named
from holdfast.runtime.loaders.mlflow import estimator_scores, leads_outside, rows_of, two_sided, words_for


@pytest.mark.parametrize("name", ["mlflow", "mlflow-labels", "mlflow-scores"])
def test_where_mlflow_is_not_installed_it_says_what_to_pin(name: str) -> None:
    with pytest.raises(MissingExtra, match="logged model of MLflow") as caught:
        loader_named(name).load({"weights/MLmodel": b""}, "sklearn")
    assert "requirements" in caught.value.hint


def test_nothing_in_memory_is_taken_for_a_logged_model() -> None:
    assert loader_for(LogisticRegression()).name == "sklearn"
    with pytest.raises(CannotPackage):
        loader_for(object())


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.array(["no", "yes"]), ["no", "yes"]),
        (np.array([[0.1, 0.9]]), [[0.1, 0.9]]),
        (np.array([[3.5], [4.5]]), [3.5, 4.5]),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
        (pd.DataFrame({"answer": [1, 2]}), [1, 2]),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), [[1.0, 2.0]]),
        ({"a": [1, 2], "b": [3, 4]}, [[1, 3], [2, 4]]),
        ({"variable": np.array([[3.5], [4.5]])}, [3.5, 4.5]),
        (np.array([[[3.5]], [[4.5]]]), [3.5, 4.5]),
        ({"label": np.array([1]), "probabilities": np.array([[0.1, 0.9]])}, [[1, [0.1, 0.9]]]),
        ([np.float64(0.5), None, True], [0.5, None, True]),
    ],
)
def test_however_a_model_holds_its_answers_there_is_one_value_a_row(found: Any, rows: list[Any]) -> None:
    told = rows_of(found)
    assert told == rows
    assert [type(one) for one in told] == [type(one) for one in rows]


def test_what_is_not_finite_stays_a_number_for_the_pipeline_to_refuse() -> None:
    (plain,), (nested,) = rows_of(np.array([math.nan])), rows_of([[1.0, math.inf]])
    assert math.isnan(plain)
    assert nested == [1.0, math.inf]


@pytest.mark.parametrize(
    ("flavors", "outside"),
    [
        ({"sklearn": {"pickled_model": "model.pkl", "code": None}}, None),
        ({"sklearn": {"pickled_model": "/srv/store/blobs/ab/ab12"}}, "/srv/store/blobs/ab/ab12"),
        (
            {"python_function": {"artifacts": {"rows": {"path": "artifacts/../../x", "uri": "/data/x"}}}},
            "artifacts/../../x",
        ),
        ({"python_function": {"artifacts": {"rows": {"path": "artifacts/x", "uri": "/data/x"}}}}, None),
        ({"torch": {"shards": ["one", "../two"]}}, "../two"),
        ({"python_function": {"model_code_path": "/srv/churn/agent.py"}}, None),
        ({"python_function": {"model_code_path": "/srv/.."}}, ".."),
    ],
)
def test_a_description_may_name_files_of_the_models_own_folder_only(flavors: Any, outside: str | None) -> None:
    assert leads_outside(flavors) == outside


def test_keras_is_opened_with_the_engine_that_it_was_trained_on() -> None:
    assert words_for({"keras": {"keras_backend": "jax", "data": "data"}}) == {"KERAS_BACKEND": "jax"}
    others: list[dict[str, Any]] = [
        {},
        {"keras": {}},
        {"keras": {"keras_backend": "/x"}},
        {"keras": {"keras_backend": 1}},
    ]
    assert [words_for(said) for said in others] == [{}] * 4


class Inside:
    """As MLflow's model holds an estimator."""

    def __init__(self, raw: Any) -> None:
        self._model_impl = self
        self.get_raw_model: Callable[[], Any] = lambda: raw


def test_the_classes_are_those_of_the_estimator_inside_and_its_probabilities_score_them() -> None:
    fitted = LogisticRegression().fit([[0.0], [1.0]], ["no", "yes"])
    inside = estimator_scores(Inside(fitted))
    assert inside is not None
    classes, score = inside
    assert classes == ["no", "yes"]
    assert two_sided(rows_of(score([[1.0]])), classes) == fitted.predict_proba([[1.0]]).tolist()
    assert estimator_scores(object()) is None
    fitted.classes_ = np.array([])
    assert estimator_scores(Inside(fitted)) is None, "those of CatBoost have the word, and no class, where they regress"


@pytest.mark.parametrize("name", ["sklearn_model", "xgb_model", "lgb_model", "cb_model"])
def test_the_wrappers_of_mlflow_2_9_hold_the_estimator_under_names_of_their_own(name: str) -> None:
    """Taken from MLflow 2.9.2: its wrappers have no `get_raw_model`."""
    fitted = LogisticRegression().fit([[0.0], [1.0]], ["no", "yes"])
    wrapper = SimpleNamespace(**{name: fitted})
    inside = estimator_scores(SimpleNamespace(_model_impl=wrapper))
    assert inside is not None
    assert inside[0] == ["no", "yes"]


def test_two_classes_share_one_decision_value() -> None:
    classes: list[Json] = ["no", "yes"]
    assert two_sided([0.3], classes) == [[-0.3, 0.3]]

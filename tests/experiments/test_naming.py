"""Names as MLflow's clients write them, and what they are called here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.experiments.naming import alias_name, meant_by, model_name, of_model, of_stage, other_model, other_stage
from holdfast.names import ModelName, StageName

_NAMES = st.text(min_size=1, max_size=200)


@given(_NAMES)
def test_every_name_that_mlflow_takes_is_called_something_here(name: str) -> None:
    try:
        model_name(name)
    except UsageError:
        return
    assert isinstance(of_model(name), ModelName)
    assert isinstance(other_model(name), ModelName)
    assert str(other_model(name)) != name


@given(st.text(st.characters(categories=("L", "N"), include_characters="_-"), min_size=1, max_size=255))
def test_every_alias_that_mlflow_takes_is_a_stage_here(alias: str) -> None:
    try:
        alias_name(alias)
    except UsageError:
        return
    assert isinstance(of_stage(alias, {}), StageName)
    assert isinstance(other_stage(alias), StageName)


@given(_NAMES, _NAMES)
def test_two_names_that_are_none_of_ours_do_not_meet(name: str, other: str) -> None:
    if name != other:
        assert other_model(name) != other_model(other)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("churn", "churn"), ("fraud.v2_eu", "fraud.v2_eu"), ("Churn", "churn-"), ("a b", "a-b-"), ("日本", "model-")],
)
def test_a_name_of_ours_stays_and_any_other_is_told_from_all(name: str, ours: str) -> None:
    found = str(of_model(name))
    assert found == ours if ours == name else found.startswith(ours)
    assert len(found) == len(ours) + (0 if ours == name else 6)


def test_settings_say_which_stage_an_alias_means() -> None:
    meant = meant_by({"aliases": {"champion": "production"}}, "holdfast.toml [mlflow]")
    assert of_stage("champion", meant) == StageName("production")
    assert of_stage("Challenger", meant) == StageName("challenger")
    assert meant_by({}, "holdfast.toml [mlflow]") == {}


@pytest.mark.parametrize(
    "table",
    [
        "champion",
        {"alias": {}},
        {"aliases": "champion"},
        {"aliases": {"champion": 1}},
        {"aliases": {"a b": "production"}},
        {"aliases": {"champion": "Production"}},
        {"aliases": {"latest": "production"}},
    ],
)
def test_settings_that_mean_nothing_are_refused(table: object) -> None:
    with pytest.raises(UsageError):
        meant_by(table, "holdfast.toml [mlflow]")

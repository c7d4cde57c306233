"""Experiments, in a database of each kind."""

import pytest

from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.view import View


def _names(made: SqlExperiments, filter_: str = "", *order_by: str, view: View = View.ACTIVE) -> list[str]:
    found, _ = made.search(view, limit=100, filter=filter_, order_by=order_by)
    return [one["name"] for one in found]


def test_an_experiment_is_found_by_its_id_and_by_its_name(made: SqlExperiments) -> None:
    id_ = made.create("churn", "ana", tags=[("team", "risk")])
    found = made.get(id_)
    assert found == made.by_name("churn")
    assert found == {
        "experiment_id": id_,
        "name": "churn",
        "artifact_location": f"mlflow-artifacts:/{id_}",
        "lifecycle_stage": "active",
        "creation_time": 1_772_355_600_000,
        "last_update_time": 1_772_355_600_000,
        "tags": [{"key": "team", "value": "risk"}],
        "workspace": "default",
    }


def test_the_default_experiment_is_always_there(made: SqlExperiments) -> None:
    assert made.get("0")["name"] == "Default"
    assert made.by_name("Default")["experiment_id"] == "0"
    assert made.create("churn", "ana") != "0"


def test_a_place_of_the_client_stays_as_it_was_named(made: SqlExperiments) -> None:
    assert made.get(made.create("churn", "ana", "s3://bucket/x"))["artifact_location"] == "s3://bucket/x"
    for place in ("runs:/abc", "file:///x#y", "s3://" + "x" * 3000):
        with pytest.raises(UsageError):
            made.create("other", "ana", place)


def test_a_place_that_is_left_out_in_words_is_with_the_server(made: SqlExperiments) -> None:
    id_ = made.create("churn", "ana", "")
    assert made.get(id_)["artifact_location"] == f"mlflow-artifacts:/{id_}"


def test_a_name_is_given_once_even_to_what_is_deleted(made: SqlExperiments) -> None:
    id_ = made.create("churn", "ana")
    made.delete(id_)
    with pytest.raises(AlreadyExists, match=r"Experiment\(name=churn\) already exists"):
        made.create("churn", "ana")
    other = made.create("other", "ana")
    with pytest.raises(AlreadyExists):
        made.rename(other, "churn")
    made.rename(other, "other")
    made.rename(other, "fresh")
    assert made.get(other)["name"] == "fresh"


def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back(
    made: SqlExperiments, logged_runs: SqlRuns
) -> None:
    id_ = made.create("churn", "ana")
    run = logged_runs.create(id_, "ana", 5)["info"]["run_id"]
    made.delete(id_)
    assert made.get(id_)["lifecycle_stage"] == logged_runs.get(run)["info"]["lifecycle_stage"] == "deleted"
    for change, other in ((made.delete, id_), (made.restore, "99")):
        with pytest.raises(NotFound, match="No Experiment with id="):
            change(other)
    with pytest.raises(UsageError, match=f"The experiment {id_} must be in the 'active' state"):
        logged_runs.create(id_, "ana", 5)
    with pytest.raises(UsageError, match="must be in the 'active' state"):
        made.set_tag(id_, "a", "b")
    with pytest.raises(UsageError, match="Cannot rename a non-active experiment"):
        made.rename(id_, "other")
    made.restore(id_)
    assert made.get(id_)["lifecycle_stage"] == logged_runs.get(run)["info"]["lifecycle_stage"] == "active"


def test_tags_are_set_and_taken_away(made: SqlExperiments) -> None:
    id_ = made.create("churn", "ana")
    made.set_tag(id_, "a", "1")
    made.set_tag(id_, "a", "2")
    assert made.get(id_)["tags"] == [{"key": "a", "value": "2"}]
    made.delete_tag(id_, "a")
    assert "tags" not in made.get(id_)
    with pytest.raises(NotFound, match=f"No tag with name: a in experiment with id {id_}"):
        made.delete_tag(id_, "a")
    for key in ("a//b", "..", "a*b", "a" * 251):
        with pytest.raises(UsageError):
            made.set_tag(id_, key, "x")


@pytest.mark.parametrize("said", ["x", "", "1.5"])
def test_an_id_is_a_number(made: SqlExperiments, said: str) -> None:
    with pytest.raises(UsageError, match="Experiment ID must be a valid integer"):
        made.get(said)
    with pytest.raises(NotFound):
        made.get("9" * 30)


def test_experiments_are_searched_and_sorted(made: SqlExperiments) -> None:
    first = made.create("alpha", "ana", tags=[("team", "risk")])
    made.create("Beta", "ana", tags=[("team", "ops"), ("note", "x")])
    gone = made.create("gamma", "ana")
    made.delete(gone)
    assert _names(made, "", "name") == ["Beta", "Default", "alpha"]
    assert _names(made, "", "experiment_id DESC") == ["Beta", "alpha", "Default"]
    assert _names(made, "", "name", view=View.ALL) == ["Beta", "Default", "alpha", "gamma"]
    assert _names(made, view=View.DELETED) == ["gamma"]
    assert _names(made, "tags.team = 'risk'") == ["alpha"]
    assert _names(made, "tags.team != 'risk'") == ["Beta"]
    assert _names(made, "tags.note IS NULL", "name") == ["Default", "alpha"]
    assert _names(made, "name LIKE 'b%'") == []
    assert _names(made, "name ILIKE 'b%' and tags.note IS NOT NULL") == ["Beta"]
    assert _names(made, f"experiment_id IN ('{first}', '0')", "name") == ["Default", "alpha"]
    assert _names(made, "creation_time > 1772355600000") == []
    assert len(_names(made, "creation_time >= 1772355600000")) == 3
    assert _names(made, f"experiment_id IN ('{'9' * 30}')") == []
    for wrong in (
        "experiment_id LIKE '1'",
        "creation_time > 1.5",
        "creation_time > 9" + "9" * 30,
        "experiment_id = 'x'",
    ):
        with pytest.raises(UsageError):
            _names(made, wrong)
    with pytest.raises(UsageError, match="Invalid order_by entity: tag"):
        _names(made, "", "tags.team")


def test_pages_of_experiments_join_into_all_of_them(made: SqlExperiments) -> None:
    for name in "abcde":
        made.create(name, "ana")
    found, page = [], None
    while True:
        some, page = made.search(View.ACTIVE, limit=2, order_by=["name"], page=page)
        found += [one["name"] for one in some]
        if page is None:
            break
    assert found == ["Default", "a", "b", "c", "d", "e"]
    for limit, why in ((0, "It must be a positive integer"), (50_001, "It must be at most 50000")):
        with pytest.raises(UsageError, match=why):
            made.search(View.ACTIVE, limit=limit)

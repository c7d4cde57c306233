"""Step 1: look at a project as it stands, before anything is changed in it."""

import pytest

from tests.story.tumour import Person

pytestmark = pytest.mark.slow


def test_inventory_names_what_is_there_and_what_is_missing(bare: Person) -> None:
    before = bare.git("status", "--porcelain", "--ignored")
    found = bare.json("inventory")
    parts = found["parts"]
    assert found["complete"] is False
    assert parts["weights"]["found"] == []
    assert [one["path"] for one in parts["data_slice"]["found"]][:2] == ["data/holdout.csv", "data/train.csv"]
    assert parts["preprocessing_code"]["found"][0]["what"] == "function featurise"
    assert "--C" in [one["what"] for one in parts["hyperparameters"]["found"]]
    assert parts["eval_threshold"]["found"] == []
    assert found["evidence"]["code"]["commit"] == bare.git("rev-parse", "HEAD")
    assert found["next"][0] == "holdfast init"
    assert bare.git("status", "--porcelain", "--ignored") == before


def test_every_gap_says_what_to_do_about_it(bare: Person) -> None:
    found = bare.json("inventory")
    gaps = [gap for part in found["parts"].values() for gap in part["gaps"]] + found["evidence"]["gaps"]
    assert len(gaps) >= 4
    assert [gap for gap in gaps if not gap["next"].startswith("holdfast ")] == []


def test_a_project_under_holdfast_is_not_told_to_begin_again(held: Person) -> None:
    found = held.json("inventory")
    assert "holdfast init" not in found["next"]
    assert [one["path"] for one in found["parts"]["weights"]["found"]] == ["model.joblib"]

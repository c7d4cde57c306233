"""Step 4: the data that a version was trained on is frozen, and comes back byte for byte."""

import pytest

from tests.story.tumour import Person

pytestmark = pytest.mark.slow


def test_a_snapshot_outlives_its_source(held: Person) -> None:
    source = held.folder / "data/holdout.csv"
    frozen, data = held.json("snapshot", "data/holdout.csv"), source.read_bytes()
    source.unlink()
    held.ok("checkout", frozen["digest"], "back")
    assert (held.folder / "back/holdout.csv").read_bytes() == data


def test_a_version_knows_the_data_it_was_trained_on_and_nobody_had_to_say_so(held: Person) -> None:
    inputs = {item["name"]: item for item in held.json("show", "tumour@1")["parts"]["data_slice"]["inputs"]}
    assert {name: item["role"] for name, item in inputs.items()} == {"train.csv": "input", "holdout.csv": "holdout"}
    (held.folder / "data/train.csv").write_text("somebody wrote over it\n")
    held.ok("checkout", inputs["train.csv"]["digest"], "then")
    assert (held.folder / "then/train.csv").read_text().startswith("mean_radius,")
    assert held.json("show", "tumour@1")["parts"]["data_slice"]["inputs"] == list(inputs.values())


def test_the_bad_export_is_told_apart_by_its_digest(held: Person) -> None:
    digests = [held.json("show", f"tumour@{n}")["parts"]["data_slice"]["inputs"][0]["digest"] for n in (1, 2, 3)]
    assert digests[0] == digests[2] != digests[1]


def test_the_same_data_is_stored_once(held: Person) -> None:
    assert held.json("snapshot", "data/train.csv")["bytes_new"] == 0

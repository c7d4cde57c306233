"""Step 3: versions are numbered, named by their content, and never change."""

import sqlite3
from contextlib import closing

import pytest

from tests.story.tumour import REGISTER, Person, tables

pytestmark = pytest.mark.slow


def test_what_a_run_wrote_becomes_version_one(bare: Person) -> None:
    bare.ok("init")
    run = bare.json("run", "--model", "tumour", "--", "python", "train.py", "--C", "0.1")
    version = bare.json(*REGISTER, "--threshold", "0.5")
    assert (version["version"], version["complete"], version["missing"]) == (1, True, [])
    assert version["run"] == run["id"]
    assert bare.json("show", f"tumour@{version['digest']}")["version"] == 1


def test_the_same_content_is_the_same_version(held: Person) -> None:
    before = tables(held.folder)
    run = held.json("show", "tumour@4")["run"]
    again = held(*REGISTER, "--threshold", "0.35", "--run", run, "--json")
    assert again.error["code"] == "already_exists"
    assert again.error["version"] == 4
    assert tables(held.folder) == before


def test_another_threshold_is_another_version(held: Person) -> None:
    third, fourth = (held.json("show", f"tumour@{number}") for number in (3, 4))
    assert third["parts"]["weights"] == fourth["parts"]["weights"]
    assert third["digest"] != fourth["digest"]
    assert held.json(*REGISTER, "--threshold", "0.3")["version"] == 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET digest = 'x' WHERE number = 1",
        "UPDATE versions SET complete = 1",
        "UPDATE events SET reason = 'x'",
        "DELETE FROM versions WHERE number = 2",
        "DELETE FROM events",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(held: Person, statement: str) -> None:
    before = tables(held.folder)
    with (
        closing(sqlite3.connect(held.folder / ".holdfast/registry.db")) as connection,
        pytest.raises(sqlite3.IntegrityError),
    ):
        connection.execute(statement)
    assert tables(held.folder) == before


def test_the_list_says_what_there_is(held: Person) -> None:
    rows = held.json("list", "tumour")["versions"]
    assert [(row["version"], row["stages"]) for row in rows] == [(1, ["production"]), (2, []), (3, []), (4, [])]
    assert all(row["complete"] for row in rows)

"""The frozen rows and their true answers, however they come."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from holdfast.errors import InvalidInput, NotFound, UsageError
from holdfast.flow.bundle.holdout import TARGET, read_rows

FRAME = pd.DataFrame({"age": [41.5, 18.0], "plan": ["plus", None], "churned": [1, 0]})


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".CSV"])
def test_a_file_of_every_kind_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"holdout{suffix}"
    match suffix.lower():
        case ".csv":
            FRAME.to_csv(path, index=False)
        case ".tsv":
            FRAME.to_csv(path, index=False, sep="\t")
        case ".parquet" | ".pq":
            FRAME.to_parquet(path)
        case ".json":
            FRAME.to_json(path, orient="records")
        case _:
            FRAME.to_json(path, orient="records", lines=True)
    for given in (path.name, Path(path.name), str(path)):
        found = read_rows(given, "churned", tmp_path)
        assert found.table.names == ("age", "plan", "churned")
        assert found.table.columns == ([41.5, 18.0], ["plus", None], [1, 0])
        assert found.targets() == [1, 0]
        assert isinstance(found.raw, pd.DataFrame)


def test_json_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text('[{"updated_at": "2026-03-01", "date": "7", "x": 0.30000000000000004}]')
    found = read_rows("h.json", None, tmp_path)
    assert found.table.column("updated_at") == ["2026-03-01"]
    assert found.table.column("x") == [0.30000000000000004]


@pytest.mark.parametrize(
    ("name", "data"),
    [("h.csv", b""), ("h.csv", b"\xff\xfe\x00a"), ("h.csv", b'a,b\n1,2\n1,2,3\n"'), ("h.parquet", b"not parquet"),
    ("h.json", b"{"),
     ("h.json", b"[1, 2"), ("h.jsonl", b"{}}"), ("h.xlsx", b"x"), ("holdout", b"a,b"), ("h.pkl", b"\x80\x05.")],
)  # fmt: skip
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as error:
        read_rows(name, None, tmp_path)
    assert name in error.value.message


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("absent.csv", "folder.csv", "../absent.csv"):
        with pytest.raises(NotFound):
            read_rows(name, None, tmp_path)


def test_no_rows_and_a_target_that_is_not_there_are_refused() -> None:
    with pytest.raises(UsageError, match="no rows"):
        read_rows(FRAME[:0], "churned", Path())
    with pytest.raises(UsageError, match="no column 'churn'") as error:
        read_rows(FRAME, "churn", Path())
    assert "age, plan, churned" in error.value.hint


Y = [1, 0]


@pytest.mark.parametrize(
    "targets",
    [
        Y,
        tuple(Y),
        np.array(Y),
        np.array([[1], [0]]),
        pd.Series(Y, index=[7, 3]),
        pd.DataFrame({"y": Y}),
        pl.Series(Y),
        pl.DataFrame({"y": Y}),
    ],
    ids=lambda targets: type(targets).__name__,
)
@pytest.mark.parametrize(
    "rows",
    [FRAME[["age", "plan"]], np.array([[1.5, 2.0], [3.5, 4.0]]), [{"age": 1}, {"age": 2}]],
    ids=lambda rows: type(rows).__name__,
)
def test_rows_and_targets_apart(rows: Any, targets: Any) -> None:
    found = read_rows((rows, targets), None, Path())
    assert found.target == TARGET
    assert found.targets() == [1, 0]
    assert (found.table.names or ())[-1] == TARGET
    assert found.raw is rows
    named = read_rows((rows, targets), "churned", Path())
    assert named.target == "churned"


def test_a_path_with_its_targets_apart(tmp_path: Path) -> None:
    FRAME[["age", "plan"]].to_csv(tmp_path / "x.csv", index=False)
    found = read_rows(("x.csv", Y), "churned", tmp_path)
    assert found.table.names == ("age", "plan", "churned")
    assert isinstance(found.raw, pd.DataFrame)


@pytest.mark.parametrize("targets", [[1], [1, 0, 1], [[1, 0], [0, 1]], np.zeros((2, 2)), "ab", 3, [{"a": 1}, {"a": 2}]])
def test_targets_that_do_not_belong_to_the_rows_are_refused(targets: Any) -> None:
    with pytest.raises((UsageError, InvalidInput)):
        read_rows((FRAME, targets), None, Path())


def test_a_target_cannot_take_the_name_of_a_column() -> None:
    with pytest.raises(UsageError, match="'age' already"):
        read_rows((FRAME, Y), "age", Path())


def test_a_bare_array_has_columns_by_number() -> None:
    found = read_rows(np.array([[1.5, 1], [2.5, 0]]), "x1", Path())
    assert found.table.names == ("x0", "x1")
    assert found.targets() == [1.0, 0.0]
    assert read_rows(np.array([[1.5]]), None, Path()).targets() is None

"""Freezing a table in memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.errors import MissingExtra, UsageError
from holdfast.flow.snapshot import load_tree, snapshot
from holdfast.flow.snapshot.table import is_table
from holdfast.store.memory import MemoryStore

COLUMNS = {"age": [30, 41, 5], "name": ["ana", "bo", "çe"], "score": [0.5, 1.5, None]}

TABLES: dict[str, Any] = {
    "pandas": pd.DataFrame(COLUMNS),
    "polars": pl.DataFrame(COLUMNS),
    "pyarrow": pa.table(COLUMNS),
    "batch": pa.record_batch(COLUMNS),
}


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Any:
    return TABLES[request.param]


def frozen_bytes(store: MemoryStore, digest: Any) -> bytes:
    (entry,) = load_tree(store, digest).entries
    return store.read(entry.digest, bytes_max=1 << 20)


def test_a_table_is_frozen_as_parquet_and_reads_back(store: MemoryStore, tmp_path: Path, table: Any) -> None:
    frozen = snapshot(store, table, root=tmp_path)
    assert (frozen.kind, frozen.name, frozen.source, frozen.files) == ("table", "table.parquet", None, 1)
    back = pq.read_table(pa.BufferReader(frozen_bytes(store, frozen.digest)))
    assert back.to_pydict() == COLUMNS


def test_the_same_table_has_the_same_name(store: MemoryStore, tmp_path: Path, table: Any) -> None:
    first = snapshot(store, table, root=tmp_path)
    second = snapshot(store, table, root=tmp_path)
    assert first.digest == second.digest
    assert second.bytes_new == 0


def test_how_a_table_was_put_together_does_not_show(store: MemoryStore, tmp_path: Path) -> None:
    rows = 100_000  # so many different texts that the dictionary of the column overflows, which is where pieces show
    whole = pa.table({"words": [f"k{number * 7919}" * 3 for number in range(rows)]})
    pieces = pa.concat_tables([whole.slice(start, 997) for start in range(0, rows, 997)])
    assert snapshot(store, pieces, root=tmp_path).digest == snapshot(store, whole, root=tmp_path).digest


def test_a_table_may_have_a_name_of_its_own(store: MemoryStore, tmp_path: Path, table: Any) -> None:
    frozen = snapshot(store, table, root=tmp_path, name="train.parquet")
    assert frozen.name == "train.parquet"
    assert load_tree(store, frozen.digest).entries[0].path.text == "train.parquet"


@pytest.mark.parametrize("name", ["../x", "a/b", "/x", "..", "a\\b"])
def test_a_name_that_leads_elsewhere_is_refused(store: MemoryStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        snapshot(store, TABLES["pyarrow"], root=tmp_path, name=name)


def test_a_column_that_parquet_cannot_carry_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Parquet"):
        snapshot(store, pd.DataFrame({"mixed": [1, "two", object()]}), root=tmp_path)
    assert list(store.digests()) == []


def test_the_index_of_a_frame_is_kept(store: MemoryStore, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
    frozen = snapshot(store, frame, root=tmp_path)
    back = pq.read_table(pa.BufferReader(frozen_bytes(store, frozen.digest))).to_pandas()
    pd.testing.assert_frame_equal(back, frame)


def test_a_class_of_ones_own_that_is_a_frame_is_a_table() -> None:
    assert is_table(type("Frame", (pd.DataFrame,), {})(COLUMNS))


@pytest.mark.parametrize("value", [None, "data.csv", Path("data.csv"), {"a": 1}, pd.Series([1]), object()])
def test_what_is_not_a_table_is_not_taken_for_one(value: object) -> None:
    assert not is_table(value)


def test_without_pyarrow_the_extra_is_named(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra) as caught:
        snapshot(store, TABLES["pandas"], root=tmp_path)
    assert "holdfast[tables]" in caught.value.hint


@pytest.mark.slow
def test_freezing_a_folder_imports_no_library_of_tables(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    program = (
        "import sys; from pathlib import Path; from holdfast.flow.snapshot import snapshot\n"
        "from holdfast.store.memory import MemoryStore\n"
        "snapshot(MemoryStore(), sys.argv[1], root=Path('/'))\n"
        "print(sorted({'pandas', 'polars', 'pyarrow', 'pathspec', 'numpy'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "data"], check=True, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ended.stdout == "[]\n"

"""Answers row by row: the digests of rows are lines, and one hash stands for all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import encode
from holdfast.errors import UnsupportedFormat
from holdfast.flow.gate.answered import read_row_digests, root_of, row_digests, rows_that_differ
from holdfast.registry.merkle import root
from holdfast.runtime.pipeline import Answer

LABELS = st.one_of(st.integers(-5, 5), st.text(max_size=3), st.booleans(), st.floats(0, 1))
ROWS = st.lists(st.tuples(LABELS, st.one_of(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=3))), max_size=40)


def answer(rows: list[tuple[object, object]]) -> Answer:
    return Answer([row[0] for row in rows], [row[1] for row in rows], None)


@given(ROWS)
def test_the_root_is_that_of_the_log_over_the_rows(rows: list[tuple[object, object]]) -> None:
    assert root_of(row_digests(answer(rows))) == root(encode(list(row)) for row in rows)


@given(ROWS, ROWS)
def test_the_rows_that_differ_are_those_whose_canonical_bytes_do(
    rows: list[tuple[object, object]], others: list[tuple[object, object]]
) -> None:
    mine, theirs = ([encode(list(row)) for row in given_rows] for given_rows in (rows, others))
    longest = max(len(mine), len(theirs))
    expected = [place for place in range(longest) if mine[place : place + 1] != theirs[place : place + 1]]
    kept, now = (read_row_digests(row_digests(answer(given_rows))) for given_rows in (rows, others))
    assert list(rows_that_differ(kept, now)) == expected


@pytest.mark.parametrize("data", [b"ab\n", b"A" * 64 + b"\n", b"0" * 64, b"0" * 64 + b"\r\n", b"\xff" * 64 + b"\n"])
def test_lines_that_nobody_wrote_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        read_row_digests(data)

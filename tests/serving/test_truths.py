"""Files of truths: CSV and lines of JSON say the same, and a wrong line is named."""

from pathlib import Path

import pytest

from holdfast.errors import InvalidInput, NotFound
from holdfast.registry.rollouts import TRUTHS_AT_ONCE_MAX, Truth
from holdfast.serving.truths import batches


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("request,value,place\nr1,1,0\nr2,yes,3\nr3,2.5,0\n7,true,0\n")
    (tmp_path / "a.jsonl").write_text(
        '{"request": "r1", "value": 1}\n\n{"request": "r2", "value": "yes", "place": 3}\n'
        '{"request": "r3", "value": 2.5}\n{"request": "7", "value": true}\n'
    )
    expected = [Truth("r1", 1), Truth("r2", "yes", 3), Truth("r3", 2.5), Truth("7", value=True)]
    for name in ("a.csv", "a.jsonl"):
        (found,) = batches(tmp_path / name)
        assert found == expected


def test_a_long_file_is_brought_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("request,value\n" + "".join(f"r{number},1\n" for number in range(TRUTHS_AT_ONCE_MAX + 1)))
    assert [len(batch) for batch in batches(file)] == [TRUTHS_AT_ONCE_MAX, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "request\nr1\n"),
        ("a.csv", "request,value,place\nr1,1,-1\n"),
        ("a.csv", "request,value,place\nr1,1,x\n"),
        ("a.csv", "request,value\n,1\n"),
        ("a.csv", "request,value\nr1,1,2,3\n"),
        ("a.jsonl", "[1]\n"),
        ("a.jsonl", "{\n"),
        ("a.jsonl", '{"request": "r1", "value": null}\n'),
        ("a.jsonl", '{"request": "r1", "value": NaN}\n'),
        ("a.jsonl", '{"request": "r1", "value": 1, "other": 2}\n'),
        ("a.jsonl", '{"request": 7, "value": 1}\n'),
    ],
)
def test_a_line_that_is_no_truth_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput):
        list(batches(tmp_path / name))


def test_other_bytes_and_no_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"request,value\n\xff,1\n")
    with pytest.raises(InvalidInput, match="UTF-8"):
        list(batches(tmp_path / "a.csv"))
    with pytest.raises(NotFound):
        list(batches(tmp_path / "b.csv"))

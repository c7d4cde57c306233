"""Numbers are written at once, and are those that were given."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from holdfast.experiments.documents import numbers_of
from holdfast.web.mlflow.telling import numbers

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def read(written: str) -> float:
    found = json.loads(written)
    return _WORDS[found] if isinstance(found, str) else float(found)


@given(st.lists(st.none() | st.floats(allow_nan=False)))
def test_many_numbers_are_what_each_of_them_is(values: list[float | None]) -> None:
    for written in (numbers(values), numbers_of(values)):
        found = [read(one) for one in written]
        assert [None if math.isnan(one) else one for one in found] == values


def test_what_json_has_not_is_told_as_protobuf_tells_it() -> None:
    said = ['"NaN"', '"Infinity"', '"-Infinity"', "-0.0", "0.1"]
    assert numbers([None, math.inf, -math.inf, -0.0, 0.1]) == said
    assert numbers_of([None, math.inf, -math.inf, -0.0, 0.1]) == said

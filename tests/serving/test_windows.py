"""What one version did lately, cut into slices."""

import math

from hypothesis import given
from hypothesis import strategies as st

from holdfast.serving.windows import SLICE_SECONDS, Slice, Windows


@given(st.lists(st.floats(0.0, 4000.0), max_size=200), st.sampled_from([1, 5, 60]))
def test_a_window_holds_what_came_in_its_slices_and_nothing_else(moments: list[float], minutes: int) -> None:
    windows, moments = Windows(), sorted(moments)
    for moment in moments:
        windows.at(moment).requests += 1
        windows.over(minutes, moment)  # looking changes nothing
    now = moments[-1] if moments else 0.0
    first = int(now // SLICE_SECONDS) - minutes * 60 // SLICE_SECONDS + 1
    assert windows.over(minutes, now).requests == sum(int(one // SLICE_SECONDS) >= first for one in moments)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    windows = Windows()
    windows.at(0.0).faults += 5
    assert windows.over(1, 59.0).faults == 5
    assert windows.over(1, 61.0).faults == 0
    assert windows.over(5, 61.0).faults == 5


@given(st.lists(st.floats(0.0002, 60.0), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_off_by_no_more_than_a_step(seconds: list[float], share: float) -> None:
    slice_ = Slice()
    for one in seconds:
        slice_.took(one)
    found = slice_.latency_ms(share)
    exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1] * 1000
    assert found is not None
    assert exact / 1.1 <= found <= exact * 1.1


def test_slices_are_the_same_after_a_way_over_json() -> None:
    slice_ = Slice(requests=3, faults=1, predictions={0: 2}, columns={"age": {3: 1}}, outside={"age": 1})
    slice_.took(0.02)
    assert Slice.from_json({**slice_.to_json(), "latency": {str(k): v for k, v in slice_.latency.items()}}) == slice_
    both = Slice()
    both.add(slice_)
    both.add(slice_)
    assert both.requests == 6
    assert both.columns == {"age": {3: 2}}
    assert slice_.columns == {"age": {3: 1}}


def test_nothing_has_no_share_and_no_percentile() -> None:
    assert Slice().error_share is None
    assert Slice().latency_ms(0.5) is None
    assert Slice().outside_share is None

"""Many questions at once; held to other people's code."""

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from holdfast.statistics.several import confidence_of_each, holm

EXACT = 1e-9


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holms_adjustment_is_that_of_statsmodels(ps: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)  # it looks for garbage at every call, which is nearly all that it does
        expected = list(multipletests(ps, method="holm")[1])
    assert holm(ps) == pytest.approx(expected, abs=EXACT)


def test_no_questions_have_no_answers() -> None:
    assert holm([]) == []
    assert confidence_of_each(0.95, 0) == confidence_of_each(0.95, 1) == pytest.approx(0.95)
    assert confidence_of_each(0.95, 5) == pytest.approx(0.99)

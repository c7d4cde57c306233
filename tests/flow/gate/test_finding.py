"""A gate is as good as its worst finding, and a gate without findings is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.flow.gate.finding import Finding, Outcome, overall

BADNESS = {Outcome.PASS: 0, Outcome.INCONCLUSIVE: 1, Outcome.FAIL: 2}

outcomes = st.lists(st.sampled_from(Outcome), min_size=1, max_size=12)


def findings(found: list[Outcome]) -> list[Finding]:
    return [Finding(f"rule {place}", outcome, "a sentence") for place, outcome in enumerate(found)]


@given(outcomes)
def test_the_gate_ends_as_its_worst_finding(found: list[Outcome]) -> None:
    assert overall(findings(found)) is max(found, key=BADNESS.__getitem__)


@given(outcomes)
def test_the_order_of_the_findings_does_not_matter(found: list[Outcome]) -> None:
    assert overall(findings(found)) is overall(findings(sorted(found)))


@given(outcomes, st.sampled_from(Outcome))
def test_one_more_finding_never_makes_a_gate_better(found: list[Outcome], more: Outcome) -> None:
    assert BADNESS[overall(findings([*found, more]))] >= BADNESS[overall(findings(found))]


@given(outcomes)
def test_a_gate_passes_only_when_everything_passes(found: list[Outcome]) -> None:
    assert (overall(findings(found)) is Outcome.PASS) == (set(found) == {Outcome.PASS})


def test_no_findings_are_no_gate() -> None:
    with pytest.raises(UsageError, match="without rules lets nothing through"):
        overall([])


def test_a_finding_is_written_with_all_it_says() -> None:
    finding = Finding("smoke", Outcome.FAIL, "it differs", "look", {"rows": 3})
    assert finding.to_json() == {
        "rule": "smoke",
        "outcome": "fail",
        "sentence": "it differs",
        "hint": "look",
        "values": {"rows": 3},
    }

"""Whatever somebody has put into a registry as a verdict is shown, or refused as none; nothing breaks over it."""

import copy
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.cli.rendered import exit_of
from holdfast.errors import UnsupportedFormat
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rendering import Report, junit, markdown, page, text
from tests.flow.gate.exhibits import exhibit

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

KEPT = exhibit("gate-1.1")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything stands in a document; of long lists the beginning."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else list(enumerate(value))[:3] if isinstance(value, list) else ()
    for key, one in inner:
        found += places(one, (*path, key))
    return found


PLACES = [path for path in places(KEPT.body) if path]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A verdict in which something stands that no gate would write."""
    body = copy.deepcopy(KEPT.body)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        inner: Any = body
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = draw(JSON)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken this place away
    return body


@given(bodies())
def test_a_verdict_is_shown_or_refused(body: dict[str, Any]) -> None:
    try:
        report = Report.of(replace(KEPT, body=body))
    except UnsupportedFormat:
        return
    assert all(written for written in (page(report), markdown(report), junit(report), "\n".join(text(report))))


def composed(*, waived: bool) -> Report:
    """A rule that failed, waived or not; one that failed in a group, and what stood in for it; an approver."""
    findings = (
        Finding("latency", Outcome.FAIL, "too slow", "Be quick."),
        Finding("groups", Outcome.FAIL, "one is worse", "Look at it."),
        Finding("not_worse", Outcome.PASS, "it is better"),
        Finding("approver", Outcome.INCONCLUSIVE, "approved by nobody", "Approve it."),
    )
    waiver = {"rule": "latency", "by": "ana", "reason": "a slow month", "until": "2026-05-31"}
    groups = [{"rules": ["groups", "not_worse"], "outcome": "pass"}]
    body = {"waived": [waiver] if waived else [], "any_of": groups}
    return Report("churn", 2, "production", 1, "inconclusive", findings, body=body)


def test_what_is_waived_or_stood_in_for_keeps_no_build_back() -> None:
    assert [one.rule for one in composed(waived=True).unsettled] == ["approver"]
    assert [one.rule for one in composed(waived=False).unsettled] == ["latency", "approver"]
    said = junit(composed(waived=True))
    assert 'failures="1" errors="0" skipped="2"' in said
    assert "fail: too slow; waived by ana until 2026-05-31: a slow month" in said
    assert "fail: one is worse; another rule of its group passed" in said
    assert 'failures="2" errors="0" skipped="1"' in junit(composed(waived=False))
    assert exit_of(composed(waived=True), precise=True) == EXIT_CODES["approval_required"]
    assert exit_of(composed(waived=False), precise=True) == EXIT_CODES["gate_inconclusive"]


def test_a_comment_parts_what_was_found_from_who_waived_it() -> None:
    said = markdown(composed(waived=True))
    assert "too slow; waived by ana until" in said
    assert "Approve it." in said
    assert "Be quick." not in said


def test_a_verdict_that_was_kept_is_read_as_it_stands() -> None:
    report = Report.of(KEPT)
    assert (report.title, report.against, report.rows) == ("churn@2 for production", 1, 2_000)
    assert report.counts() == {"pass": 8, "inconclusive": 2}
    assert {who: len(times) for who, times in report.latencies_ms.items()} == {"candidate": 200, "baseline": 200}
    assert len(report.estimates) == 11
    old = Report.of(exhibit("gate-1.0"))
    assert old.estimates == report.estimates
    assert old.latencies_ms == {}

"""Whatever somebody has put into a registry as a verdict is shown, or refused as none; nothing breaks over it."""

import copy
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

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


COMPOSED = exhibit("gate-1.1-composed")
"""`not_worse` is waived, and of `groups` and `metrics_min` the second one is enough."""


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A verdict in which something stands that no gate would write."""
    body = copy.deepcopy(draw(st.sampled_from([KEPT.body, COMPOSED.body])))
    inside = [path for path in places(body) if path]
    for path in draw(st.lists(st.sampled_from(inside), min_size=1, max_size=3)):
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


def test_a_verdict_that_was_kept_is_read_as_it_stands() -> None:
    report = Report.of(KEPT)
    assert (report.title, report.against, report.rows) == ("churn@2 for production", 1, 2_000)
    assert report.counts() == {"pass": 8, "inconclusive": 2}
    assert {who: len(times) for who, times in report.latencies_ms.items()} == {"candidate": 200, "baseline": 200}
    assert len(report.estimates) == 11
    old = Report.of(exhibit("gate-1.0"))
    assert old.estimates == report.estimates
    assert old.latencies_ms == {}


def cases(report: Report) -> dict[str, str]:
    """What a build server takes each rule for."""
    found = ET.fromstring(junit(report)).findall("testsuite/testcase")  # noqa: S314 - our own
    return {one.attrib["name"]: one[0].tag for one in found}


def test_what_is_waived_or_not_needed_is_no_failure_and_is_seen_everywhere() -> None:
    report = Report.of(COMPOSED)
    assert report.said == "passed with 1 waiver"
    told = {one.rule: report.ended(one) for one in report.findings if one.outcome != "pass"}
    assert told == {"not_worse": "fail, waived", "groups": "fail, not needed"}
    assert cases(report)["not_worse"] == cases(report)["groups"] == "skipped"
    assert "failure" not in cases(report).values()
    suite = ET.fromstring(junit(report)).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "2")
    for said in (page(report), markdown(report), junit(report), "\n".join(text(report))):
        assert "waived by ben until 2026-03-31: the labels of March are known to be wrong" in said
        assert "one of groups, metrics" in said
        assert "is enough" in said


def test_a_group_that_none_of_its_rules_passed_excuses_nobody() -> None:
    group = {**COMPOSED.body["any_of"][0], "outcome": "fail"}
    report = Report.of(replace(COMPOSED, body={**COMPOSED.body, "any_of": [group]}))
    assert (cases(report)["groups"], cases(report)["not_worse"]) == ("failure", "skipped")
    again = {**group, "outcome": "pass"}
    report = Report.of(replace(COMPOSED, body={**COMPOSED.body, "any_of": [again, group]}))
    assert cases(report)["groups"] == "failure"


def test_times_stand_between_their_bounds() -> None:
    found = {one.name: one for one in Report.of(COMPOSED).bounds}
    assert {"latency_ms_p50", "latency_ms_p95", "latency_ms_batch_p50", "latency_ratio"} <= set(found)
    half = found["latency_ms_p50"]
    assert half.low is not None
    assert half.high is not None
    assert half.low <= half.value <= half.high < (half.most or 0.0)
    assert found["latency_ms_p99"].high is None
    assert "latency\\_ms\\_p50" in markdown(Report.of(COMPOSED))


def test_what_is_waived_or_stood_in_for_keeps_no_build_from_waiting_for_a_person() -> None:
    findings = (
        Finding("latency", Outcome.FAIL, "too slow", "Be quick."),
        Finding("groups", Outcome.FAIL, "one is worse", "Look at it."),
        Finding("not_worse", Outcome.PASS, "it is better"),
        Finding("approver", Outcome.INCONCLUSIVE, "approved by nobody", "Approve it."),
    )
    waiver = {"rule": "latency", "by": "ana", "reason": "a slow month", "until": "2026-05-31"}
    body = {"waived": [waiver], "any_of": [{"rules": ["groups", "not_worse"], "outcome": "pass"}]}
    report = Report("churn", 2, "production", 1, "inconclusive", findings, body=body)
    assert exit_of(report, precise=True) == EXIT_CODES["approval_required"]
    assert exit_of(replace(report, body={}), precise=True) == EXIT_CODES["gate_inconclusive"]


def test_what_several_rules_want_alike_is_said_once() -> None:
    found = tuple(Finding(rule, Outcome.INCONCLUSIVE, "not asked", "Mend that first.") for rule in ("opens", "smoke"))
    report = Report("churn", 4, "production", None, "fail", found)
    assert [line.strip() for line in text(report)].count("Mend that first.") == 1
    assert "- opens, smoke: Mend that first" in markdown(report)

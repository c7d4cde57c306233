"""Waivers and groups: what a person may answer for, for how long, and what findings come to together."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import decode, encode, plain
from holdfast.digest import hash_bytes
from holdfast.errors import UsageError
from holdfast.flow.gate.catalogue import RULE_NAMES
from holdfast.flow.gate.composing import composition, unsettled, waived, with_waivers
from holdfast.flow.gate.finding import Finding, Outcome, overall
from holdfast.flow.gate.policy import Policy
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.waivers import AHEAD_MAX, NEVER_WAIVED, Waiver
from holdfast.names import ModelName, StageName
from holdfast.registry import outcome_text

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
TODAY = date(2026, 3, 1)
GOOD = {"rule": "latency", "by": "ana", "reason": "the new machines come in May", "until": "2026-05-01"}
WAIVABLE = [name for name in RULE_NAMES if name not in NEVER_WAIVED]


def written(**changes: str | None) -> str:
    """A policy with one waiver; a value is written as it stands but for the texts of `GOOD`."""
    lines: dict[str, str | None] = {key: value if key == "until" else f'"{value}"' for key, value in GOOD.items()}
    lines |= changes
    return "[[gate.production.waive]]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items() if value)


def parse(text: str) -> StagePolicy:
    return Policy.parse(text, where="holdfast.toml").for_stage(CHURN, PRODUCTION)


def fails(text: str) -> UsageError:
    with pytest.raises(UsageError) as raised:
        parse(text)
    return raised.value


def finding(rule: str, outcome: Outcome = Outcome.FAIL) -> Finding:
    return Finding(rule, outcome, "so it is", "Do something.")


def waiver(rule: str = "latency", until: date = TODAY, **more: tuple[int, ...]) -> Waiver:
    return Waiver(rule, "ana", "a slow month", until, **more)


def test_a_waiver_names_its_rule_a_person_a_reason_and_its_last_day() -> None:
    [found] = parse(written(versions="[7, 5, 5]")).waive
    assert found == Waiver("latency", "ana", "the new machines come in May", date(2026, 5, 1), (5, 7))
    assert found.to_json() == {**GOOD, "versions": [5, 7]}


@pytest.mark.parametrize("key", ["rule", "by", "reason", "until"])
def test_a_waiver_that_lacks_something_is_refused(key: str) -> None:
    assert f"[gate.production] waive 1 has no {key}" in fails(written(**{key: None})).message


@pytest.mark.parametrize("rule", sorted(NEVER_WAIVED))
def test_what_nobody_can_waive_is_refused_with_the_reason(rule: str) -> None:
    error = fails(written(rule=f'"{rule}"'))
    assert f"waives {rule}, which nobody can waive" in error.message
    assert NEVER_WAIVED[rule] in error.hint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rule", '"latancy"'),
        ("rule", "3"),
        ("rule", '["latency"]'),
        ("by", '""'),
        ("by", '" ana"'),
        ("by", '"ana\\nben"'),
        ("by", '"ana\\u202Enaeb"'),
        ("by", '"a\\u200Bna"'),
        ("by", '"Ana\\u0308"'),
        ("by", f'"{"x" * 257}"'),
        ("reason", '" "'),
        ("reason", '"a\\u001b[2Jb"'),
        ("reason", f'"{"x" * 501}"'),
        ("until", '"2026-05-01"'),
        ("until", "2026-05-01T09:00:00Z"),
        ("until", "09:00:00"),
        ("until", "20260501"),
        ("versions", "[]"),
        ("versions", "[0]"),
        ("versions", "[true]"),
        ("versions", "5"),
        ("forever", "true"),
    ],
)
def test_a_waiver_that_hides_or_means_nothing_is_refused(key: str, value: str) -> None:
    assert "[gate.production] waive" in fails(written(**{key: value})).message


def test_names_of_every_script_can_answer_for_a_version() -> None:
    for name in ("Zoë Müller", "山田", "Ольга", "O'Neil <o@example.org>"):
        assert parse(written(by=f'"{name}"')).waive[0].by == name


def test_a_stage_has_so_many_waivers_at_most() -> None:
    assert "waive holds 17 waivers, and may hold 16" in fails("\n".join([written()] * 17)).message


def test_a_policy_whose_every_rule_is_waived_is_refused_like_an_empty_one() -> None:
    text = '[gate.production]\nrules = ["latency", "groups"]\n'
    assert parse(text + written(versions="[5]")).waive
    error = fails(text + written(versions="[5]") + "\n" + written(rule='"groups"'))
    assert "waives every rule" in error.message


def test_a_waiver_for_one_of_each_group_waives_the_groups_too() -> None:
    grouped = '[gate.production]\nrules = ["holdout"]\nany_of = [["latency", "groups"]]\n'
    both = written(rule='"holdout"') + "\n" + written()
    with pytest.raises(UsageError, match="waives every rule"):
        parse(grouped + both)
    assert parse(grouped.replace('["holdout"]', '["holdout", "opens"]') + both).rules[0] == "opens"


def test_a_waiver_ends_within_a_year() -> None:
    far = replace(waiver(), until=TODAY + AHEAD_MAX)
    far.require_near(TODAY, "policy")
    for until in (far.until + timedelta(days=1), date(9999, 12, 31)):
        with pytest.raises(UsageError, match="more than 366 days ahead"):
            replace(far, until=until).require_near(TODAY, "policy")
        assert not replace(far, until=until).stands(TODAY)
    assert replace(far, until=date.max).stands(date.max)


@given(st.dates(), st.dates())
def test_a_waiver_stands_to_its_last_day_and_no_longer(until: date, today: date) -> None:
    assert waiver(until=until).stands(today) == (0 <= (until - today).days <= AHEAD_MAX.days)


def test_a_waived_finding_keeps_its_outcome_and_says_who_answers_for_it() -> None:
    [found] = with_waivers([finding("latency")], StagePolicy(waive=(waiver(),)), 5, TODAY)
    assert (found.outcome, found.counts, found.hint) == (Outcome.FAIL, Outcome.PASS, "Do something.")
    told = {"by": "ana", "reason": "a slow month", "until": "2026-03-01"}
    assert found.to_json()["waived"] == told
    assert waived([found]) == [{"rule": "latency", **told}]
    assert "waived" not in finding("latency").to_json()


def test_a_waiver_that_has_ended_has_no_effect_and_is_told() -> None:
    policy = StagePolicy(waive=(waiver(until=TODAY - timedelta(days=1)),))
    [found] = with_waivers([finding("latency")], policy, 5, TODAY)
    assert found.counts is Outcome.FAIL
    assert found.hint == "Do something. The waiver of ana ended with 2026-02-28 and has no effect."


def test_a_waiver_is_for_its_versions_alone_and_not_for_what_passes() -> None:
    policy = StagePolicy(waive=(waiver(versions=(5,)),))
    assert with_waivers([finding("latency")], policy, 6, TODAY)[0].waived is None
    assert with_waivers([finding("latency", Outcome.PASS)], policy, 5, TODAY)[0].waived is None
    assert with_waivers([finding("latency", Outcome.INCONCLUSIVE)], policy, 5, TODAY)[0].waived is not None


@pytest.mark.parametrize(("outcomes", "said"), [("pf", "pass"), ("fi", "inconclusive"), ("ff", "fail"), ("ip", "pass")])
def test_a_group_is_as_good_as_its_best(outcomes: str, said: str) -> None:
    known = {"p": Outcome.PASS, "f": Outcome.FAIL, "i": Outcome.INCONCLUSIVE}
    found = [finding("latency", known[outcomes[0]]), finding("groups", known[outcomes[1]])]
    policy = StagePolicy(any_of=(("latency", "groups"),))
    assert overall(found, policy.any_of) == said
    assert composition(found, policy)["any_of"] == [{"rules": ["latency", "groups"], "outcome": said}]
    assert bool(unsettled(found, policy.any_of)) == (said != "pass")


def test_a_rule_in_a_group_is_asked_and_no_longer_needed_alone() -> None:
    policy = parse('[gate.production]\nany_of = [["latency", "groups"]]')
    assert set(policy.rules) == set(StagePolicy().rules)
    found = [finding(name, Outcome.FAIL if name == "groups" else Outcome.PASS) for name in policy.rules]
    assert overall(found, policy.any_of) is Outcome.PASS
    assert overall(found) is Outcome.FAIL


@pytest.mark.parametrize(
    "text",
    [
        "any_of = []\nrules = []",
        'any_of = ["latency", "groups"]',
        'any_of = [["latency"]]',
        'any_of = [["latency", "latency"]]',
        'any_of = [["latency", "latancy"]]',
        *(f'any_of = [["latency", "{rule}"]]' for rule in sorted(NEVER_WAIVED)),
        'any_of = [["latency", "groups"]]\nrules = ["latency", "integrity"]',
        'any_of = [["latency", "groups"]]\nrules_also = ["groups"]',
    ],
)
def test_a_group_that_would_hide_something_is_refused(text: str) -> None:
    fails(f"[gate.production]\n{text}")


def test_a_models_own_table_is_checked_as_it_counts() -> None:
    general = '[gate.production]\nany_of = [["latency", "groups"]]\n'
    with pytest.raises(UsageError, match="any_of and among its rules"):
        parse(f'{general}[model.churn.gate.production]\nrules_also = ["latency"]')


def test_the_digest_of_a_policy_is_that_of_all_that_it_asks() -> None:
    policies = [parse(""), parse(written()), parse(written(reason='"another"')), parse(written(versions="[5]"))]
    policies += [parse(f"[gate.production]\n{key}") for key in ("margin = 0.01", 'any_of = [["latency", "groups"]]')]
    assert len({policy.digest for policy in policies}) == len(policies)
    for policy in policies:
        assert policy.digest == hash_bytes(encode(plain(policy.to_json())))
    assert parse("").digest == parse("[gate.production]\nmargin = 0.0").digest


@pytest.mark.parametrize("versions", [None, "[5]"])
def test_a_policy_is_read_again_from_what_a_verdict_keeps(versions: str | None) -> None:
    keys = 'any_of = [["latency", "smoke"]]\nrules_also = ["completeness"]\nmetric = "recall"\n'
    policy = parse("[gate.production]\n" + keys + written(versions=versions, rule='"groups"'))
    kept = decode(encode(plain(policy.to_json())), what="a policy")
    again = StagePolicy.from_json("production", kept, "the verdict")
    assert again == policy
    assert again.digest == policy.digest
    kept["waive"][0]["until"] = "soon"
    with pytest.raises(UsageError, match="is not a day"):
        StagePolicy.from_json("production", kept, "the verdict")
    for key in ("rules", "rules_also", "any_of", "waive"):
        bad: list[Any] = [7, [7], [[7]], [{}], [{"until": 7}], {"x": 1}]
        for value in bad:
            with pytest.raises(UsageError):
                StagePolicy.from_json("production", {**plain(policy.to_json()), key: value}, "the verdict")


@pytest.mark.parametrize(
    ("outcome", "count", "said"),
    [
        ("pass", 0, "pass"),
        ("pass", 1, "passed with 1 waiver"),
        ("pass", 2, "passed with 2 waivers"),
        ("fail", 1, "fail"),
    ],
)
def test_a_pass_that_rests_on_waivers_says_so(outcome: str, count: int, said: str) -> None:
    assert outcome_text(outcome, [None] * count) == said


OUTCOMES = st.sampled_from(Outcome)
FINDINGS = st.fixed_dictionaries(dict.fromkeys(WAIVABLE, OUTCOMES)).map(
    lambda found: [finding(rule, outcome) for rule, outcome in found.items()]
)
GROUPS = st.lists(st.sampled_from(list(combinations(WAIVABLE, 2))), max_size=3)
WAIVERS = st.lists(
    st.builds(waiver, st.sampled_from(WAIVABLE), st.dates(TODAY - timedelta(days=400), TODAY + timedelta(days=400))),
    max_size=4,
)
ORDER = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}


@given(FINDINGS, WAIVERS, GROUPS)
def test_waiving_one_rule_never_makes_another_pass(
    findings: list[Finding], waivers: list[Waiver], groups: list[tuple[str, ...]]
) -> None:
    policy = StagePolicy(waive=tuple(waivers), any_of=tuple(groups))
    after = with_waivers(findings, policy, 1, TODAY)
    assert [one.outcome for one in after] == [one.outcome for one in findings]
    standing = {one.rule for one in waivers if one.stands(TODAY)}
    for one in after:
        assert one.counts == (Outcome.PASS if one.rule in standing else one.outcome)
    assert (overall(after, groups) is Outcome.PASS) == (not unsettled(after, groups))


@given(FINDINGS, GROUPS, st.integers(0, len(WAIVABLE) - 1), OUTCOMES)
def test_a_better_finding_never_makes_a_worse_gate(
    findings: list[Finding], groups: list[tuple[str, ...]], place: int, outcome: Outcome
) -> None:
    other = [*findings]
    other[place] = replace(findings[place], outcome=outcome)
    before, after = ORDER[overall(findings, groups)], ORDER[overall(other, groups)]
    if ORDER[outcome] >= ORDER[findings[place].outcome]:
        assert after >= before
    else:
        assert after <= before


@given(FINDINGS, WAIVERS, st.lists(st.sampled_from(WAIVABLE), min_size=1, unique=True))
def test_a_stricter_policy_never_passes_more(findings: list[Finding], waivers: list[Waiver], asked: list[str]) -> None:
    """Fewer waivers, no groups, and more rules each leave the outcome where it is, or make it worse."""
    policy, some = StagePolicy(waive=tuple(waivers)), [one for one in findings if one.rule in asked]
    lax, more = (with_waivers(found, policy, 1, TODAY) for found in (some, findings))
    fewer = with_waivers(some, replace(policy, waive=policy.waive[1:]), 1, TODAY)
    group = [tuple(asked)] if len(asked) > 1 else []
    assert ORDER[overall(fewer)] <= ORDER[overall(lax)]
    assert ORDER[overall(more)] <= ORDER[overall(lax)]
    assert ORDER[overall(lax)] <= ORDER[overall(lax, group)]

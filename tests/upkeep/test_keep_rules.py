"""Keep-rules: which versions stay, and why; as laws over whatever a registry may say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import STAGES, Hold, Stage, Tenure, Version
from holdfast.upkeep.keep_rules import Facts, KeepRules, Which, keep

CHURN = ModelName("churn")
PRODUCTION, STAGING = StageName("production"), StageName("staging")
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
NOTHING = KeepRules(versions=0, incident_days=0, recent_days=0)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def digest(number: int) -> Digest:
    return hash_bytes(str(number).encode())


LATER = day(50)


def a_version(number: int, on_day: int = 0) -> Version:
    return Version(
        CHURN, VersionNumber(number), digest(number), True, (), None, None, {}, day(on_day), "ana"
    )  # fmt: skip


def a_stage(number: int | None, good: int | None = None, name: StageName = PRODUCTION) -> Stage:
    held = None if number is None else VersionNumber(number)
    holder = None if number is None else digest(number)
    return Stage(CHURN, name, held, holder, 1, None if good is None else VersionNumber(good), 0, START)


def history(numbers: Sequence[int], stage: StageName = PRODUCTION) -> tuple[Tenure, ...]:
    """These versions held the stage, each from its day on: the first from day 0."""
    begins = [*enumerate(numbers), (len(numbers), None)]
    return tuple(
        Tenure(CHURN, stage, VersionNumber(number), event, day(event), day(until) if after is not None else None)
        for (event, number), (until, after) in pairwise(begins)
        if number is not None
    )


def a_hold(number: int) -> Hold:
    return Hold(12, digest(number), "churn", number, "an audit", "ana", START)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    count = draw(st.integers(1, 6))
    number = st.integers(1, count)
    moves = draw(st.lists(number, max_size=8))
    moves = [one for one, before in zip(moves, [None, *moves], strict=False) if one != before]
    stages = (a_stage(moves[-1] if moves else None, draw(st.none() | number)),)
    return Facts(
        versions=tuple(a_version(one, draw(st.integers(0, 20))) for one in range(1, count + 1)),
        stages=stages,
        tried={("churn", one): "canary beside production" for one in draw(st.sets(number, max_size=1))},
        tenures=history(moves, draw(st.sampled_from([PRODUCTION, STAGING]))),
        holds=tuple(map(a_hold, draw(st.lists(number, max_size=1)))),
        restored={digest(one): day(draw(st.integers(0, 40))) for one in draw(st.sets(number, max_size=2))},
        readers={digest(one): "r1" for one in draw(st.sets(number, max_size=1))},
        parents={digest(one): (digest(draw(number)),) for one in draw(st.sets(number, max_size=2))},
    )


RULES = st.builds(
    KeepRules, versions=st.integers(0, 4), incident_days=st.integers(0, 40), recent_days=st.integers(0, 40)
)
MOMENTS = st.integers(0, 80).map(day)


def reasons(rules: KeepRules, found: Facts, now: datetime = LATER) -> dict[Which, str]:
    return {one: kept.reason for one, kept in keep(rules, found, now).items()}


@given(rules=RULES, found=facts(), now=MOMENTS)
def test_what_is_live_or_good_or_held_stays_under_any_rules(rules: KeepRules, found: Facts, now: datetime) -> None:
    kept = reasons(rules, found, now)
    pointed = {stage.number for stage in found.stages} | {stage.last_known_good for stage in found.stages}
    for number in pointed - {None}:
        assert kept["churn", int(number or 0)].startswith(("live in", "last-known-good of"))
    assert all(("churn", hold.version) in kept for hold in found.holds)
    assert found.tried.keys() <= kept.keys()


@given(rules=RULES, found=facts(), now=MOMENTS, wider=st.sampled_from(["versions", "incident_days", "recent_days"]))
def test_wider_rules_keep_no_less(rules: KeepRules, found: Facts, now: datetime, wider: str) -> None:
    more = replace(rules, **{wider: getattr(rules, wider) + 1})
    assert keep(rules, found, now).keys() <= keep(more, found, now).keys()


@given(rules=RULES, found=facts(), days=st.tuples(st.integers(0, 80), st.integers(0, 80)))
def test_time_alone_makes_nothing_kept_that_was_not(rules: KeepRules, found: Facts, days: tuple[int, int]) -> None:
    sooner, later = map(day, sorted(days))
    assert keep(rules, found, later).keys() <= keep(rules, found, sooner).keys()


@given(rules=RULES, found=facts(), now=MOMENTS, order=st.randoms())
def test_the_order_in_which_facts_are_told_does_not_matter(
    rules: KeepRules, found: Facts, now: datetime, order: Any
) -> None:
    def turned(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(order.sample(values, len(values)))

    other = replace(found, versions=turned(found.versions), tenures=turned(found.tenures), stages=turned(found.stages))
    assert keep(rules, other, now).keys() == keep(rules, found, now).keys()


@given(found=facts(), versions=st.integers(0, 7))
def test_so_many_of_those_that_held_the_stage_stay_and_no_more(found: Facts, versions: int) -> None:
    alone = Facts(versions=found.versions, tenures=found.tenures)
    kept = keep(replace(NOTHING, versions=versions, stages=STAGES), alone, day(50))
    assert len(kept) == min(versions, len({tenure.number for tenure in found.tenures}))


def test_the_last_ones_are_counted_by_when_they_last_held_the_stage() -> None:
    found = Facts(versions=tuple(map(a_version, (1, 2, 3, 4))), tenures=history([1, 2, 3, 1, 4]))
    assert reasons(replace(NOTHING, versions=2), found) == {
        ("churn", 1): "one of the last 2 in production",
        ("churn", 4): "one of the last 2 in production",
    }


def test_only_protected_stages_count() -> None:
    found = Facts(versions=(a_version(1),), tenures=history([1], STAGING))
    assert reasons(KeepRules(recent_days=0), found) == {}
    assert reasons(KeepRules(recent_days=0, stages=(STAGING,)), found) == {("churn", 1): "one of the last 3 in staging"}


def test_windows_end_and_begin_again_with_a_restore() -> None:
    rules = replace(NOTHING, incident_days=10, recent_days=5)
    found = Facts(versions=tuple(map(a_version, (1, 2))), stages=(a_stage(2),), tenures=history([1, 2]))
    assert reasons(rules, found, day(4))["churn", 1] == "in production until 2026-03-02: incident window"
    assert keep(rules, found, day(4))["churn", 1].hint.startswith("It is due from 2026-03-12 on")
    assert ("churn", 1) in reasons(rules, found, day(11) - timedelta(seconds=1))
    assert ("churn", 1) not in reasons(rules, found, day(11))
    back = replace(found, restored={digest(1): day(20)})
    said = "in production until 2026-03-02, restored 2026-03-21: incident window"
    assert reasons(rules, back, day(29))["churn", 1] == said
    assert ("churn", 1) not in reasons(rules, back, day(30))
    new = Facts(versions=(a_version(3, 30),))
    assert reasons(rules, new, day(33)) == {("churn", 3): "registered 3 days ago"}
    assert reasons(rules, replace(new, restored={digest(3): day(40)}), day(41)) == {("churn", 3): "restored 1 day ago"}


def test_a_version_that_another_was_made_from_stays_with_it_and_no_further() -> None:
    found = Facts(
        versions=tuple(map(a_version, (1, 2, 3))),
        stages=(a_stage(3),),
        parents={digest(3): (digest(2),), digest(2): (digest(1),)},
    )
    assert reasons(NOTHING, found) == {("churn", 3): "live in production", ("churn", 2): "lineage of churn@3"}


def test_what_a_run_reads_stays() -> None:
    found = Facts(versions=(a_version(1),), readers={digest(1): "0f3a"})
    assert reasons(NOTHING, found) == {("churn", 1): "run 0f3a"}


def parse(**table: Any) -> KeepRules:
    return KeepRules.parse(table, "holdfast.toml", STAGES)


def test_what_the_file_does_not_say_is_the_default() -> None:
    assert parse() == KeepRules() == KeepRules(versions=3, incident_days=30, recent_days=30)
    assert parse(versions=5, stages=["production"], archive="cold") == KeepRules(
        versions=5, stages=(PRODUCTION,), archive="cold"
    )


@pytest.mark.parametrize(
    ("table", "said", "hint"),
    [
        ({"version": 3}, "unknown key 'version'", "Did you mean versions?"),
        ({"versions": -1}, "versions = -1", "zero or more"),
        ({"versions": True}, "versions = True", "zero or more"),
        ({"incident_days": 1.5}, "incident_days = 1.5", "whole number of days"),
        ({"recent_days": 10**9}, "recent_days", "whole number of days"),
        ({"stages": ["prodction"]}, "stages", "[stages] names"),
        ({"stages": "production"}, "stages", "a list"),
        ({"archive": ""}, "archive", "remote"),
    ],
)
def test_a_mistake_in_the_rules_is_told_with_its_place(table: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=r"holdfast.toml \[retention\]") as refused:
        parse(**table)
    assert said in refused.value.message
    assert hint in refused.value.hint


def test_rules_that_are_no_table_are_refused() -> None:
    with pytest.raises(UsageError, match="is not a table"):
        KeepRules.parse(3, "holdfast.toml", STAGES)

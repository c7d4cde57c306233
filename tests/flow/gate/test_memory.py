"""A bound on memory is kept or broken; a ratio needs the other version."""

from dataclasses import replace
from typing import Any

import pytest

from holdfast.canonical import encode, plain
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.memory import memory
from tests.flow.gate.cases import RIGHT, case, without_answer, without_baseline_answer

MB = 1_000_000


def judge(mine: int | None, theirs: int | None = None, **policy: Any) -> Finding:
    found = case(RIGHT, RIGHT, **policy)
    assert found.measured is not None
    assert found.against is not None
    found = replace(found, measured=replace(found.measured, memory_bytes=mine))
    finding = memory(replace(found, against=replace(case(RIGHT, RIGHT).measured, memory_bytes=theirs)))  # type: ignore[type-var]
    encode(plain(finding.to_json()))
    return finding


@pytest.mark.parametrize(("mine", "outcome"), [(299 * MB, "pass"), (300 * MB, "pass"), (300 * MB + 1, "fail")])
def test_a_bound_is_held(mine: int, outcome: str) -> None:
    finding = judge(mine, memory_bytes_max=300 * MB)
    assert finding.outcome == outcome
    assert finding.sentence.startswith("its process needed 3") or "299 MB" in finding.sentence
    assert "300 MB allowed" in finding.sentence


@pytest.mark.parametrize(("mine", "outcome"), [(200, "pass"), (220, "pass"), (221, "fail")])
def test_a_ratio_is_held_against_the_other_version(mine: int, outcome: str) -> None:
    finding = judge(mine * MB, 200 * MB, memory_ratio_max=1.1)
    assert finding.outcome == outcome
    assert "times the 200 MB of the version that holds the stage, 1.1 times allowed" in finding.sentence
    assert finding.values["memory_ratio"] == mine / 200


def test_a_ratio_to_what_was_not_measured_decides_nothing() -> None:
    assert judge(MB, None, memory_ratio_max=1.1).outcome is Outcome.INCONCLUSIVE
    assert judge(301 * MB, None, memory_ratio_max=1.1, memory_bytes_max=300 * MB).outcome is Outcome.FAIL
    assert judge(MB, None).outcome is Outcome.PASS


def test_a_first_version_has_nothing_to_be_compared_with() -> None:
    found = case(RIGHT, memory_ratio_max=1.1)
    assert found.measured is not None
    assert memory(replace(found, measured=replace(found.measured, memory_bytes=MB))).outcome is Outcome.PASS


def test_what_was_not_measured_decides_nothing() -> None:
    assert judge(None, memory_bytes_max=MB).outcome is Outcome.INCONCLUSIVE
    found = case(RIGHT, RIGHT, memory_bytes_max=MB)
    assert memory(without_answer(found)).outcome is Outcome.INCONCLUSIVE
    assert memory(without_baseline_answer(found)).outcome is Outcome.INCONCLUSIVE

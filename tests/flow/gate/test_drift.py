"""`drift` fails for what is both significant and large, and says what is only one of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import NotFound
from holdfast.flow.gate.drift import drift
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.training import Looked, Training
from tests.flow.gate.cases import RIGHT, case


def trained_on(columns: dict[str, Any], name: str = "train.csv") -> Training:
    rows = max((len(values) for values in columns.values()), default=0)
    held = {key: np.asarray(values) for key, values in columns.items()}
    return Training((Looked(name, "train", hash_bytes(name.encode()), rows, sample=held),))


def judged(before: Training, now: Training, **policy: Any) -> Finding:
    return drift(replace(case(RIGHT, RIGHT, **policy), training=now, earlier=before))


def normal(count: int, middle: float = 0.0, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(middle, 1, count)


def words(**counts: int) -> list[str]:
    return [word for word, count in counts.items() for _ in range(count)]


def test_the_same_distribution_has_not_drifted() -> None:
    finding = judged(trained_on({"age": normal(4000)}), trained_on({"age": normal(3000, seed=2)}))
    assert finding.outcome is Outcome.PASS
    assert finding.sentence == "1 columns compared; no drift can be detected"


def test_what_moved_by_more_than_half_its_deviation_fails_and_is_told_in_its_unit() -> None:
    finding = judged(trained_on({"age": normal(4000)}), trained_on({"age": normal(3000, 0.8, seed=2)}))
    assert finding.outcome is Outcome.FAIL
    assert finding.sentence.startswith("age moved by 0.7")
    (column,) = finding.values["columns"]
    assert column["distance"] == pytest.approx(0.8, abs=0.1)
    assert column["p_adjusted"] < 1e-9


@pytest.mark.thorough
def test_what_moved_a_little_among_many_rows_is_detectable_and_not_large() -> None:
    finding = judged(trained_on({"age": normal(40_000)}), trained_on({"age": normal(40_000, 0.1, seed=2)}))
    assert finding.outcome is Outcome.PASS
    assert "detectable, not large: age moved by 0.1" in finding.sentence
    assert (
        judged(
            trained_on({"age": normal(40_000)}),
            trained_on({"age": normal(40_000, 0.1, seed=2)}),
            drift_psi_max=0.005,
        ).outcome
        is Outcome.FAIL
    )


def test_what_is_large_among_few_rows_may_be_chance() -> None:
    finding = judged(trained_on({"age": normal(25, seed=5)}), trained_on({"age": normal(20, seed=2)}))
    assert finding.values["columns"][0]["psi"] > 0.25
    assert finding.outcome is Outcome.PASS


@pytest.mark.thorough
def test_many_columns_are_adjusted_for_being_many() -> None:
    count = 120
    before = {f"x{n}": normal(300, seed=n) for n in range(count)}
    now = {f"x{n}": normal(300, seed=1000 + n) for n in range(count)}
    finding = judged(trained_on(before), trained_on(now), drift_psi_max=0.0)
    assert min(column["p"] for column in finding.values["columns"]) < 0.05
    assert finding.outcome is Outcome.PASS


def test_categories_and_what_is_missing_are_compared_and_new_ones_counted() -> None:
    before = {"plan": words(basic=500, plus=500), "note": np.array([None, "a"] * 500, object)}
    now = {"plan": words(basic=100, plus=500, pro=400), "note": np.array(["a", "a"] * 500, object)}
    finding = judged(trained_on(before), trained_on(now))
    assert finding.outcome is Outcome.FAIL
    assert "plan moved 40.0% of the rows" in finding.sentence
    assert "missing note moved 50.0% of the rows" in finding.sentence
    assert {column["new_categories"] for column in finding.values["columns"] if column["of"] == "values"} == {0, 1}


def test_new_columns_those_that_are_gone_and_what_cannot_be_compared_are_told() -> None:
    before = {"age": normal(300), "old": normal(300), "name": [f"n{n}" for n in range(300)], "empty": [None] * 300}
    now = {"age": normal(900, seed=2), "new": normal(900), "name": [f"m{n}" for n in range(900)], "empty": [None] * 900}
    finding = judged(trained_on(before), trained_on(now, "train2.csv"))
    assert finding.outcome is Outcome.PASS
    assert "train2.csv has the new column new; train2.csv lacks the column old" in finding.sentence
    assert "name, empty could not be compared" in finding.sentence


def test_neither_the_order_of_rows_nor_of_columns_means_anything() -> None:
    before, now = (
        {"a": normal(500), "b": normal(500, seed=3)},
        {"a": normal(400, 0.3, seed=4), "b": normal(400, seed=5)},
    )
    turned = {"b": now["b"][::-1], "a": now["a"][::-1]}

    def told(columns: dict[str, Any]) -> Any:
        return sorted(judged(trained_on(before), trained_on(columns)).values["columns"], key=lambda one: one["column"])

    for one, other in zip(told(now), told(turned), strict=True):
        assert {**one, "distance": 0} == {**other, "distance": 0}
        assert one["distance"] == pytest.approx(other["distance"], rel=1e-12)


def test_with_nothing_to_compare_it_decides_nothing() -> None:
    lost = Training((Looked("a", "train", hash_bytes(b"a"), trouble=NotFound("it is lost", hint="look")),))
    given = trained_on({"age": normal(30)})
    for before, now in ((lost, given), (given, lost), (given, Training()), (Training(), given)):
        assert judged(before, now).outcome is Outcome.INCONCLUSIVE
    assert judged(given, trained_on({"size": normal(30)})).outcome is Outcome.INCONCLUSIVE
    assert drift(case(RIGHT, RIGHT)).outcome is Outcome.INCONCLUSIVE
    assert drift(case(RIGHT)).outcome is Outcome.PASS

"""Deliberate regressions on three real tables: each is caught by the rule that is meant for it, in plain words."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.flow.gate import Outcome
from tests.regressions.regressions import HONEST, REGRESSIONS, Laboratory, laboratory
from tests.regressions.tables import TABLES

pytestmark = pytest.mark.slow

PAIRS = [
    (table, name) for table in TABLES for name, regression in REGRESSIONS.items() if table in regression.only
]  # fmt: skip


@pytest.fixture(params=TABLES)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    with laboratory(TABLES[request.param](), tmp_path / "project") as found:
        yield found


def test_an_honest_version_passes_every_rule_that_is_asked_by_default(lab: Laboratory) -> None:
    """Trained on the same rows but for the last ten: a usual retraining."""
    verdict = lab.judged(lab.add(lab.table.train[:-10]), HONEST)
    said = {finding.rule: finding.sentence for finding in verdict.findings if finding.outcome is not Outcome.PASS}
    assert not said


@pytest.mark.parametrize(("table", "name"), PAIRS)
def test_a_regression_is_caught_by_the_rule_that_is_meant_for_it(table: str, name: str, tmp_path: Path) -> None:
    regression = REGRESSIONS[name]
    with laboratory(TABLES[table](), tmp_path / "project") as lab:
        verdict = lab.judged(regression.make(lab), regression.policy)
    (finding,) = (finding for finding in verdict.findings if finding.rule == regression.rule)
    if "environment could not be built" in finding.sentence:
        pytest.skip(f"no index serves that library for this Python: {finding.sentence}")
    assert verdict.outcome is Outcome.FAIL
    assert finding.outcome is Outcome.FAIL, finding
    assert regression.says.format(hurt=lab.table.hurt) in finding.sentence
    assert finding.hint

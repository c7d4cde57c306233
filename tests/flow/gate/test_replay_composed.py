"""Verdicts that rest on waivers, groups, own code, costs, rehearsals, keys and measurements are computed again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import BundleFailed
from holdfast.flow.gate import Policy, Workbench, gate
from holdfast.flow.gate.replay import Replayed, ReplayedRule, Standing, replay
from holdfast.flow.promote import Promotion, promote
from holdfast.registry.records import NewVerdict
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table
from holdfast.runtime.signed import sign_version
from holdfast.wire import Project
from tests.certificates import certificate
from tests.projects import ask, version
from tests.signatures import key_of

pytestmark = pytest.mark.slow

LONG_AGO = datetime(2026, 3, 1, 9, tzinfo=UTC)
WAIVED = """[gate.production]
rules = ["opens", "not_worse"]
[[gate.production.waive]]
rule = "not_worse"
by = "ben"
reason = "the labels of March are known to be wrong"
until = 2026-03-31
"""
OWN = """[rules.own]
file = "gates/own.py"
function = "check"
[rules.unasked]
file = "gates/own.py"
function = "check"
[gate.production]
rules = ["opens", "own"]
custom = { own = { least = 0.5 }, unasked = { least = 1 } }
"""
CHECK = """
def check(case):
    right = sum(said == true for said, true in zip(case.candidate.predictions, case.targets)) / len(case.targets)
    assert right > case.parameters["least"]
    return case.passed(f"{right:.2f} are right", {"right": right})
"""
COSTS = """
def costs(targets, predictions, scores, rows):
    return [row["age"] / 10 * (true != said) for true, said, row in zip(targets, predictions, rows)]
"""

Judge = Callable[..., Digest]


@pytest.fixture
def here(churn: Project, bench: Workbench) -> Workbench:
    """The same, with the project's own code; churn@1 holds the stage."""
    promote(Promotion(ask(1)), bench, churn.registry)
    (churn.settings.project / "gates").mkdir()
    return replace(bench, project=churn.settings.project)


@pytest.fixture
def judged(churn: Project, here: Workbench) -> Judge:
    def of(number: int, text: str, at: datetime | None = None) -> Digest:
        request = ask(number, policy=Policy.parse(text, where="holdfast.toml"))
        return gate(request if at is None else replace(request, at=at), here, churn.registry).digest

    return of


def rule(replayed: Replayed, name: str) -> ReplayedRule:
    return next(one for one in replayed.rules if one.rule == name)


def holds(replayed: Replayed) -> bool:
    """Every rule and the whole end as they ended, with the same numbers."""
    assert {one.rule: one.changed for one in replayed.rules if one.changed} == {}
    assert replayed.whole.changed == ()
    return replayed.standing is Standing.HOLDS


def rewritten(churn: Project, digest: Digest, **changes: object) -> Digest:
    kept = churn.registry.verdict(digest)
    body: JsonObject = {**kept.body, **changes}
    outcome = str(body["outcome"])
    return churn.registry.put_verdict(NewVerdict(kept.model, kept.number, kept.stage, outcome, body)).digest


def test_a_waiver_that_has_ended_since_stands_in_the_verdict_of_its_day(
    churn: Project, here: Workbench, judged: Judge
) -> None:
    then, now = judged(4, WAIVED, LONG_AGO), judged(4, WAIVED)
    assert [churn.registry.verdict(one).outcome for one in (then, now)] == ["pass", "fail"]
    replayed = replay(then, here, churn.registry)
    assert holds(replayed)
    assert (rule(replayed, "not_worse").now, replayed.whole.now) == ("fail", "pass")
    assert holds(replay(now, here, churn.registry))


def test_an_outcome_or_a_waiver_that_was_made_up_does_not_hold(churn: Project, here: Workbench, judged: Judge) -> None:
    refused = judged(4, WAIVED)
    replayed = replay(rewritten(churn, refused, outcome="pass"), here, churn.registry)
    assert {one.standing for one in replayed.rules} == {Standing.HOLDS}
    assert (replayed.whole.standing, replayed.whole.then, replayed.whole.now) == (Standing.DIFFERS, "pass", "fail")
    assert replayed.standing is Standing.DIFFERS
    allowed = judged(4, WAIVED, LONG_AGO)
    [waiver] = churn.registry.verdict(allowed).body["waived"]
    replayed = replay(rewritten(churn, allowed, waived=[{**waiver, "by": "cleo"}]), here, churn.registry)
    assert (replayed.whole.standing, replayed.whole.changed) == (Standing.DIFFERS, ("waived[0].by",))


def test_a_finding_that_was_taken_out_counts_all_the_same(churn: Project, here: Workbench, judged: Judge) -> None:
    refused = judged(4, WAIVED)
    findings = [one for one in churn.registry.verdict(refused).body["findings"] if one["rule"] != "not_worse"]
    replayed = replay(rewritten(churn, refused, outcome="pass", findings=findings), here, churn.registry)
    assert [one.rule for one in replayed.rules] == ["opens"]
    assert replayed.whole.standing is Standing.DIFFERS


def test_a_group_comes_to_what_it_came_to(churn: Project, here: Workbench, judged: Judge) -> None:
    group = '[gate.production]\nrules = ["opens"]\nany_of = [["not_worse", "smoke"]]'
    verdict = judged(4, group)
    assert churn.registry.verdict(verdict).body["any_of"] == [{"rules": ["not_worse", "smoke"], "outcome": "pass"}]
    assert churn.registry.verdict(verdict).outcome == "pass"
    assert holds(replay(verdict, here, churn.registry))


def test_an_own_rule_is_computed_again_by_the_code_that_judged(churn: Project, here: Workbench, judged: Judge) -> None:
    file = churn.settings.project / "gates/own.py"
    file.write_text(CHECK)
    verdict = judged(2, OWN)
    replayed = replay(verdict, here, churn.registry)
    assert holds(replayed)
    assert rule(replayed, "own").now == "pass"
    file.write_text("raise SystemExit('other code must not be run')\n")
    replayed = replay(verdict, here, churn.registry)
    assert (rule(replayed, "own").standing, rule(replayed, "own").now) == (Standing.OPEN, None)
    assert "the code that judged then, sha256:" in rule(replayed, "own").sentence
    assert (replayed.whole.standing, replayed.whole.now) == (Standing.OPEN, None)
    assert rule(replay(verdict, replace(here, project=None), churn.registry), "own").standing is Standing.OPEN


def test_costs_are_computed_again_by_the_code_that_said_them(churn: Project, here: Workbench, judged: Judge) -> None:
    file = churn.settings.project / "gates/money.py"
    file.write_text(COSTS)
    text = '[gate.production]\nrules = ["opens", "not_worse"]\nguards = { f1 = 0.05 }\nmetric = "cost"\n'
    verdict = judged(2, f'{text}cost = {{ file = "gates/money.py", function = "costs" }}')
    replayed = replay(verdict, here, churn.registry)
    assert holds(replayed)
    assert rule(replayed, "not_worse").sentence.startswith("cost ")
    assert rule(replayed, "guards").now == "pass"
    file.write_text(f"{COSTS}\n# changed\n")
    replayed = replay(verdict, here, churn.registry)
    assert (rule(replayed, "not_worse").standing, rule(replayed, "opens").standing) == (Standing.OPEN, Standing.HOLDS)
    by_table = judged(2, f"{text}cost = {{ false_positive = 1.0, false_negative = 20.0 }}")
    assert holds(replay(by_table, here, churn.registry))


def test_the_rehearsal_is_the_one_that_was_looked_at(churn: Project, here: Workbench, judged: Judge) -> None:
    text = '[gate.production]\nrules = ["integrity", "rehearsed"]'
    never = judged(2, text)
    left, back = ((number, version(churn, number).digest) for number in (2, 1))
    first = churn.registry.put_rehearsal(certificate(left, back, switch_ms=30.5), "ana")
    tried = judged(2, text)
    failed = {"step": 3, "name": "smoke", "why": "worse", "code": "gate_refused", "hint": "…"}
    churn.registry.put_rehearsal(certificate(left, back, outcome="fail", failed=failed), "ana")
    broken = judged(2, text)
    assert [churn.registry.verdict(one).outcome for one in (never, tried, broken)] == ["fail", "pass", "fail"]
    assert str(first.digest) in str(churn.registry.verdict(tried).body["findings"])
    for verdict in (never, tried, broken):
        assert holds(replay(verdict, here, churn.registry))


def test_the_keys_are_those_that_were_trusted_then(churn: Project, here: Workbench, judged: Judge) -> None:
    file = churn.settings.project / "ana.pub"
    file.write_text(key_of("ana").public.pem)
    sign_version(version(churn, 2), key_of("ana"), churn.registry, churn.store, actor="ana")
    verdict = judged(2, '[gate.production]\nrules = ["signature"]\nsigned_by = ["ana.pub"]')
    file.unlink()
    replayed = replay(verdict, here, churn.registry)
    assert holds(replayed)
    assert rule(replayed, "signature").now == "pass"


def test_times_and_memory_are_judged_as_they_were_kept(churn: Project, here: Workbench, judged: Judge) -> None:
    text = '[gate.production]\nrules = ["opens", "latency"]\nlatency_ms_p50_max = 1000\nmemory_bytes_max = 8000000000\n'
    verdict = judged(2, f"{text}memory_ratio_max = 50\nlatency_ratio_max = 50")
    assert holds(replay(verdict, here, churn.registry))
    anew = replay(verdict, here, churn.registry, timed=True)
    assert rule(anew, "latency").changed


class Alone:
    """A bundle's worker that answers tables, and breaks down on a row alone."""

    def __init__(self, worker: Predictor) -> None:
        self._worker = worker

    def predict(self, rows: Table) -> Answer:
        if rows.count == 1:
            raise BundleFailed("one row has no mean", hint="Look at it.")
        return self._worker.predict(rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)


def test_a_bundle_that_breaks_down_on_a_row_alone_does_so_again(churn: Project, here: Workbench) -> None:
    @contextmanager
    def opener(files: BundleFiles) -> Iterator[Any]:
        with here.opener(files) as worker:
            yield Alone(worker)

    breaking = replace(here, opener=opener)
    asked = Policy.parse('[gate.production]\nrules = ["opens", "smoke", "latency"]', where="policy")
    verdict = gate(ask(2, policy=asked), breaking, churn.registry)
    assert (verdict.findings[0].rule, verdict.findings[0].outcome) == ("opens", "fail")
    replayed = replay(verdict.digest, breaking, churn.registry)
    assert (rule(replayed, "opens").standing, rule(replayed, "opens").now) == (Standing.HOLDS, "fail")
    assert rule(replay(verdict.digest, here, churn.registry), "opens").standing is Standing.DIFFERS

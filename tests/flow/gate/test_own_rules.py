"""Rules of a project's own: only a finding lets a version through, and the verdict names the code that spoke."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.canonical import plain
from holdfast.digest import hash_bytes
from holdfast.errors import GateRefused, UsageError
from holdfast.flow.gate import Finding, GateVerdict, Outcome, Policy, Workbench, gate
from holdfast.flow.gate.own_rules import weighed
from holdfast.flow.promote import Promotion, promote
from holdfast.wire import Project
from tests.projects import ask

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

SAID = {"parameters": {}, "code": {"file": "gates/own.py", "digest": "sha256:00"}}

FAIR = """
def check(case):
    right = {}
    for row, true, said in zip(case.rows, case.targets, case.candidate.predictions):
        right.setdefault(row["age"] >= case.parameters["old"], []).append(true == said)
    shares = {str(old): sum(found) / len(found) for old, found in right.items()}
    told = f"{min(shares.values()):.2f} of the worse group are right"
    if min(shares.values()) < case.parameters["share_min"]:
        return case.failed(told, "Train with more of them.", shares)
    return case.passed(told, shares | {"against": case.baseline and case.baseline.version})
"""


class TestWeighed:
    def test_a_finding_is_kept_beside_the_code_that_spoke(self) -> None:
        answer = {"outcome": "fail", "sentence": "two groups\ndiffer", "hint": "Look.", "values": {"ratio": 0.5}}
        finding = weighed("fairness", answer, SAID)
        assert finding == Finding("fairness", FAIL, "two groups differ", "Look.", {**SAID, "found": {"ratio": 0.5}})

    def test_a_pass_has_no_hint_and_anything_else_has_one(self) -> None:
        assert weighed("own", {"outcome": "pass", "sentence": "well", "hint": "never"}, SAID).hint == ""
        assert "gates/own.py" in weighed("own", {"outcome": "fail", "sentence": "bad"}, SAID).hint

    def test_it_may_say_which_rule_it_is_but_not_that_it_is_another(self) -> None:
        passing = {"outcome": "pass", "sentence": "well"}
        assert weighed("own", {**passing, "rule": "own"}, SAID).outcome is PASS
        with pytest.raises(UsageError, match="answered for the rule 'approver'"):
            weighed("own", {**passing, "rule": "approver"}, SAID)

    def test_no_terminal_is_told_what_to_do(self) -> None:
        finding = weighed("own", {"outcome": "fail", "sentence": "\x1b[2J" + "x" * 5000, "hint": "a\x07b"}, SAID)
        assert finding.sentence.startswith("[2Jxxx")
        assert len(finding.sentence) == 1000
        assert finding.hint == "a b"

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            True,
            "pass",
            ["pass"],
            {},
            {"outcome": "pass"},
            {"outcome": "pass", "sentence": ""},
            {"outcome": "pass", "sentence": " \x00 "},
            {"outcome": "pass", "sentence": 1},
            {"outcome": "PASS", "sentence": "well"},
            {"outcome": True, "sentence": "well"},
            {"outcome": ["pass"], "sentence": "well"},
            {"outcome": "pass", "sentence": "well", "hint": 1},
            {"outcome": "pass", "sentence": "well", "values": [1]},
            {"outcome": "pass", "sentence": "\ud800"},
            {"outcome": "pass", "sentence": "well", "values": {"x": "x" * (256 << 10)}},
        ],
        ids=lambda answer: repr(answer)[:60],
    )
    def test_what_is_no_finding_never_passes(self, answer: Any) -> None:
        with pytest.raises(UsageError, match="the rule own "):
            weighed("own", answer, SAID)

    def test_values_that_nest_past_any_use_are_refused(self) -> None:
        values: dict[str, Any] = {}
        for _ in range(80):
            values = {"x": values}
        with pytest.raises(UsageError, match="no verdict can keep"):
            weighed("own", {"outcome": "pass", "sentence": "well", "values": values}, SAID)


def policy(text: str, more: str = "", custom: str = "{}") -> Policy:
    asked = f'[gate.production]\nrules = ["integrity", "own"]\ncustom.own = {custom}\n{more}'
    return Policy.parse(f"{text}\n{asked}", where="holdfast.toml")


OWN = '[rules.own]\nfile = "gates/own.py"\nfunction = "check"'

Judge = Callable[..., GateVerdict]


@pytest.fixture
def write(churn: Project) -> Callable[[str], Path]:
    def put(body: str, name: str = "own.py") -> Path:
        file = churn.settings.project / "gates" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(body, encoding="utf-8")
        return file

    return put


@pytest.fixture
def judge(churn: Project, bench: Workbench) -> Judge:
    def of(number: int, asked: Policy) -> GateVerdict:
        here = replace(bench, project=churn.settings.project)
        return gate(ask(number, policy=asked), here, churn.registry)

    return of


def finding_of(verdict: GateVerdict, name: str = "own") -> Finding:
    return next(finding for finding in verdict.findings if finding.rule == name)


@pytest.mark.slow
class TestInTheGate:
    def test_a_rule_in_a_file_of_the_project_decides(
        self, churn: Project, judge: Judge, write: Callable[..., Path]
    ) -> None:
        file = write(FAIR)
        for share, outcome in ((0.1, PASS), (1.01, FAIL)):
            verdict = judge(1, policy(OWN, custom=f"{{ old = 40, share_min = {share} }}"))
            finding = finding_of(verdict)
            assert (finding.outcome, verdict.outcome) == (outcome, outcome)
            assert set(finding.values["found"]) >= {"True", "False"}
            assert finding.values["code"]["digest"] == str(hash_bytes(file.read_bytes()))
            body = churn.registry.verdict(verdict.digest).body
            assert body["inputs"]["code"] == {"own": str(hash_bytes(file.read_bytes()))}
            assert body["policy"]["sources"]["own"]["file"] == "gates/own.py"
            assert body["findings"] == plain([one.to_json() for one in verdict.findings])

    def test_it_is_shown_the_version_that_holds_the_stage(
        self, churn: Project, judge: Judge, bench: Workbench, write: Callable[..., Path]
    ) -> None:
        promote(Promotion(ask(1)), bench, churn.registry)
        write(
            "def check(case):\n"
            "    theirs, mine = case.baseline.metrics['accuracy'], case.candidate.metrics['accuracy']\n"
            "    return case.passed('both', {'theirs': theirs, 'mine': mine, 'who': case.baseline.version,\n"
            "        'weights': case.baseline.manifest['parts']['weights']['loader']})\n"
        )
        found = finding_of(judge(2, policy(OWN))).values["found"]
        assert found["who"] == 1
        assert found["weights"] == "sklearn"
        assert found["mine"] > found["theirs"] > 0.5

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("def check(case):\n    raise ValueError('no')\n", "gates/own.py raised at line 2: ValueError: no"),
            ("def chekc(case):\n    pass\n", "gates/own.py has no function check"),
            ("import os\nos._exit(0)\n", "ended without an answer, with exit code 0"),
            ("def check(case):\n    print('pass')\n    return case.passed('x')\n", "gates/own.py printed 'pass'"),
            ("def check(case):\n    return {'rule': 'approver', 'outcome': 'pass', 'sentence': 'x'}\n", "'approver'"),
            ("def check(case):\n    return case.passed('x', {'y': float('nan')})\n", "not JSON compliant"),
            ("while True: pass\n", "gates/own.py did not answer within 2 s, and was ended"),
        ],
        ids=["raises", "is misspelt", "exits", "prints", "speaks for another", "nan", "hangs"],
    )
    def test_whatever_else_it_does_is_inconclusive_and_nobody_is_let_through(
        self, judge: Judge, write: Callable[..., Path], body: str, said: str
    ) -> None:
        file = write(body)
        verdict = judge(1, policy(f"{OWN}\nseconds_max = 2.0"))
        finding = finding_of(verdict)
        assert (finding.outcome, verdict.outcome) == (INCONCLUSIVE, INCONCLUSIVE)
        assert said in finding.sentence
        assert finding.hint
        assert finding.values["code"]["digest"] == str(hash_bytes(file.read_bytes()))

    def test_a_file_that_is_not_the_projects_own_is_not_run(self, churn: Project, judge: Judge, tmp_path: Path) -> None:
        outside = tmp_path / "own.py"
        outside.write_text("def check(case):\n    return case.passed('from elsewhere')\n")
        gates = churn.settings.project / "gates"
        gates.mkdir()
        assert "is not in the project" in finding_of(judge(1, policy(OWN))).sentence
        (gates / "own.py").symlink_to(outside)
        finding = finding_of(judge(1, policy(OWN)))
        assert (finding.outcome, "leads out of the project" in finding.sentence) == (INCONCLUSIVE, True)

    def test_other_bytes_than_policy_asks_for_are_not_run(self, judge: Judge, write: Callable[..., Path]) -> None:
        file = write("def check(case):\n    return case.passed('reviewed')\n")
        asked = policy(f'{OWN}\ndigest = "{hash_bytes(file.read_bytes())}"')
        assert finding_of(judge(1, asked)).outcome is PASS
        write("def check(case):\n    return case.passed('changed')\n")
        finding = finding_of(judge(1, asked))
        assert (finding.outcome, "policy asks for sha256:" in finding.sentence) == (INCONCLUSIVE, True)

    def test_where_there_is_no_project_none_of_its_code_is_run(self, churn: Project, bench: Workbench) -> None:
        verdict = gate(ask(1, policy=policy(OWN)), bench, churn.registry)
        assert "there is no project here" in finding_of(verdict).sentence

    def test_a_promotion_is_refused_by_it(self, churn: Project, bench: Workbench, write: Callable[..., Path]) -> None:
        write("def check(case):\n    return case.failed('too few of the old are right', 'Train with more of them.')\n")
        here = replace(bench, project=churn.settings.project)
        with pytest.raises(GateRefused, match="own: too few of the old are right") as caught:
            promote(Promotion(ask(1, policy=policy(OWN))), here, churn.registry)
        assert caught.value.hint == "Train with more of them."

    def test_costs_of_the_projects_own_are_judged_by(
        self, churn: Project, judge: Judge, bench: Workbench, write: Callable[..., Path]
    ) -> None:
        promote(Promotion(ask(1)), bench, churn.registry)
        file = write(
            "def costs(targets, predictions, scores, rows):\n"
            "    return [row['age'] / 10 * (true != said) for true, said, row in zip(targets, predictions, rows)]\n"
        )
        asked = 'metric = "cost"\ncost = { file = "gates/own.py", function = "costs" }\n'
        text = f'[gate.production]\nrules = ["opens", "not_worse"]\n{asked}'
        verdict = judge(2, Policy.parse(text, where="holdfast.toml"))
        finding = finding_of(verdict, "not_worse")
        assert finding.outcome is PASS
        assert finding.sentence.startswith("cost ")
        assert 0 < finding.values["value"] < finding.values["baseline"]
        body = churn.registry.verdict(verdict.digest).body
        assert body["inputs"]["code"] == {"cost": str(hash_bytes(file.read_bytes()))}
        write("def costs(targets, predictions, scores, rows):\n    return [1.0]\n")
        finding = finding_of(judge(2, Policy.parse(text, where="holdfast.toml")), "not_worse")
        assert finding.outcome is INCONCLUSIVE
        assert "did not give one number, zero or more, for each of 180 rows" in finding.sentence

    def test_an_installed_distribution_offers_rules_by_name(
        self, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site = tmp_path / "site"
        info = site / "fair_rules-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fair-rules\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[holdfast.rules]\nown = fair_rules.gate:check\n")
        (site / "fair_rules").mkdir()
        (site / "fair_rules" / "__init__.py").write_text("SENTENCE = 'offered'\n")
        (site / "fair_rules" / "gate.py").write_text(
            "from fair_rules import SENTENCE\ndef check(case):\n    return case.passed(SENTENCE)\n"
        )
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
        for asked in (policy(""), policy('[rules.own]\nentry = "fair_rules.gate:check"')):
            finding = finding_of(judge(1, asked))
            assert (finding.outcome, finding.sentence) == (PASS, "offered")
            assert finding.values["code"]["entry"] == "fair_rules.gate:check"
        assert finding_of(judge(1, policy(""))).values["code"]["offered_by"] == "fair-rules 1.2"
        assert "fair_rules" not in sys.modules

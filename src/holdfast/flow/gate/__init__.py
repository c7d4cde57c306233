"""The verb *gate*: may this version have this stage? Every answer is evidence that is kept.

    verdict = gate(request, bench, registry)
    verdict.outcome                        pass, fail or inconclusive
    verdict.findings[0].sentence           "all five parts and the required evidence are there"

    policy.py    what a stage asks, from holdfast.toml
    case.py      collecting everything that the rules look at; all I/O is here, and in looking.py, which looks at files
    rules.py     the rules, pure functions of a case; formats.py, groups.py, guards.py and latency.py are four of them
    own_rules.py the project's own rules, which project_code.py runs elsewhere; costs.py says what mistakes cost
    finding.py   findings and outcomes
    judge.py     the gate itself
    keeping.py   what is kept of a verdict: answered.py, answers row by row; estimates.py, every estimate in one list
    kept.py      finding a kept verdict; replay.py computes one again; build.py is what a build asks
    rendering/   a verdict as text, Markdown, HTML and JUnit XML

A gate moves nothing; `flow.promote` does.
"""

from holdfast.flow.gate.case import Workbench
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.judge import GateRequest, GateVerdict, gate
from holdfast.flow.gate.policy import POLICY_STUB, Policy
from holdfast.flow.gate.stage_policy import StagePolicy

__all__ = [
    "POLICY_STUB",
    "Finding",
    "GateRequest",
    "GateVerdict",
    "Outcome",
    "Policy",
    "StagePolicy",
    "Workbench",
    "gate",
]

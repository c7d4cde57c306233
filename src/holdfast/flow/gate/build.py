"""What a build asks: is every part of the version there, and may it have the stage?"""

from dataclasses import replace

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError, NotFound, UsageError
from holdfast.flow.gate.case import Case, Workbench, manifest_of
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.judge import GateRequest, gate
from holdfast.flow.gate.rendering.report import Report
from holdfast.flow.gate.rules import RULES
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.names import ByNumber, Reference, StageName
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version

__all__ = ["parts_of", "version_of_run", "whole_and_passing"]

_PARTS = "completeness"


def version_of_run(run: str, registry: Registry) -> Reference:
    """The one version that a run registered.

    Raises:
        NotFound: it registered none.
        UsageError: it registered several, or the id cannot be one.
    """
    if not run.isalnum():
        raise UsageError(f"{run[:80]!r} is no id of a run", hint="holdfast run --json prints it.")
    found = registry.search(f"run = '{run}'", limit=2).versions
    if not found:
        raise NotFound(f"the run {run} registered no version", hint="Register one with: holdfast register")
    if len(found) > 1:
        raise UsageError(f"the run {run} registered several versions", hint="Name the version: holdfast ci churn@4")
    version = found[0].version
    return Reference(version.model, ByNumber(version.number))


def whole_and_passing(request: GateRequest, bench: Workbench, registry: Registry) -> Report:
    """The verdict of the stage's gate, kept; with what is missing, also where the stage does not ask for it.

    Raises:
        As `gate`.
    """
    verdict = gate(request, bench, registry)
    report = Report.of(registry.verdict(verdict.digest))
    if any(finding.rule == _PARTS for finding in report.findings):
        return report
    parts = parts_of(verdict.version, bench)
    worst = report.outcome if parts.outcome == Outcome.PASS else parts.outcome
    return replace(report, outcome=worst, findings=(*parts.findings, *report.findings))


def parts_of(version: Version, bench: Workbench) -> Report:
    """Whether the five parts and the required evidence are there; no verdict is kept, and nothing is opened."""
    try:
        manifest = manifest_of(bench.store, version)
    except HoldfastError as error:
        found = Finding(_PARTS, Outcome.INCONCLUSIVE, f"not decided: {error.message}", error.hint)
    else:
        # What is missing does not depend on the stage that somebody may want.
        found = RULES[_PARTS](Case(version, StageName("production"), StagePolicy(), "", manifest=manifest))
    body: JsonObject = {"model": str(version.model)}
    return Report(str(version.model), version.number, None, None, str(found.outcome), (found,), body=body)

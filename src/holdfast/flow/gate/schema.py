"""Step 7: the clients of the version that holds the stage may go on unchanged.

Rows that were accepted must be accepted, and answers must be of the kind that they were: the same labels, numbers where
there were numbers, scores that mean what they meant. Whoever breaks this on purpose says so by a higher MAJOR in the
semantic version; a version without one counts as 1.x.
"""

from collections.abc import Mapping, Sequence

from holdfast.canonical import Json
from holdfast.evidence import FeatureSchema
from holdfast.flow.bundle.step import numbers
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.stage_policy import ANY
from holdfast.parts import EvalThreshold
from holdfast.registry.values import Version
from holdfast.runtime.compatibility import Change, answer_changes, changes

__all__ = ["schema"]

_RULE = "schema"

_SHOWN_MAX = 5
"""Changes named in one sentence; the finding's values hold them all."""

_MAJOR = 1
"""Of a version without a semantic version: who says 2.0.0 after it means that something breaks."""


def schema(case: Case) -> Finding:
    """Compare what the two versions promise to those who send rows and read answers."""
    if case.baseline is None:
        return Finding(_RULE, Outcome.PASS, f"no other version holds {case.stage}; nobody was promised anything")
    found, number = _changes(case), case.baseline.number
    if found is None:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"what clients of version {number} may send cannot be compared: {_why(case)}",
            'Register the version that lacks it again, or write schema = "any" into the policy.',
        )
    breaking, others = [c for c in found if c.breaks], [c for c in found if not c.breaks]
    declared = _major(case.candidate) > _major(case.baseline)
    values: Mapping[str, Json] = {
        "schema": case.policy.schema,
        "breaking": [_json(change) for change in breaking],
        "compatible": [_json(change) for change in others],
        "declared": declared,
    }
    if not breaking:
        said = f": {_told(others)}" if others else "; rows and answers are what they were"
        return Finding(_RULE, Outcome.PASS, f"clients of version {number} go on unchanged{said}", "", values)
    told = f"clients of version {number} break: {_told(breaking)}"
    if case.policy.schema == ANY:
        return Finding(_RULE, Outcome.PASS, f"{told}; policy lets it happen", "", values)
    if declared:
        return Finding(_RULE, Outcome.PASS, f"{told}; {case.candidate.semver} says so by its MAJOR", "", values)
    return Finding(
        _RULE,
        Outcome.FAIL,
        told,
        f"Accept what was accepted, or say that it breaks: holdfast register {case.candidate.model} … "
        f"--semver {_major(case.baseline) + 1}.0.0",
        values,
    )


def _changes(case: Case) -> tuple[Change, ...] | None:
    if case.manifest is None or case.baseline_manifest is None:
        return None
    before, now = case.baseline_manifest, case.manifest
    if not isinstance(before.evidence.schema, FeatureSchema) or not isinstance(now.evidence.schema, FeatureSchema):
        return None
    found = changes(before.evidence.schema, now.evidence.schema)
    old, new = before.parts.eval_threshold, now.parts.eval_threshold
    if not isinstance(old, EvalThreshold) or not isinstance(new, EvalThreshold):
        return None
    said_before = None if case.against is None else case.against.answer
    said_now = None if case.measured is None else case.measured.answer
    return (*found, *answer_changes(old, new, said_before, said_now))


def _why(case: Case) -> str:
    for version, manifest in ((case.candidate, case.manifest), (case.baseline, case.baseline_manifest)):
        if version is not None and manifest is None:
            return f"the manifest of version {version.number} cannot be read"
        lacking = {missing.name for missing in manifest.missing()} if manifest is not None else set()
        if version is not None and lacking & {"schema", "eval_threshold"}:
            return f"version {version.number} lacks {', '.join(sorted(lacking & {'schema', 'eval_threshold'}))}"
    return "nobody knows"


def _major(version: Version) -> int:
    return _MAJOR if version.semver is None else numbers(version.semver)[0]


def _told(found: Sequence[Change]) -> str:
    more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    return "; ".join(change.sentence for change in found[:_SHOWN_MAX]) + more


def _json(change: Change) -> Json:
    return {"column": change.column, "sentence": change.sentence}

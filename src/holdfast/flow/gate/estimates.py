"""Every estimate in a verdict as one list: of what, between which bounds, by which method, against which margin.

Rules write their numbers in their own shapes. What they share is the shape of an estimate (`gain.estimate_json`), and
that what stands around one says what it is of. So a rule that is added is drawn and read without a word here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.canonical import Json, JsonObject
from holdfast.flow.gate.finding import Finding

__all__ = ["estimates"]

_SIGNS = frozenset({"value", "low", "high", "confidence", "method", "rows"})
"""What an estimate has, whatever rule wrote it."""

_NAMES = ("group", "metric", "measure", "name")
"""What may say what an estimate is of; the first of them that is there does."""

_DEPTH_MAX = 8
"""Values of a finding nest three deep; a verdict from somewhere else must not exhaust the stack."""


def estimates(findings: Sequence[Finding]) -> list[JsonObject]:
    """The estimates of all findings, in their order, with the margin that each was held against where there is one."""
    return [found for finding in findings for found in _in(finding, finding.values, {"name": finding.rule}, 0)]


def _in(finding: Finding, value: Json, around: Mapping[str, Any], depth: int) -> Iterator[JsonObject]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, Mapping):
        if value.keys() >= _SIGNS:
            yield _estimate(finding, value, around)
            return
        here = {**around, **_said(value)}
        for key, inner in value.items():
            # A table by name says in its keys what its values are of.
            named = {"name": str(key)} if isinstance(inner, Mapping) and not inner.keys() >= _SIGNS else {}
            yield from _in(finding, inner, {**here, **named, "kind": str(key)}, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _in(finding, inner, around, depth + 1)


def _said(value: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of values says of the estimates in it."""
    said: dict[str, Any] = {}
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    if name is not None:
        said["name"] = name
    margin = _number(value.get("margin"))
    if margin is not None:
        scale = _number(value.get("baseline")) if str(value.get("margin_unit", "")).startswith("share") else None
        strict = value.get("policy") == "strict"
        unit = 1.0 if scale is None else abs(scale)
        said["margin"] = margin * unit
        said["harm_margin"] = None if strict else _scaled(_number(value.get("harm_margin")), unit)
    return said


def _scaled(amount: float | None, unit: float) -> float | None:
    return None if amount is None else amount * unit


def _estimate(finding: Finding, value: Mapping[str, Any], around: Mapping[str, Any]) -> JsonObject:
    return {
        "rule": finding.rule,
        "name": around["name"],
        "kind": around.get("kind", ""),
        **{key: value[key] for key in ("value", "low", "high", "confidence", "method", "rows")},
        "p": value.get("p"),
        "margin": around.get("margin"),
        "harm_margin": around.get("harm_margin"),
        "outcome": str(finding.outcome),
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

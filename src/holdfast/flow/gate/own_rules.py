"""Step 7, too: the rules of a project's own. The gate shows each a view of the case, and weighs what comes back.

A rule never lets a version through by saying nothing. Whatever it does other than answer with a finding that makes
sense, such as raising, printing, hanging or answering for another rule, its finding is `inconclusive`, and says what it
did. The finding holds the digest of the source code that spoke, and the verdict with it.
"""

from collections.abc import Mapping
from dataclasses import replace

from holdfast.canonical import Json, JsonObject, encode, plain
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UsageError
from holdfast.evidence import Holdout
from holdfast.flow.gate.case import Case, Measured, Workbench, manifest_of
from holdfast.flow.gate.catalogue import RULE_NAMES
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.project_code import OwnProgram
from holdfast.flow.gate.settling import unasked
from holdfast.manifest import Manifest

__all__ = ["weighed", "with_own_rules"]

_SENTENCE_CHARACTERS_MAX = 1_000
"""A finding is read in a terminal, by somebody who has no time."""

_VALUES_BYTES_MAX = 256 << 10
"""Of canonical JSON: a thousand groups with ten numbers each; the verdict that holds them is kept for ever."""


def with_own_rules(case: Case, bench: Workbench) -> Case:
    """The case with what the project's own rules found, as far as policy asks for them; never an exception."""
    own: dict[str, Finding] = {}
    code: dict[str, Digest] = dict(case.code)
    for name in case.policy.rules:
        if name in RULE_NAMES:
            continue
        if case.settled:
            own[name] = unasked(name, case)
            continue
        said: JsonObject = {"parameters": dict(case.policy.custom.get(name, {}))}
        try:
            program = OwnProgram.read(case.policy.sources[name], bench.project)
            said["code"], code[name] = program.to_json(), program.digest
            answer = program.ask({"op": "check", "case": _shown(case, bench, said["parameters"])})
            own[name] = weighed(name, answer, said)
        except HoldfastError as error:
            own[name] = Finding(name, Outcome.INCONCLUSIVE, f"not decided: {error.message}", error.hint, said)
    return replace(case, own=own, code=code)


def weighed(name: str, answer: Json, said: Mapping[str, Json]) -> Finding:
    """The finding that a rule's answer is.

    Args:
        name: the rule that was asked.
        answer: what its process gave back.
        said: what is kept beside its values: its code, and what it was handed.

    Raises:
        UsageError: it is no finding of this rule.
    """
    whole = isinstance(answer, dict)
    outcome, sentence, hint = (answer.get(word) if whole else None for word in ("outcome", "sentence", "hint"))
    values = (answer.get("values") if whole else None) or {}
    if whole and answer.get("rule", name) != name:
        raise _nonsense(name, f"answered for the rule {str(answer['rule'])[:64]!r}")
    if not isinstance(outcome, str) or outcome not in set(Outcome):
        raise _nonsense(name, f"ended in {str(outcome)[:64]!r}, which is none of {', '.join(Outcome)}")
    if not isinstance(sentence, str) or not _line(sentence) or not isinstance(hint, str | None):
        raise _nonsense(name, "found nothing that is a sentence")
    if not isinstance(values, dict):
        raise _nonsense(name, "gave values that have no names")
    try:
        size = len(encode(plain(values)))
    except HoldfastError as error:
        raise _nonsense(name, "gave values that no verdict can keep") from error
    if size > _VALUES_BYTES_MAX:
        raise _nonsense(name, f"gave {size} bytes of values, of {_VALUES_BYTES_MAX}")
    passed = outcome == Outcome.PASS
    return Finding(
        name,
        Outcome(outcome),
        _line(sentence),
        "" if passed else _line(hint or f"Look into the rule: {said['code'].get('file') or said['code'].get('entry')}"),
        {**said, "found": values},
    )


def _nonsense(name: str, what: str) -> UsageError:
    return UsageError(
        f"the rule {name} {what}", hint="Return an outcome, a sentence, a hint and values; see the guide to own rules."
    )


def _line(text: str) -> str:
    """What somebody else's code says, as one line that a terminal can be shown."""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return shown if len(shown) <= _SENTENCE_CHARACTERS_MAX else f"{shown[: _SENTENCE_CHARACTERS_MAX - 1]}…"


def _shown(case: Case, bench: Workbench, parameters: JsonObject) -> JsonObject:
    """The document that becomes the rule's view; see `runtime.case_view`."""
    if case.manifest is None or case.measured is None or case.rows is None:
        why = "the bundle did not answer; the other findings say why" if case.trouble is None else case.trouble.message
        raise UsageError(why, hint="Mend what the other findings name first.")
    holdout = case.manifest.evidence.holdout
    rows = case.rows.without(holdout.target if isinstance(holdout, Holdout) else None)
    baseline = None
    if case.baseline is not None and case.against is not None:
        baseline = _version(case.baseline.number, manifest_of(bench.store, case.baseline), case.against)
    return {
        "model": str(case.candidate.model),
        "stage": str(case.stage),
        "candidate": _version(case.candidate.number, case.manifest, case.measured),
        "baseline": baseline,
        "rows": rows.named().to_json(),
        "targets": list(case.targets or ()),
        "parameters": parameters,
    }


def _version(number: int, manifest: Manifest, measured: Measured) -> JsonObject:
    return {
        "version": number,
        "manifest": manifest.to_json(),
        "predictions": measured.answer.predictions,
        "scores": measured.answer.scores,
        "classes": measured.answer.classes,
        "metrics": {} if measured.metrics is None else dict(measured.metrics.values),
    }

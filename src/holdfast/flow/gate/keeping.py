"""Keeping a verdict: the answers of both versions into the store, and the body that names them into the registry.

The body has everything that somebody needs to compute the verdict again, by digest where it is large:
docs/reference/verdict.md describes each field.
"""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from holdfast.canonical import JsonObject, plain
from holdfast.config import VERSION
from holdfast.database.times import to_text
from holdfast.errors import HoldfastError
from holdfast.evidence import Environment, Holdout
from holdfast.flow.gate.answered import root_of, row_digests
from holdfast.flow.gate.case import Case, Measured, manifest_of
from holdfast.flow.gate.composing import about_policy
from holdfast.flow.gate.estimates import estimates
from holdfast.flow.gate.finding import Finding, overall
from holdfast.flow.gate.gain import SEED
from holdfast.flow.gate.training import SEED as DRAWING_SEED
from holdfast.manifest import Manifest
from holdfast.registry.interface import Registry
from holdfast.registry.records import NewVerdict, Verdict
from holdfast.runtime.smoke import write_outputs
from holdfast.store.interface import Store, StoreWriter

__all__ = ["FORMAT", "FORMAT_VERSION", "keep"]

FORMAT, FORMAT_VERSION = "holdfast.verdict", "1.1"

_LIBRARIES = ("numpy", "scipy", "scikit-learn")
"""What the numbers of a gate come from besides Python."""


def keep(case: Case, findings: Sequence[Finding], store: Store, registry: Registry) -> Verdict:
    """Keep what was found, and all that it rests on; the bytes first, and then what names them.

    Raises:
        NoSpace, PermissionRefused: the store could not take the answers; nothing was kept.
        TooLarge: the body is past what a verdict may hold.
    """
    with store.writer() as writer:
        answers = {who: _answered(said, writer) for who, said in _both(case) if said is not None}
        writer.commit()
    body = _body(case, findings, answers, store)
    outcome = str(overall(findings, case.policy.any_of))
    return registry.put_verdict(
        NewVerdict(case.candidate.model, case.candidate.number, case.stage, outcome, plain(body))
    )


def _both(case: Case) -> tuple[tuple[str, Measured | None], tuple[str, Measured | None]]:
    return ("candidate", case.measured), ("baseline", case.against)


def _answered(measured: Measured, writer: StoreWriter) -> JsonObject:
    """What a version answered, as the verdict names it; the bytes go to the store."""
    lines = row_digests(measured.answer)
    return {
        "rows": len(measured.answer.predictions),
        "outputs": str(writer.add_bytes(write_outputs(measured.answer)).digest),
        "row_digests": str(writer.add_bytes(lines).digest),
        "root": str(root_of(lines)),
    }


def _body(case: Case, findings: Sequence[Finding], answers: JsonObject, store: Store) -> JsonObject:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": str(case.candidate.model),
        "stage": str(case.stage),
        "inputs": case.inputs(),
        "data": _data(case.manifest),
        "environments": {
            "candidate": _environment(case.manifest),
            "baseline": _environment(_baseline_manifest(case, store)),
            "gate": _gate_environment(),
        },
        "policy": case.policy.to_json(),
        "outcome": str(overall(findings, case.policy.any_of)),
        "findings": [finding.to_json() for finding in findings],
        **about_policy(case, findings),
        "settled_by": list(case.settled),
        "estimates": estimates(findings),
        "answers": answers,
        "latencies_ms": {who: list(said.latencies_ms) for who, said in _both(case) if said is not None},
        "batch_latencies_ms": {who: list(said.batch_latencies_ms) for who, said in _both(case) if said is not None},
        "seeds": {"resampling": SEED, "drawing": DRAWING_SEED},
        "approvals": [approval.id for approval in case.approvals],
        "judged_before": list(case.judged_before),
        "blobs": sorted({one[key] for one in answers.values() for key in ("outputs", "row_digests")}),
        "asked_by": case.actor,
        "judged_at": to_text(case.at),
        "holdfast": VERSION,
        "seconds": round(case.seconds, 3),
    }


def _data(manifest: Manifest | None) -> JsonObject:
    """By digest, what the version was trained on and what it was judged by, besides its frozen rows."""
    if manifest is None:
        return {}
    holdout = manifest.evidence.holdout
    recorded = str(manifest.file(holdout.outputs).digest) if isinstance(holdout, Holdout) else None
    return {"snapshots": [str(one) for one in manifest.snapshots()], "recorded_outputs": recorded}


def _environment(manifest: Manifest | None) -> JsonObject | None:
    """What a bundle runs in: its interpreter, and the file that pins everything else."""
    environment = None if manifest is None else manifest.evidence.environment
    if manifest is None or not isinstance(environment, Environment):
        return None
    return {"python": environment.python, "lock": str(manifest.file(environment.lock).digest)}


def _baseline_manifest(case: Case, store: Store) -> Manifest | None:
    try:
        return None if case.baseline is None else manifest_of(store, case.baseline)
    except HoldfastError:
        return None  # the rules have said what is wrong with it


def _gate_environment() -> JsonObject:
    """What the gate itself computed with."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: found for name in _LIBRARIES if (found := _installed(name)) is not None},
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""Step 3: keys that the policy trusts vouch for exactly this version's files.

A signature counts once for its key, however often that key signed. What a registry says of a signature is not believed:
each is checked anew, by the key beside it, whose fingerprint must be one that the policy names.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from holdfast.canonical import Json
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, IntegrityError
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.registry.interface import Registry
from holdfast.runtime.key_files import trusted
from holdfast.runtime.signed import Vouched

__all__ = ["signature", "unless_vouched", "with_signatures"]


def with_signatures(case: Case, registry: Registry, folder: Path, *, keys: Mapping[Digest, str] | None = None) -> Case:
    """The case with who vouches for the candidate, where the policy asks.

    Args:
        case: with the candidate's manifest.
        registry: keeps the signatures.
        folder: what the files of keys in the policy are relative to.
        keys: the keys that the policy trusts, by fingerprint, where they are known already; None: its files say it.
    """
    if Need.SIGNED not in needed(case.policy.rules) or case.manifest is None:
        return case
    try:
        keys = trusted(case.policy.signed_by, folder) if keys is None else keys
        vouched = Vouched.of(case.candidate, case.manifest, registry, keys)
    except HoldfastError as error:
        return replace(case, vouching_trouble=error)
    return replace(case, trusted=keys, vouched=vouched)


def unless_vouched(case: Case) -> Case:
    """The case; marked as one whose bundle is not to be opened, when policy asks for signatures that it has not."""
    if Need.SIGNED not in needed(case.policy.rules) or signature(case).outcome is Outcome.PASS:
        return case
    return replace(case, unopened=True)


def signature(case: Case) -> Finding:
    """Step 3: enough different keys that the policy trusts have signed every file of the bundle, and nothing else."""
    asked = case.policy.signatures_min
    sign = f"Have it signed with one of these keys: holdfast sign {case.candidate.model}@{case.candidate.number}"
    if not case.policy.signed_by:
        return Finding("signature", Outcome.FAIL, "the policy names no key", "Name the keys in signed_by.")
    if case.vouching_trouble is not None:
        told = case.vouching_trouble
        outcome = Outcome.FAIL if isinstance(told, IntegrityError) else Outcome.INCONCLUSIVE
        return Finding("signature", outcome, told.message, told.hint, {"code": told.code})
    if case.vouched is None:
        why = "not decided: the version's manifest could not be read"
        return Finding("signature", Outcome.INCONCLUSIVE, why, "Mend what the other findings name first.")
    good = case.vouched.keys
    values: Mapping[str, Json] = {
        "signed_by": {str(key): name for key, name in case.trusted.items()},
        "signatures_min": asked,
        **case.vouched.to_json(),
    }
    if len(good) >= asked:
        by = ", ".join(case.trusted[key] for key in good)
        return Finding("signature", Outcome.PASS, f"every file is signed by {by}", "", values)
    why = f"signed by {len(good)} of {asked} trusted keys: {case.vouched.why_no_more()}"
    return Finding("signature", Outcome.FAIL, why, sign, values)

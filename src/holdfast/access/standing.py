"""Who must stand behind a move before a server makes it, whatever the client that asks has judged.

The gate runs where somebody promotes. What it found reaches the server as a verdict, and who approved as approvals,
each bound to the digests of what was judged. Here the server holds them against its own policy and its own people, in
the transaction of the move. Signatures are the one thing that it checks itself: a verdict is the word of whoever sent
it, and nobody makes up a signature.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from holdfast.access.roles import Role
from holdfast.access.sql import has_role, is_same_person
from holdfast.canonical import plain
from holdfast.digest import Digest
from holdfast.errors import (
    ApprovalRequired,
    GateRefused,
    IntegrityError,
    PermissionRefused,
    TooLarge,
    UnsupportedFormat,
)
from holdfast.manifest import MANIFEST_NAME
from holdfast.registry.actions import Action
from holdfast.registry.guard import Evidence, Guard
from holdfast.registry.records import Approval, Meaning, waivers_in
from holdfast.registry.signatures import of_version
from holdfast.registry.vouching import Signature
from holdfast.signing import PublicKey, read_signature

__all__ = ["StageAsks", "Waived", "standing"]

_APPROVER = "approver"
"""The one rule that is decided here and not where the gate ran: a client does not know who people are."""


@dataclass(frozen=True, slots=True)
class Waived:
    """A waiver that stands today, for the version that is to move.

    Attributes:
        by: who answers for it.
        reason: why.
        until: its last day.
    """

    by: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class StageAsks:
    """What the server's policy, or that of the registry where one is set, asks of a promotion.

    Attributes:
        approvals_min: how many people must approve.
        second_person: whether the one who registered the version counts among them; then the verdict must also have
            passed every rule of `rules`, and who waives one must be somebody else too.
        rules: the names of the rules of the gate.
        any_of: groups of them of which one must have passed.
        waived: the waivers, by rule. No other waiver counts, whatever the verdict says.
        signed_by: the fingerprints of the keys whose signatures count; empty: none are asked for.
        signatures_min: how many different ones of these must have signed.
    """

    approvals_min: int
    second_person: bool
    rules: tuple[str, ...]
    any_of: tuple[tuple[str, ...], ...] = ()
    waived: Mapping[str, Waived] = field(default_factory=dict)
    signed_by: frozenset[Digest] = frozenset()
    signatures_min: int = 1


def standing(asks: Callable[[Evidence], StageAsks]) -> Guard:
    """The guard that holds each promotion against what `asks` says of it.

    A rollback goes to what has held the stage, and waits for nobody. A stage is adopted while it has held nothing. A
    canary needs what a promotion needs, but for the approvals: these are asked for when its version is promoted.

    It raises:
        GateRefused: no verdict for this stage that passed all that is asked, or too few trusted keys have signed.
        ApprovalRequired: too few people stand behind it, or one speaks against it.
        PermissionRefused: a stage that has held something is to be adopted.
    """

    def guard(connection: Connection, case: Evidence) -> None:
        if case.asked.action is Action.STAGE_ADOPT and case.stage.epoch > 0:
            raise PermissionRefused(
                f"{case.stage.name} of {case.stage.model} has held a version before, so it moves through its gate only",
                hint=f"Use: holdfast promote {case.version.model}@{case.version.number} --to {case.stage.name}",
            )
        if case.asked.action is Action.STAGE_PROMOTE:
            wanted = asks(case)
            _require_waivers(connection, case, wanted, _require_verdict(case, wanted))
            _require_signatures(connection, case, wanted)
            _require_people(connection, case, wanted)
        if case.asked.action is Action.ROLLOUT_BEGIN:
            wanted = asks(case)
            _require_waivers_stand(connection, case, wanted, _require_verdict(case, wanted))
            _require_signatures(connection, case, wanted)
            _refuse_rejected(_last_words(case))

    return guard


def _require_verdict(case: Evidence, wanted: StageAsks) -> frozenset[str]:
    """The rules that did not pass and are waived; the verdict as a whole is worked out here, from what they found."""
    name = f"{case.version.model}@{case.version.number}"
    hint = f"Let the gate judge it: holdfast promote {name} --to {case.stage.name}"
    verdict = case.verdict
    if verdict is None or verdict.stage != case.stage.name:
        raise GateRefused(f"no verdict lets {name} have {case.stage.name}", hint=hint)
    if not verdict.is_against(case.stage.number):
        raise GateRefused(
            f"the verdict {verdict.digest} compares {name} with another version than holds {case.stage.name} now",
            hint=hint,
            verdict=str(verdict.digest),
        )
    findings = verdict.body.get("findings")
    said = {
        str(one.get("rule")): str(one.get("outcome"))
        for one in (findings if isinstance(findings, list) else [])
        if isinstance(one, dict)
    }
    passed = {rule for rule, outcome in said.items() if outcome == "pass" or rule in wanted.waived}
    is_pass = verdict.outcome == verdict.body.get("outcome") == "pass"
    if case.asked.action is Action.ROLLOUT_BEGIN and said.pop(_APPROVER, "pass") != "pass":
        is_pass = True  # who approves may come while it is tried; what else was found is looked at here
    open_groups = [group for group in wanted.any_of if not passed & set(group)]
    stood_in_for = {rule for group in wanted.any_of for rule in group} - {rule for one in open_groups for rule in one}
    lost = sorted(set(said) - passed - stood_in_for)
    if not is_pass or lost or not said:
        raise GateRefused(
            f"the verdict {verdict.digest} does not let {name} have {case.stage.name}: it is no pass",
            hint=hint
            if not lost
            else f"What is waived or stood in for, the server's own policy says: {', '.join(lost)}",
            verdict=str(verdict.digest),
            lost=lost,
        )
    # A server without people to tell apart takes a client's word for which rules there are, unless a policy is set.
    held = wanted.second_person or case.policy is not None
    lacking = [rule for rule in wanted.rules if rule != _APPROVER and rule not in passed | stood_in_for]
    if held and lacking:
        raise GateRefused(
            f"the verdict {verdict.digest} was given without rules that the server asks for: {', '.join(lacking)}",
            hint="Judge by the server's policy: see holdfast policy show, or take its holdfast.toml.",
            verdict=str(verdict.digest),
            lacking=lacking,
        )
    return frozenset(rule for rule, outcome in said.items() if outcome != "pass" and rule in wanted.waived)


def _require_waivers(connection: Connection, case: Evidence, wanted: StageAsks, used: frozenset[str]) -> None:
    """The event names each waiver that the move rests on, and whoever answers for one could approve the version."""
    told = {str(one.get("rule")): one for one in waivers_in(plain(case.asked.details))}
    meant = {
        rule: {"rule": rule, "by": one.by, "reason": one.reason, "until": one.until}
        for rule, one in wanted.waived.items()
        if rule in used
    }
    if told != meant:
        raise GateRefused(
            f"the move names other waivers than those it rests on: {', '.join(sorted(meant)) or 'none'}",
            hint="Ask again: holdfast promote writes them into the event.",
            waived=sorted(meant),
        )
    _require_waivers_stand(connection, case, wanted, used)


def _require_waivers_stand(connection: Connection, case: Evidence, wanted: StageAsks, used: frozenset[str]) -> None:
    if not wanted.second_person:
        return
    for rule in sorted(used):
        by, author = wanted.waived[rule].by, case.version.created_by
        may = has_role(connection, by, Role.APPROVER, case.version.model, case.stage.name)
        if not may or is_same_person(connection, by, author):
            raise ApprovalRequired(
                f"{by} waives {rule}, and may not: only somebody else than {author} who may approve it can",
                hint=f"Have an approver of {case.stage.name} answer for it in the policy, by their own name.",
                rule=rule,
                waived_by=by,
                registered_by=author,
            )


def _require_signatures(connection: Connection, case: Evidence, wanted: StageAsks) -> None:
    if not wanted.signed_by:
        return
    version = case.version
    good = {
        one.key
        for one in of_version(connection, version.model, version.number)
        if one.key in wanted.signed_by and _is_of(one, version.digest)
    }
    if len(good) < wanted.signatures_min:
        name = f"{version.model}@{version.number}"
        raise GateRefused(
            f"{name} is signed by {len(good)} of {wanted.signatures_min} keys that the server trusts for "
            f"{case.stage.name}",
            hint=f"Have it signed with one of these keys: holdfast sign {name}",
            signed_by=sorted(map(str, wanted.signed_by)),
        )


def _is_of(signature: Signature, version: Digest) -> bool:
    """Whether it is by the key that it is filed under, over the manifest of this version.

    The manifest names every file by digest, so that a server without bytes knows enough.
    """
    try:
        key = PublicKey.parse(signature.public_key.encode())
        signed = read_signature(signature.body, key)
    except (UnsupportedFormat, TooLarge, IntegrityError):
        return False
    return key.fingerprint == signature.key and signed.files.get(MANIFEST_NAME) == version


def _last_words(case: Evidence) -> dict[str, Approval]:
    """What each person said last of this version for this stage."""
    return {
        one.approver: one
        for one in case.judgements  # oldest first: the last word counts
        if one.stage == case.stage.name
        and one.digest == case.version.digest
        and (one.meaning is Meaning.REJECT or one.verdict in {None, case.asked.verdict})
    }


def _refuse_rejected(last: Mapping[str, Approval]) -> None:
    against = sorted(name for name, one in last.items() if one.meaning is Meaning.REJECT)
    if against:
        raise ApprovalRequired(
            f"rejected by {', '.join(against)}", hint="Talk to them; they can approve it.", rejected_by=against
        )


def _require_people(connection: Connection, case: Evidence, wanted: StageAsks) -> None:
    last = _last_words(case)
    _refuse_rejected(last)
    author = case.version.created_by
    counted = sorted(
        name
        for name, one in last.items()
        if one.id in case.asked.approvals
        and not (wanted.second_person and is_same_person(connection, name, author))
        and has_role(connection, name, Role.APPROVER, case.version.model, case.stage.name)
    )
    if len(counted) < wanted.approvals_min:
        whom = f" by somebody else than {author}" if wanted.second_person else ""
        raise ApprovalRequired(
            f"{len(counted)} of {wanted.approvals_min} approvals{whom}, by people who may approve now",
            hint=f"An approver runs: holdfast approve {case.version.model}@{case.version.number} "
            f"--stage {case.stage.name}",
            approvers=counted,
            approvals_min=wanted.approvals_min,
            second_person=wanted.second_person,
            registered_by=author,
        )

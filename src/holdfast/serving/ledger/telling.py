"""Why a decision was made as it was: who let its version through, on what evidence, and what it was made of."""

from dataclasses import dataclass
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, IntegrityError
from holdfast.evidence import CodeState
from holdfast.flow.gate.rendering import Report
from holdfast.manifest import Manifest
from holdfast.names import ByDigest, ModelName, Reference, StageName
from holdfast.parts import DataSlice
from holdfast.registry import MOVES, Event, Registry, Version
from holdfast.registry.rollouts import Rollout
from holdfast.runtime.materialise import read_manifest
from holdfast.serving.ledger.finding import Found
from holdfast.serving.route import OVERRIDE, PRIMARY
from holdfast.store.interface import Store

__all__ = ["Told", "tell"]

_EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """A decision with all that is known of why.

    Attributes:
        found: the decision.
        others: how many more decisions there are on requests of this id.
        version: that answered.
        why: in a sentence.
        move: the event that gave the stage its version at that time; None where the log has none.
        rollout: the rollout in which a version answered that did not hold the stage; None where it did, or the caller
            asked for it.
        verdict: the gate's verdict behind the move, or behind the rollout; None where there was none, or it cannot be
            read.
        data: the snapshots that the version was trained on, each with its role.
        code: the commit of the training code; None where it is not known.
        run: the run that made the version; None where none did.
    """

    found: Found
    others: int
    version: Version
    why: str
    move: Event | None
    rollout: JsonObject | None
    verdict: Report | None
    data: tuple[JsonObject, ...]
    code: JsonObject | None
    run: str | None

    def to_json(self) -> JsonObject:
        """What `decision` prints."""
        page = self.found.page
        return {
            **self.found.brief(),
            **self.found.decision.to_json(),
            "rows": self.found.rows,
            "others": self.others,
            "why": self.why,
            "move": None if self.move is None else _moved(self.move),
            "rollout": self.rollout,
            "verdict": None if self.verdict is None else _judged(self.verdict),
            "registered": {"at": to_text(self.version.created_at), "by": self.version.created_by},
            "data": list(self.data),
            "code": self.code,
            "run": self.run,
            "page": None if page is None else page.to_json(),
        }


def tell(found: Found, registry: Registry, store: Store, *, others: int = 0) -> Told:
    """All that is known of why a decision was made as it was.

    Raises:
        NotFound: the registry does not know the version.
        IntegrityError: the version has another number there than the ledger says.
    """
    decision = found.decision
    version = registry.resolve(Reference(found.model, ByDigest(decision.digest)))
    if version.number != decision.version or version.digest != Digest.parse(decision.digest):
        raise IntegrityError(
            f"the ledger says {found.model}@{decision.version} is {decision.digest}, and the registry says otherwise",
            hint="Run: holdfast audit verify",
            expected=decision.digest,
            found=str(version.digest),
        )
    move = _move_to(registry, found.model, found.stage, decision.epoch)
    rollout = _rollout(registry, found)
    behind = move if rollout is None else rollout
    try:
        manifest: Manifest | None = read_manifest(store, version.digest)
    except HoldfastError:
        manifest = None  # archived, and even its record is not here: the rest is told all the same
    parts = None if manifest is None else manifest.parts.data_slice
    code = None if manifest is None else manifest.evidence.code
    return Told(
        found=found,
        others=others,
        version=version,
        why=_why(found, move),
        move=move,
        rollout=None if rollout is None else _tried(registry, rollout),
        verdict=_verdict(registry, None if behind is None else behind.verdict),
        data=tuple(item.to_json() for item in parts.inputs) if isinstance(parts, DataSlice) else (),
        code=code.to_json() if isinstance(code, CodeState) else None,
        run=version.run_id,
    )


def _move_to(registry: Registry, model: ModelName, stage: str, epoch: int) -> Event | None:
    """The event with which the stage came to an epoch."""
    before = None
    while events := registry.log(model, before=before, limit=_EVENTS_AT_ONCE):
        for event in events:
            if (event.stage, event.epoch) == (stage, epoch) and event.action in MOVES:
                return event
        before = events[-1].index
    return None


def _why(found: Found, move: Event | None) -> str:
    decision = found.decision
    stage, number = f"{found.stage} at epoch {decision.epoch}", decision.version
    held = None if move is None else move.to_number
    if decision.reason == PRIMARY:
        return f"version {number} held {stage}"
    if decision.reason == OVERRIDE:
        return f"the caller asked for version {number} by its number; version {held} held {stage}"
    return f"version {number} answered as {decision.reason} beside version {held}, which held {stage}"


def _rollout(registry: Registry, found: Found) -> Rollout | None:
    """The rollout that let the version answer at that epoch, where it did not hold the stage."""
    decision = found.decision
    if decision.reason in {PRIMARY, OVERRIDE}:
        return None
    tried = registry.rollouts(found.model, StageName(found.stage))
    began = [one for one in tried if (one.epoch, one.number) == (decision.epoch, decision.version)]
    return next((one for one in began if one.began_at <= decision.at), None)


def _verdict(registry: Registry, verdict: str | Digest | None) -> Report | None:
    if verdict is None:
        return None
    try:
        return Report.of(registry.verdict(Digest.parse(str(verdict))))
    except HoldfastError:
        return None  # of a newer Holdfast, or of none: the event names it all the same


def _moved(event: Event) -> JsonObject:
    return {
        "event": event.index,
        "action": event.action,
        "at": to_text(event.time),
        "by": event.actor,
        "from": event.from_number,
        "to": event.to_number,
        "reason": event.reason,
        "verdict": event.verdict,
        "approvals": list(event.approvals),
    }


def _tried(registry: Registry, rollout: Rollout) -> JsonObject:
    """The rollout as it was begun; how it went on is in the log."""
    (began,) = registry.following(rollout.id - 1, limit=1)
    return {
        "event": rollout.id,
        "kind": str(rollout.kind),
        "at": to_text(rollout.began_at),
        "by": began.actor,
        "reason": began.reason,
        "against": rollout.against,
        "plan": rollout.plan,
        "verdict": None if rollout.verdict is None else str(rollout.verdict),
    }


def _judged(report: Report) -> JsonObject:
    findings: list[Any] = [
        {"rule": one.rule, "outcome": str(one.outcome), "sentence": one.sentence} for one in report.findings
    ]
    return {"verdict": report.digest, "outcome": report.outcome, "findings": findings}

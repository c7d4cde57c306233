"""A canary begun, looked at and turned, by a person. Replicas that serve the stage do the rest.

A version gets no request before it has passed the gate of the stage, as for a promotion. Only approvals may be missing:
people approve what they have seen, and a canary is how they see it. Whoever has rejected the version is heard.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from holdfast.canonical import JsonObject
from holdfast.errors import AlreadyExists, GateRefused, HoldfastError, NotFound, UsageError
from holdfast.evidence import Holdout
from holdfast.flow.gate import GateRequest, GateVerdict, Outcome, Workbench, gate
from holdfast.flow.gate.composing import unsettled
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.interface import Registry
from holdfast.registry.rollouts import NewRollout, Rollout, RolloutKind, RolloutState, Turn
from holdfast.registry.values import Stage, Version
from holdfast.runtime.at_hand import require_at_hand
from holdfast.runtime.known_columns import require_columns
from holdfast.runtime.materialise import read_manifest
from holdfast.runtime.smoke import read_outputs
from holdfast.serving.bucketing import WHOLE
from holdfast.serving.counting import Counted
from holdfast.serving.judging import Judgement, failures_alpha, judge
from holdfast.serving.keys import Origin
from holdfast.serving.plan import CanaryPlan
from holdfast.serving.reading import number_of
from holdfast.serving.source import WITH_A_SHARE
from holdfast.statistics.detection import requests_to_detect
from holdfast.store.interface import Store

__all__ = ["Begun", "Standing", "Trial", "Wish", "begin", "detection", "last", "recorded_edges", "standing", "turn"]

_OUTPUTS_BYTES_MAX = 256 << 20
"""Recorded outputs of a million rows with thirty classes."""

_CLASSES_MAX = 10
"""Different whole numbers that are taken for classes; more of them are quantities."""

_RISES = ((0.01, 0.5), (0.01, 0.05), (0.01, 0.02))
"""Regressions of which a person is told how long they take to be found: a crash, five times and twice the errors."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Give a version a share of a stage's requests.

    Attributes:
        ask: the version, the stage, who asks, and under which policy.
        plan: what is done; its edges of scores are made of what the version that holds the stage has recorded.
        reason: why.
        any_column: whether the plan's key may be a column that is no feature, and that callers send besides them.
    """

    ask: GateRequest
    plan: CanaryPlan
    reason: str
    any_column: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A canary that has begun, and the verdict that let it."""

    rollout: Rollout
    verdict: GateVerdict


def begin(trial: Trial, bench: Workbench, registry: Registry) -> Begun:
    """Judge the version by the stage's gate, and begin.

    Raises:
        NotFound: no such version or stage, or nothing holds the stage.
        GateRefused: the verdict is not `pass`, for another reason than approvals that are still to come.
        AlreadyExists: another canary goes on at the stage.
        StageMoved: the stage moved meanwhile.
        UsageError: the rows of both versions lack the column that is the key.
        Archived, Incomplete, UsageError: as the gate and the registry say.
    """
    ask = trial.ask
    version = registry.resolve(ask.reference)
    stage = registry.stage(version.model, ask.stage)
    if stage.number is None:
        raise NotFound(
            f"nothing holds {ask.stage} of {version.model}, so there are no requests to share",
            hint=f"Promote a version first: holdfast promote {version.model}@{version.number} --to {ask.stage}",
        )
    _refuse_early(version, stage, registry)
    require_at_hand(version, registry, bench.store)
    key = trial.plan.key
    if key.origin is Origin.COLUMN and not trial.any_column and stage.digest is not None:
        require_columns((key.name,), (version.digest, stage.digest), bench.store)
    verdict = gate(ask, bench, registry)
    _require_passed(verdict)
    assert verdict.stage.number is not None  # noqa: S101 - it was held a moment ago, and stages are not emptied
    holder = registry.resolve(Reference.parse(f"{version.model}@{verdict.stage.number}"))
    plan = replace(trial.plan, score_edges=recorded_edges(holder, bench.store))
    new = NewRollout(
        RolloutKind.CANARY,
        version.model,
        ask.stage,
        version.number,
        holder.number,
        plan.to_json(),
        trial.reason,
        verdict.digest,
    )
    return Begun(registry.begin_rollout(new, ask.actor), verdict)


def _refuse_early(version: Version, stage: Stage, registry: Registry) -> None:
    """What the registry would refuse behind the gate, which takes seconds; it looks again, since all may change."""
    if stage.number == version.number:
        raise UsageError(
            f"{version.model}@{version.number} holds {stage.name} already", hint="Try another version beside it."
        )
    for there in registry.rollouts(version.model, stage.name, kind=RolloutKind.CANARY, limit=1):
        if there.epoch == stage.epoch and there.state in WITH_A_SHARE:
            raise AlreadyExists(
                f"{there.model}@{there.number} is tried by a canary at {there.stage} already, rollout {there.id}",
                hint=f'End it first: holdfast canary {there.model} --stage {there.stage} --abort --reason "..."',
                model=str(there.model),
                stage=str(there.stage),
                rollout=there.id,
                version=there.number,
            )


def _require_passed(verdict: GateVerdict) -> None:
    lacking = [
        finding
        for finding in unsettled(verdict.findings, verdict.policy.any_of)
        if finding.rule != "approver" or finding.values.get("rejected_by")
    ]
    if verdict.outcome is Outcome.PASS or not lacking:
        return
    lacking = [finding for finding in lacking if finding.outcome is Outcome.FAIL] or lacking
    said = "; ".join(f"{finding.rule}: {finding.sentence}" for finding in lacking)
    raise GateRefused(
        f"{verdict.version.model}@{verdict.version.number} gets no requests of {verdict.stage.name}: {said}",
        hint=lacking[0].hint,
        **verdict.to_json(),
    )


def recorded_edges(version: Version, store: Store) -> tuple[float, ...]:
    """Tenths of the scores that a version gave its own frozen rows, and the middles between its classes.

    Empty where they are not here: then scores are not compared.
    """
    try:
        manifest = read_manifest(store, version.digest)
        holdout = manifest.evidence.holdout
        if not isinstance(holdout, Holdout):
            return ()
        outputs = read_outputs(store.read(manifest.file(holdout.outputs).digest, bytes_max=_OUTPUTS_BYTES_MAX))
    except HoldfastError:
        return ()  # the gate has looked at the candidate, and whoever serves the other one says what is wrong with it
    scores = sorted(number for score in outputs.scores if (number := number_of(score)) is not None)
    tenths = {scores[len(scores) * part // 10] for part in range(1, 10)} if scores else set[float]()
    classes = sorted({float(one) for one in outputs.predictions if isinstance(one, int)})
    middles = {(low + high) / 2 for low, high in pairwise(classes)}
    return tuple(sorted(tenths | (middles if len(classes) <= _CLASSES_MAX else set())))


def last(model: ModelName, stage: StageName, registry: Registry) -> Rollout:
    """The newest canary of a stage, whatever became of it.

    Raises:
        NotFound: there was none, or no such model or stage.
    """
    found = registry.rollouts(model, stage, kind=RolloutKind.CANARY, limit=1)
    if not found:
        raise NotFound(
            f"no version was ever a canary of {stage} of {model}",
            hint=f"Begin with one: holdfast canary {model}@NUMBER --percent 10 --stage {stage}",
        )
    return found[0]


@dataclass(frozen=True, slots=True)
class Standing:
    """A canary as it stands.

    Attributes:
        rollout: the rollout.
        plan: its plan.
        judgement: what replicas would find now, by all that they have told.
        replicas: how many have counted.
        requests: that both versions had at this step.
        seconds: since it took its newest turn.
        has_share: whether replicas give its version requests; not when it has ended, or the stage has moved.
    """

    rollout: Rollout
    plan: CanaryPlan
    judgement: Judgement
    replicas: int
    requests: int
    seconds: float
    has_share: bool

    @property
    def done(self) -> bool:
        """Whether every step of its plan is done, and a person may promote it."""
        return self.has_share and self.rollout.state is RolloutState.PASSED

    @property
    def rate(self) -> float | None:
        """Requests in a second to both versions at this step, where the replicas have told it; a mean."""
        requests = self.requests
        return requests / self.seconds if requests and self.seconds > 0 and self.has_share else None

    def to_json(self) -> JsonObject:
        """What `canary` prints."""
        return {
            **self.rollout.to_json(),
            "done": self.done,
            "replicas": self.replicas,
            "found": {"outcome": str(self.judgement.outcome), "sentence": self.judgement.sentence},
            "figures": self.judgement.figures if self.has_share else self.rollout.figures,
        }


def standing(rollout: Rollout, registry: Registry, now: datetime) -> Standing:
    """What all replicas have counted, and what follows from it.

    Raises:
        UnsupportedFormat: another Holdfast planned or counted, in a way that this one does not know.
    """
    plan = CanaryPlan.from_json(rollout.plan)
    counts: dict[int, dict[str, Counted]] = {}
    for tally in registry.tallies(rollout.id):
        counted = Counted.from_json(tally.counts, len(plan.score_edges) + 1)
        counts.setdefault(tally.step, {})[tally.replica] = counted
    seconds = max(0.0, (now - rollout.changed_at).total_seconds())
    replicas = {name for one in counts.values() for name in one}
    here = counts.get(rollout.step, {}).values()
    requests = sum(one.candidate.requests + one.other.requests for one in here)
    here_now = registry.stage(rollout.model, rollout.stage).epoch == rollout.epoch and rollout.state in WITH_A_SHARE
    found = judge(plan, rollout.step, counts, seconds)
    return Standing(rollout, plan, found, len(replicas), requests, seconds, here_now)


class Wish(StrEnum):
    """What a person wants of a canary."""

    ABORT = "abort"
    HOLD = "hold"
    RESUME = "resume"
    ADVANCE = "advance"


def turn(found: Standing, wish: Wish, reason: str, registry: Registry, actor: str) -> Rollout:
    """Let a canary take a turn that a person has decided on.

    Args:
        found: how it stands.
        wish: `resume` lets a held one go on at its step, and `advance` takes a running or a held one to the next step;
            behind the last step either of them has it passed.
        reason: why.
        registry: has it.
        actor: who decides.

    Raises:
        UsageError: it is running already, or has passed, so that there is nothing to resume or to advance to.
        StageMoved: it has taken another turn meanwhile, or is over.
    """
    rollout = found.rollout
    if found.has_share and wish in (Wish.RESUME, Wish.ADVANCE):
        _require_turns(rollout, wish)
    state, step, end = _TURNED[wish], rollout.step, len(found.plan.steps)
    if wish is Wish.ADVANCE:
        step = min(step + 1, end)
    if state is RolloutState.RUNNING and step >= end:
        state = RolloutState.PASSED
    figures = found.judgement.figures
    return registry.turn_rollout(Turn(rollout.id, rollout.event, state, step, reason, figures), actor)


_TURNED = {
    Wish.ABORT: RolloutState.ABORTED,
    Wish.HOLD: RolloutState.HELD,
    Wish.RESUME: RolloutState.RUNNING,
    Wish.ADVANCE: RolloutState.RUNNING,
}


def _require_turns(rollout: Rollout, wish: Wish) -> None:
    name = f"the canary of {rollout.model}@{rollout.number} at {rollout.stage}"
    at_stage = f"holdfast canary {rollout.model} --stage {rollout.stage}"
    if rollout.state is RolloutState.PASSED:
        promote = f"holdfast promote {rollout.model}@{rollout.number} --to {rollout.stage}"
        raise UsageError(
            f"{name} has passed: every step is done, and there is none to {wish}",
            hint=f'Promote it: {promote} - or end it: {at_stage} --abort --reason "..."',
        )
    if wish is Wish.RESUME and rollout.state is RolloutState.RUNNING:
        raise UsageError(
            f"{name} is running already",
            hint=f'To take its next step now: {at_stage} --advance --reason "..."',
        )


def detection(plan: CanaryPlan, step: int = 0, rate: float | None = None) -> Iterator[JsonObject]:
    """How many requests regressions of errors take to be found in half of all rollouts, at one step's share.

    Args:
        plan: the canary's.
        step: of the plan.
        rate: requests in a second to the whole stage, where they are known.
    """
    share, alpha = plan.step(step).share / WHOLE, failures_alpha(plan)
    for before, after in _RISES if alpha > 0 else ():
        requests = requests_to_detect(before, after, share, alpha)
        yield {
            "errors_from": before,
            "errors_to": after,
            "share": share,
            "requests": requests,
            "seconds": None if requests is None or not rate else round(requests / rate, 1),
        }

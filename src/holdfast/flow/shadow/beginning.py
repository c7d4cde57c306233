"""A shadow begun, found again and ended, in the registry. Replicas that serve the stage do the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.canonical import Json, JsonObject, encode
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, NotFound, UsageError
from holdfast.evidence import Holdout
from holdfast.flow.shadow.counts import ONLY_SHADOW, Counts
from holdfast.flow.shadow.plan import BINS_MAX, Plan
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.interface import Registry
from holdfast.registry.rollouts import ROLLOUTS_MAX, NewRollout, Rollout, RolloutKind, Rollouts, RolloutState, Turn
from holdfast.runtime.at_hand import require_at_hand
from holdfast.runtime.known_columns import require_columns
from holdfast.runtime.materialise import read_manifest
from holdfast.runtime.smoke import read_outputs
from holdfast.store.interface import Store

__all__ = ["Shadow", "begin", "counted", "end", "last", "last_between", "summed"]

_OUTPUTS_BYTES_MAX = 256 << 20
"""Recorded outputs of a million rows with thirty classes."""

_SUMMED_BYTES_MAX = 48 << 10
"""What a turn of a rollout may carry is 64 KiB."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """What is to begin.

    Attributes:
        reference: the version.
        stage: the stage whose requests it gets a copy of.
        plan: what is done; its bins are made of the recorded scores of the version that holds the stage.
        actor: who begins it.
        reason: why.
        any_column: whether pairs may be told apart by a column that is no feature, and that callers send besides them.
    """

    reference: Reference
    stage: StageName
    plan: Plan
    actor: str
    reason: str
    any_column: bool = False


def begin(asked: Shadow, registry: Registry, store: Store) -> Rollout:
    """Begin it.

    Raises:
        UsageError: nobody said that the version has no side effects, or it holds the stage, or the rows of both
            versions lack a column of the plan.
        NotFound: no such version or stage, or nothing holds the stage.
        AlreadyExists: another shadow goes on at the stage.
        StageMoved: the stage moved meanwhile.
        Incomplete: the version lacks a part.
        Archived: its bytes are not here.
        IntegrityError: its manifest is damaged.
    """
    version = registry.resolve(asked.reference)
    stage = registry.stage(version.model, asked.stage)
    if stage.number is None or stage.digest is None:
        raise NotFound(
            f"nothing holds {asked.stage} of {version.model}, so there are no requests to copy",
            hint=f"Promote a version first: holdfast promote {version.model}@{version.number} --to {asked.stage}",
        )
    require_at_hand(version, registry, store)
    if not read_manifest(store, version.digest).side_effect_free:
        raise UsageError(
            f"nobody says that {version.model}@{version.number} has no side effects, and a shadow answers every "
            "request a second time",
            hint="If answering changes nothing elsewhere, register it again with --side-effect-free.",
        )
    if not asked.any_column:
        require_columns(asked.plan.by, (version.digest, stage.digest), store)
    edges = _edges(stage.digest, store)
    plan = replace(asked.plan, edges=edges) if edges else asked.plan
    new = NewRollout(
        RolloutKind.SHADOW, version.model, asked.stage, version.number, stage.number, plan.to_json(), asked.reason
    )
    return registry.begin_rollout(new, asked.actor)


def _edges(digest: Digest, store: Store) -> tuple[float, ...]:
    """Fiftieths of the scores that this version gave its own frozen rows; empty where they are not here."""
    try:
        manifest = read_manifest(store, digest)
        holdout = manifest.evidence.holdout
        if not isinstance(holdout, Holdout):
            return ()
        data = store.read(manifest.file(holdout.outputs).digest, bytes_max=_OUTPUTS_BYTES_MAX)
        return _fiftieths([number for score in read_outputs(data).scores for number in _number(score)])
    except HoldfastError:
        return ()  # whoever serves that version says what is wrong with it; bins of equal width do, too


def _number(score: Json) -> Sequence[float]:
    """One number a row, as answers are read: of two classes the second one's, of more the highest."""
    row = score if isinstance(score, list) else [score]
    numbers = [float(one) for one in row if isinstance(one, int | float)]
    if not numbers or len(numbers) < len(row):
        return ()
    return (numbers[-1] if len(numbers) <= 2 else max(numbers),)  # noqa: PLR2004 - two classes


def _fiftieths(scores: list[float]) -> tuple[float, ...]:
    ordered = sorted(scores)
    cuts = [ordered[len(ordered) * part // BINS_MAX] for part in range(1, BINS_MAX)] if ordered else []
    return tuple(sorted(set(cuts)))


def last(model: ModelName, stage: StageName, registry: Registry) -> Rollout:
    """The newest shadow of a stage, whatever became of it.

    Raises:
        NotFound: there was none, or no such model or stage.
    """
    found = registry.rollouts(model, stage, kind=RolloutKind.SHADOW, limit=1)
    if not found:
        raise NotFound(
            f"no version was ever in the shadow of {stage} of {model}",
            hint=f"Begin with one: holdfast shadow {model}@NUMBER --stage {stage}",
        )
    return found[0]


def last_between(
    model: ModelName, stage: StageName, digest: Digest, against: Digest, registry: Registry
) -> Rollout | None:
    """The newest shadow of exactly this version against exactly that one; None where there was none."""
    every = registry.rollouts(model, stage, kind=RolloutKind.SHADOW, limit=ROLLOUTS_MAX)
    return next((one for one in every if one.digest == digest and one.against_digest == against), None)


def counted(rollout: Rollout, registry: Rollouts) -> Counts:
    """What all replicas counted together: as it was kept at the end of a shadow, or as they have told it so far.

    Raises:
        UnsupportedFormat: another Holdfast counted, in a way that this one does not know.
    """
    kept = rollout.figures.get("counts")
    if isinstance(kept, dict):
        return Counts.from_json(kept)
    return Counts.of(tally.counts for tally in registry.tallies(rollout.id))


def summed(counts: Counts) -> JsonObject:
    """The figures that a shadow ends with: its counts, without the labels and groups where these are too long."""
    whole = counts.to_json()
    if len(encode(whole)) > _SUMMED_BYTES_MAX:
        whole = {**whole, "flips": {}, "groups": {}, "groups_agreed": {}}
    return {"counts": whole}


def end(model: ModelName, stage: StageName, registry: Registry, *, actor: str, reason: str) -> Rollout:
    """End the shadow that goes on: `passed` where enough requests were compared and none failed in it alone.

    Raises:
        NotFound: none goes on.
        StageMoved: somebody else ended it, or the stage moved, in the same moment.
    """
    found = last(model, stage, registry)
    if not found.state.going_on:
        raise NotFound(
            f"no shadow goes on at {stage} of {model}: the last one is {found.state}",
            hint=f"Look at it: holdfast shadow {model} --stage {stage}",
        )
    counts = counted(found, registry)
    clean = counts.requests >= Plan.from_json(found.plan).requests and not counts.errors[ONLY_SHADOW]
    state = RolloutState.PASSED if clean else RolloutState.STOPPED
    return registry.turn_rollout(Turn(found.id, found.event, state, found.step, reason, summed(counts)), actor)

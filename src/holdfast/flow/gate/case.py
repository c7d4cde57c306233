"""The case that a gate judges: everything that the rules look at, collected once, step by step.

Collecting is the only part that does I/O. The rules are pure functions of a case, so a verdict can be replayed from
what it recorded.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.canonical import Json, JsonObject
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError
from holdfast.evidence import Holdout, Metrics
from holdfast.flow.bundle.assemble import Opener
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.gate.policy import StagePolicy
from holdfast.manifest import Manifest
from holdfast.names import StageName
from holdfast.parts import EvalThreshold
from holdfast.registry.records import Approval
from holdfast.registry.values import Version
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.materialise import materialise, read_manifest
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table, read_table
from holdfast.runtime.smoke import read_outputs, write_outputs
from holdfast.store.interface import Store

__all__ = ["Case", "Measured", "Workbench", "examine"]

_WARM_UP_CALLS = 20
"""Calls before any is timed: the first ones import, allocate and fill caches."""

_TIMED_CALLS = 200
"""Single rows timed: enough for a 95th percentile with an interval, and about a second for a model of 5 ms."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one version said about the candidate's frozen rows.

    Attributes:
        answer: scores and predictions.
        metrics: measured on them; None when the rows have no target.
        latencies_ms: of single rows, in the order of measurement.
    """

    answer: Answer
    metrics: Metrics | None
    latencies_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at.

    Attributes:
        candidate: the version that wants the stage.
        stage: the stage.
        policy: what the stage asks.
        actor: who asks.
        baseline: the version that holds the stage; None when nothing does.
        approvals: what people said about the candidate for this stage.
        manifest: the candidate's manifest; None when it could not be read.
        damage: what is wrong with its bytes, one sentence each.
        recorded: the outputs that were recorded at registration.
        rows: the frozen rows, the target among them.
        targets: the true answers.
        measured: what the candidate says now; None when it could not be opened or asked.
        trouble: why not.
        against: what the baseline says about the same rows; None when there is no baseline or it could not be asked.
        against_trouble: why not.
    """

    candidate: Version
    stage: StageName
    policy: StagePolicy
    actor: str
    baseline: Version | None = None
    approvals: tuple[Approval, ...] = ()
    manifest: Manifest | None = None
    damage: tuple[str, ...] = ()
    recorded: Answer | None = None
    rows: Table | None = None
    targets: tuple[Json, ...] | None = None
    measured: Measured | None = None
    trouble: HoldfastError | None = None
    against: Measured | None = None
    against_trouble: HoldfastError | None = None
    seconds: float = field(default=0.0, compare=False)

    def inputs(self) -> JsonObject:
        """What was judged, by digest, for the verdict."""
        holdout = self.manifest.evidence.holdout if self.manifest is not None else None
        rows = None
        if self.manifest is not None and isinstance(holdout, Holdout):
            rows = str(self.manifest.file(holdout.rows).digest)
        return {
            "candidate": {"version": self.candidate.number, "digest": str(self.candidate.digest)},
            "baseline": None
            if self.baseline is None
            else {"version": self.baseline.number, "digest": str(self.baseline.digest)},
            "holdout": rows,
            "rows": 0 if self.rows is None else self.rows.count,
            "outputs": _digest_of(self.measured),
            "baseline_outputs": _digest_of(self.against),
        }


def _digest_of(measured: Measured | None) -> str | None:
    return None if measured is None else str(hash_bytes(write_outputs(measured.answer)))


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where bundles are taken to be judged.

    Attributes:
        store: where their bytes are.
        cache: where they are checked out.
        opener: starts a worker for a bundle.
    """

    store: Store
    cache: Path
    opener: Opener


def examine(case: Case, bench: Workbench) -> Case:
    """The case with all that can be found out about the candidate; never an exception for what the candidate lacks."""
    started = time.perf_counter()
    # (2) what the version says it is
    try:
        manifest = read_manifest(bench.store, case.candidate.digest)
    except HoldfastError as error:
        return replace(case, damage=(error.message,), trouble=error)
    case = replace(case, manifest=manifest)
    # (3) every byte of it
    case = replace(case, damage=tuple(damaged(bench.store, manifest)))
    if case.damage:
        return case
    # (5) open it in its own environment, and (6) ask it about its frozen rows
    try:
        files = materialise(bench.store, case.candidate.digest, bench.cache)
        case = _with_rows(case, files)
        with bench.opener(files) as predictor, _baseline(case, bench) as other:
            case = _measure(case, predictor, other)
    except HoldfastError as error:
        case = replace(case, trouble=error)
    return replace(case, seconds=time.perf_counter() - started)


def damaged(store: Store, manifest: Manifest) -> Iterator[str]:
    """One sentence for each file of the bundle that the store lacks or holds damaged."""
    for entry in manifest.files:
        try:
            store.verify(entry.digest)
        except HoldfastError as error:
            yield f"{entry.path}: {error.message}"


def _with_rows(case: Case, files: BundleFiles) -> Case:
    holdout = files.manifest.evidence.holdout
    if not isinstance(holdout, Holdout):
        return case
    rows = read_table(files.read(holdout.rows))
    targets = None if holdout.target is None else tuple(rows.column(holdout.target))
    return replace(case, rows=rows, targets=targets, recorded=read_outputs(files.read(holdout.outputs)))


@contextmanager
def _baseline(case: Case, bench: Workbench) -> Iterator["_Other"]:
    """The version that holds the stage, open beside the candidate, or why it is not."""
    if case.baseline is None or case.baseline.digest == case.candidate.digest:
        yield _Other(None, None)
        return
    with ExitStack() as stack:
        try:
            files = materialise(bench.store, case.baseline.digest, bench.cache)
            other = _Other(stack.enter_context(bench.opener(files)), None)
        except HoldfastError as error:
            other = _Other(None, error)
        yield other


@dataclass(frozen=True, slots=True)
class _Other:
    predictor: Predictor | None
    trouble: HoldfastError | None


def _measure(case: Case, predictor: Predictor, other: _Other) -> Case:
    if case.rows is None or case.manifest is None:
        return case
    holdout = case.manifest.evidence.holdout
    table = case.rows.without(holdout.target if isinstance(holdout, Holdout) else None)
    mine = _judge(case, predictor.predict(table))
    theirs, trouble = None, other.trouble
    if other.predictor is not None:
        try:
            theirs = _judge(case, other.predictor.predict(table))
        except HoldfastError as error:
            trouble = error
    racers = [predictor] if other.predictor is None or theirs is None else [predictor, other.predictor]
    times = _race(racers, table) if "latency" in case.policy.rules else [()] * len(racers)
    mine = replace(mine, latencies_ms=times[0])
    if theirs is not None:
        theirs = replace(theirs, latencies_ms=times[1])
    return replace(case, measured=mine, against=theirs, against_trouble=trouble)


def _judge(case: Case, answer: Answer) -> Measured:
    """The answer with its metrics; both versions are measured by the candidate's metrics on the candidate's rows."""
    if case.manifest is None or case.targets is None:
        return Measured(answer, None)
    threshold, recorded = case.manifest.parts.eval_threshold, case.manifest.evidence.metrics
    if not isinstance(threshold, EvalThreshold):
        return Measured(answer, None)
    primary = case.policy.metric or (recorded.primary if isinstance(recorded, Metrics) else None)
    return Measured(answer, measure(case.targets, answer, threshold, primary=primary))


def _race(predictors: list[Predictor], table: Table) -> list[tuple[float, ...]]:
    """Milliseconds for single rows, the versions taking turns, so that a busy machine is unfair to both alike."""
    rows = [table.row(index % table.count) for index in range(_WARM_UP_CALLS + _TIMED_CALLS)]
    times: list[list[float]] = [[] for _ in predictors]
    for row in rows:
        for taken, predictor in zip(times, predictors, strict=True):
            begun = time.perf_counter()
            predictor.predict(row)
            taken.append((time.perf_counter() - begun) * 1000.0)
    return [tuple(taken[_WARM_UP_CALLS:]) for taken in times]


def bundle_is_whole(store: Store, digest: Digest) -> tuple[Manifest, tuple[str, ...]]:
    """A version's manifest and what is damaged of it; what a rollback looks at before it moves anything."""
    manifest = read_manifest(store, digest)
    return manifest, tuple(damaged(store, manifest))

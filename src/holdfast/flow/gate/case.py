"""The case that a gate judges: everything that the rules look at, collected once, step by step.

Collecting is the only part that does I/O. The rules are pure functions of a case, so a verdict can be replayed from
what it recorded.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from holdfast.canonical import Json, JsonObject
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NotFound, UsageError
from holdfast.evidence import Card, Holdout
from holdfast.flow.bundle.assemble import Opener
from holdfast.flow.bundle.card import CARD_BYTES_MAX
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.formats import judge_formats
from holdfast.flow.gate.former import Former, compared, frozen_rows
from holdfast.flow.gate.looking import listings_of
from holdfast.flow.gate.measured import Measured, measured_by
from holdfast.flow.gate.pricing import Pricing
from holdfast.flow.gate.race import times_of
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.training import Training, look
from holdfast.flow.shadow.standing import Standing
from holdfast.formats import Listing
from holdfast.manifest import Manifest
from holdfast.names import StageName, VersionNumber
from holdfast.registry.certificates import Rehearsal
from holdfast.registry.records import Approval
from holdfast.registry.values import Version
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.limits import Limits
from holdfast.runtime.materialise import materialise, read_manifest
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table, read_table
from holdfast.runtime.signed import Vouched
from holdfast.runtime.smoke import read_outputs, write_outputs
from holdfast.store.disk import refusing
from holdfast.store.interface import Store

__all__ = ["Case", "Measured", "Workbench", "damaged", "examine", "manifest_of"]

_ANSWERING = {"weights", "preprocessing_code", "eval_threshold", "schema"}
"""What a bundle cannot answer without; opening one that lacks it would only fail in another process."""


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
        judged_before: the other versions that gates judged on the candidate's frozen rows, by number.
        manifest: the candidate's manifest; None when it could not be read.
        damage: what is wrong with its bytes, one sentence each.
        listings: what each of its files could do when it is opened, by path.
        unopened: whether that, or the lack of signatures, is why it was not opened.
        settled: the rules that failed before it was opened, and so decided the whole; see `settling`.
        recorded: the outputs that were recorded at registration.
        rows: the frozen rows, the target among them.
        targets: the true answers.
        measured: what the candidate says now; None when it could not be opened or asked.
        trouble: what went wrong when it was.
        against: what the baseline says about the same rows; None when there is no baseline or it could not be asked.
        against_trouble: what went wrong when it was.
        trusted: the keys that the policy names, by fingerprint, each as the policy names it.
        vouched: who vouches for the candidate; None when nobody asked, or it could not be found out.
        vouching_trouble: what went wrong when it was.
        rehearsal: the last one of going back to the baseline in this stage; None when there was none, or nobody asks.
        shadow: how the newest one of the candidate against the baseline stands; None when there was none, or nobody
            asks.
        baseline_manifest: the baseline's manifest; None when nobody asked, or it could not be read.
        card: the candidate's model card; None when nobody asked, or there is none that could be read.
        former: the frozen rows of the baseline beside the candidate's, or why they could not be read; None when there
            is no baseline or nobody asks.
        training: what the candidate was trained on; None when nobody asks, or its manifest could not be read.
        earlier: the same of the baseline.
        worker: what the process that answered was allowed, and which of these limits the system held; None when
            nothing was opened.
        own: what the project's own rules found, by name.
        code: the digests of the project's own code that judged, by the name of its rule, or `cost`.
        seconds: how long the examination took.
        origin: where the policy is written, as the verdict says it; see `precedence.Origin`.
    """

    candidate: Version
    stage: StageName
    policy: StagePolicy
    actor: str
    baseline: Version | None = None
    approvals: tuple[Approval, ...] = ()
    judged_before: tuple[VersionNumber, ...] = ()
    manifest: Manifest | None = None
    damage: tuple[str, ...] = ()
    listings: Mapping[str, Listing] = field(default_factory=dict)
    unopened: bool = False
    settled: tuple[str, ...] = ()
    recorded: Answer | None = None
    rows: Table | None = None
    targets: tuple[Json, ...] | None = None
    measured: Measured | None = None
    trouble: HoldfastError | None = None
    against: Measured | None = None
    against_trouble: HoldfastError | None = None
    trusted: Mapping[Digest, str] = field(default_factory=dict)
    vouched: Vouched | None = None
    vouching_trouble: HoldfastError | None = None
    rehearsal: Rehearsal | None = None
    shadow: Standing | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)
    baseline_manifest: Manifest | None = None
    card: str | None = None
    former: Former | HoldfastError | None = None
    training: Training | None = None
    earlier: Training | None = None
    worker: JsonObject | None = None
    own: Mapping[str, Finding] = field(default_factory=dict)
    code: Mapping[str, Digest] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)
    origin: JsonObject = field(default_factory=dict)

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
            "baseline_holdout": str(self.former.digest) if isinstance(self.former, Former) else None,
            "judged_before": list(self.judged_before),
            "training": [] if self.training is None else self.training.digests(),
            "baseline_training": [] if self.earlier is None else self.earlier.digests(),
            "worker": self.worker,
            **({"code": {name: str(digest) for name, digest in self.code.items()}} if self.code else {}),
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
        limited: an opener whose workers have the limits that a stage asks for; None: `opener` serves every stage.
        project: the folder whose code and keys policy may name; None: none of its code is run.
    """

    store: Store
    cache: Path
    opener: Opener
    limited: Callable[[Limits], Opener] | None = None
    project: Path | None = None

    def of_stage(self, policy: StagePolicy) -> "Workbench":
        """The same, with workers that may use what the stage lets them."""
        return self if self.limited is None else replace(self, opener=self.limited(policy.worker_limits()))


def examine(
    case: Case,
    bench: Workbench,
    vouch: Callable[[Case], Case] = lambda case: case,
    settle: Callable[[Case], Case] = lambda case: case,
) -> Case:
    """The case with all that can be found out about the candidate; never an exception for what the candidate lacks.

    Args:
        case: who wants what.
        bench: where bundles are opened.
        vouch: finds out who signed the candidate, once its manifest is known and before anything of it is opened.
        settle: finds out whether all is decided by what is known before anything is opened.
    """
    started = time.perf_counter()
    case = settle(_with_data(_unopened(case, bench, vouch), bench))
    return replace(_opened(case, bench.of_stage(case.policy)), seconds=time.perf_counter() - started)


def _unopened(case: Case, bench: Workbench, vouch: Callable[[Case], Case]) -> Case:
    # (2) what the version says it is
    try:
        manifest = manifest_of(bench.store, case.candidate)
    except HoldfastError as error:
        return replace(case, damage=(error.message,))
    # (3) every byte of it, and who stands for them
    case = vouch(replace(case, manifest=manifest, damage=tuple(damaged(bench.store, manifest))))
    if case.damage:
        return case
    # (4) what its files could do when they are opened; what could run hidden code is not opened to find out
    if "formats" in case.policy.rules:
        try:
            case = replace(case, listings=listings_of(bench.store, manifest, case.policy))
        except HoldfastError as error:
            return replace(case, damage=(error.message,))
        if judge_formats(manifest, case.listings, case.policy).outcome is not Outcome.PASS:
            return replace(case, unopened=True)
    return _with_documents(case, bench, manifest)


def _opened(case: Case, bench: Workbench) -> Case:
    if case.manifest is None or case.damage or case.unopened or case.settled:
        return case
    lacking = _ANSWERING & {missing.name for missing in case.manifest.missing()}
    if lacking or Need.OPENED not in needed(case.policy.rules):
        return case
    # (5) open it in its own environment, and (6) ask it about its frozen rows
    try:
        files = _taken(bench, case.candidate)
        case = _with_rows(case, files)
        with bench.opener(files) as predictor, _baseline(case, bench) as other:
            return _with_former(_measure(case, bench, predictor, other), bench, predictor)
    except HoldfastError as error:
        return replace(case, trouble=error)


def _with_documents(case: Case, bench: Workbench, manifest: Manifest) -> Case:
    """The case with what is only read, as far as a rule asks for it."""
    asked, before, text = needed(case.policy.rules), None, None
    if Need.BASELINE in asked and case.baseline is not None:
        with suppress(HoldfastError):  # the rule says that it could not be read, and what finds out why
            before = manifest_of(bench.store, case.baseline)
    card = manifest.evidence.card
    if Need.CARD in asked and isinstance(card, Card):
        with suppress(HoldfastError):  # likewise
            data = bench.store.read(manifest.file(card.file).digest, bytes_max=CARD_BYTES_MAX)
            text = data.decode("utf-8", "replace")
    return replace(case, baseline_manifest=before, card=text)


def _with_data(case: Case, bench: Workbench) -> Case:
    """The case with what the two versions were trained on; nothing of it is opened, and so nothing of it can run."""
    asked, manifest = needed(case.policy.rules), case.manifest
    if manifest is None or case.damage or Need.TRAINED not in asked:
        return case
    holdout, drawn = manifest.evidence.holdout, Need.EARLIER in asked and case.baseline is not None
    if "leakage" in case.policy.rules and case.rows is None and isinstance(holdout, Holdout):
        try:
            case = replace(case, rows=frozen_rows(bench.store, manifest))
        except HoldfastError as error:
            return replace(case, training=Training(trouble=error))
    rows = case.rows if "leakage" in case.policy.rules else None
    target = holdout.target if isinstance(holdout, Holdout) else None
    case = replace(case, training=look(bench.store, manifest, rows=rows, target=target, sample=drawn))
    if not drawn or case.baseline is None:
        return case
    try:
        return replace(case, earlier=look(bench.store, manifest_of(bench.store, case.baseline), sample=True))
    except HoldfastError as error:
        return replace(case, earlier=Training(trouble=error))


def manifest_of(store: Store, version: Version) -> Manifest:
    """The manifest of a version that the registry knows.

    Raises:
        IntegrityError: it is damaged, or the store has lost it.
    """
    try:
        return read_manifest(store, version.digest)
    except NotFound as error:
        raise IntegrityError(
            f"the manifest of {version.model}@{version.number} is lost: {error.message}",
            hint="Find what else is lost with: holdfast check; then bring the store back from a copy.",
            **error.details,
        ) from error


def damaged(store: Store, manifest: Manifest) -> Iterator[str]:
    """One sentence for each file of the bundle that the store lacks or holds damaged."""
    for entry in manifest.files:
        try:
            store.verify(entry.digest)
        except HoldfastError as error:
            yield f"{entry.path}: {error.message}"


def _taken(bench: Workbench, version: Version) -> BundleFiles:
    with refusing(bench.cache):
        return materialise(bench.store, version.digest, bench.cache)


def _with_rows(case: Case, files: BundleFiles) -> Case:
    holdout = files.manifest.evidence.holdout
    if not isinstance(holdout, Holdout):
        return case
    rows = read_table(files.read(holdout.rows)) if case.rows is None else case.rows
    if rows.count == 0:
        raise UsageError("the frozen holdout has no rows", hint="Register with rows that the model was not trained on.")
    targets = None if holdout.target is None else tuple(rows.column(holdout.target))
    return replace(case, rows=rows, targets=targets, recorded=read_outputs(files.read(holdout.outputs)))


@contextmanager
def _baseline(case: Case, bench: Workbench) -> Iterator["_Other"]:
    """The version that holds the stage, open beside the candidate, or why it is not."""
    if case.baseline is None or Need.COMPARED not in needed(case.policy.rules):
        yield _Other(None, None)
        return
    with ExitStack() as stack:
        try:
            other = _Other(stack.enter_context(bench.opener(_taken(bench, case.baseline))), None)
        except HoldfastError as error:
            other = _Other(None, error)
        yield other


@dataclass(frozen=True, slots=True)
class _Other:
    predictor: Predictor | None
    trouble: HoldfastError | None


def _with_former(case: Case, bench: Workbench, predictor: Predictor) -> Case:
    if case.baseline is None or case.rows is None or Need.FORMER not in needed(case.policy.rules):
        return case
    try:
        before = manifest_of(bench.store, case.baseline)
        return replace(case, former=compared(bench.store, before, case.rows, predictor.predict))
    except HoldfastError as error:
        return replace(case, former=error)


def _measure(case: Case, bench: Workbench, predictor: Predictor, other: _Other) -> Case:
    case = replace(case, worker={"limits": predictor.limits.to_json(), **predictor.hello.walls.to_json()})
    if case.rows is None or case.manifest is None:
        return case
    holdout = case.manifest.evidence.holdout
    table = case.rows.without(holdout.target if isinstance(holdout, Holdout) else None)
    pricing = Pricing.of(case.policy.cost, bench.project)
    mine = _asked(case, predictor, table, pricing)
    theirs, trouble = None, other.trouble
    if other.predictor is not None:
        try:
            theirs = _asked(case, other.predictor, table, pricing)
        except HoldfastError as error:
            trouble = error
    code = {} if pricing is None or pricing.own is None else {"cost": pricing.own.digest}
    case = replace(case, measured=mine, against=theirs, against_trouble=trouble, code=code)
    return _timed(case, predictor, other, table) if Need.TIMED in needed(case.policy.rules) else case


def _timed(case: Case, predictor: Predictor, other: _Other, table: Table) -> Case:
    """The case with how long single rows take, and batches; and with what went wrong when they were asked for."""
    beside = other.predictor if case.against is not None else None
    mine, *theirs = times_of([predictor] if beside is None else [predictor, beside], table, case.policy)
    if case.measured is not None:
        timed = replace(case.measured, latencies_ms=mine.singles_ms, batch_latencies_ms=mine.batches_ms)
        case = replace(case, measured=timed, trouble=mine.trouble)
    if theirs and case.against is not None:
        timed = replace(case.against, latencies_ms=theirs[0].singles_ms, batch_latencies_ms=theirs[0].batches_ms)
        case = replace(case, against=timed)
    return case


def _asked(case: Case, predictor: Predictor, table: Table, pricing: Pricing | None) -> Measured:
    """What one version says about the rows, and the memory that it took to say it."""
    manifest, primary = case.manifest, case.policy.metric
    measured = measured_by(manifest, case.targets, predictor.predict(table), table, primary=primary, pricing=pricing)
    return replace(measured, memory_bytes=predictor.memory_bytes(), foreign=predictor.hello.foreign)

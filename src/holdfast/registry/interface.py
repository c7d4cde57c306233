"""What a registry promises. `sql.py` keeps it, and one contract suite holds whatever keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from holdfast.digest import Digest
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.asking import Questions
from holdfast.registry.certificates import Rehearsals
from holdfast.registry.clearing import Cleared, ClearStage
from holdfast.registry.governing import Governing
from holdfast.registry.records import (
    Approval,
    Audit,
    Event,
    Hold,
    Live,
    NewApproval,
    NewEvent,
    NewVerdict,
    Verdict,
)
from holdfast.registry.rollouts import Rollouts
from holdfast.registry.values import STAGES, Edge, Model, Move, MoveStage, NewVersion, Replica, Stage, Version
from holdfast.registry.vouching import Vouching
from holdfast.registry.whereabouts import Archive, NewArchive, Tenure

__all__ = ["EVENTS_MAX", "JUDGED_MAX", "Registry"]

EVENTS_MAX = 10_000
"""Events in one answer of `log`: a few megabytes of JSON; more is read in pages."""

JUDGED_MAX = 10_000
"""Versions in one answer of `judged_on`: rows that were used so often are worn out, and more tells nothing more."""


class Registry(Questions, Governing, Vouching, Rehearsals, Rollouts, Protocol):
    """Models, versions, stages, and the log of all that happened to them.

    Every operation is all or nothing, and durable when it returns. `actor` is who asks: it goes into the event, and
    nobody below checks it. Any operation may raise `Unavailable`, `NoSpace`, `IntegrityError` or `PermissionRefused`;
    then the registry is as it was before.

    `key`, where an operation takes one, names the request: the same key again with the same request gives the same
    answer and writes nothing, and with another request it is a `UsageError`. So whoever got no answer may ask again. A
    request that wrote nothing leaves its key free. Where an answer can be lost, a request without a key is given one,
    and asked again inside: an error says `outcome: unknown` only after nobody answered for many seconds.
    """

    def create_model(
        self,
        name: ModelName,
        actor: str,
        *,
        description: str = "",
        stages: Sequence[StageName] = STAGES,
        key: str | None = None,
    ) -> Model:
        """Begins a line of versions with its stages, empty.

        Raises:
            AlreadyExists: the model is there.
        """

    def ensure_model(
        self, name: ModelName, actor: str, *, stages: Sequence[StageName] = STAGES, key: str | None = None
    ) -> Model:
        """The model; made with these stages when it is not there."""

    def models(
        self, *, after: ModelName | None = None, limit: int | None = None, only: ModelName | None = None
    ) -> tuple[Model, ...]:
        """Every model, by name; or the first `limit` of those that come behind `after`; or the `only` one named so."""

    def define_stage(self, model: ModelName, name: StageName, actor: str, *, key: str | None = None) -> Stage:
        """Adds an empty stage to a model.

        Raises:
            NotFound: no such model.
            AlreadyExists: the stage is there.
            TooLarge: the model has as many stages as a model can have.
        """

    def register(
        self,
        new: NewVersion,
        actor: str,
        reason: str = "",
        *,
        action: Action = Action.VERSION_REGISTER,
        key: str | None = None,
    ) -> Version:
        """Gives a digest the next number of its model, with its event and its lineage; the one commit point.

        Numbers are 1, 2, 3 … without a gap, in the order of the commits; behind the highest that was imported.

        Raises:
            NotFound: no such model.
            AlreadyExists: the model has this digest, or this semver; the details give `version` and `digest`.
            UsageError: the action is neither register nor adopt.
        """

    def import_version(
        self,
        new: NewVersion,
        number: VersionNumber,
        actor: str,
        reason: str = "",
        *,
        origin: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> Version:
        """Takes in a version under the number that another registry of the same line gave it, with its event.

        Numbers below it may be free afterwards, and are filled by importing; `register` goes on behind the highest.
        What is there already, under this number and with this digest, is answered as it is, and nothing is written.

        Args:
            new: as for `register`; its bytes are durable here.
            number: its own.
            actor: who asks.
            reason: for the log.
            origin: where it is from: who made it there and when; kept in the event.
            key: names the request.

        Raises:
            NotFound: no such model.
            AlreadyExists: the number is another digest's here, or this digest or semver has another number; the details
                give `version`, `digest`, and what was `asked`.
        """

    def resolve(self, reference: Reference) -> Version:
        """The version that a person meant.

        Raises:
            NotFound: no such model, version or stage, or nothing holds the stage; the hint names what there is.
            UsageError: more than one digest begins so; the details list them.
        """

    def versions(
        self, model: ModelName | None = None, *, after: Reference | None = None, limit: int | None = None
    ) -> tuple[Version, ...]:
        """The versions of a model by number, or of all models; or the first `limit` of those behind `after`.

        Args:
            model: whose; None: everybody's.
            after: a version by its number, such as `churn@4`; it need not be there.
            limit: how many at most.

        Raises:
            UsageError: `after` names a version in another way than by its number.
            NotFound: no such model.
        """

    def stages(self, model: ModelName) -> tuple[Stage, ...]:
        """The stages of a model, by name.

        Raises:
            NotFound: no such model.
        """

    def stage(self, model: ModelName, name: StageName) -> Stage:
        """One stage as it stands; one statement.

        Raises:
            NotFound: no such model or stage.
        """

    def stage_epoch(
        self, model: ModelName, name: StageName, *, known: int | None = None, wait_seconds: float = 0.0
    ) -> int:
        """How often the stage has moved: the cheapest way to see that it has; one statement.

        Args:
            model: whose stage.
            name: which one.
            known: what the caller knows already. An answer that would say the same MAY be kept back until the stage
                moves, so that who asks again and again over a network hears of it at once.
            wait_seconds: for how long at most.

        Raises:
            NotFound: no such model or stage.
        """

    def move_stage(self, move: MoveStage, actor: str) -> Move:
        """Moves a stage, provided that it still holds what the caller expects, together with the event that says so.

        A promotion and an adoption make the version that they replace the last-known-good. A rollback goes to a
        version that has held the stage, and makes the version that stood before that one the last-known-good;
        `holdfast.registry.last_known_good` says exactly which.

        Raises:
            NotFound: no such model, stage, version, verdict or approval.
            Archived: the version's bytes need not be here.
            StageMoved: the stage holds another version; the details say `expected`, `found`, `moved_by`, `moved_at`,
                `moved_from`, `moved_to` and `event`.
            AlreadyExists: the version holds the stage already.
            GateRefused: a promotion on a verdict that does not name the policy in force, where the registry has one.
            UsageError: the action moves no stage, a rollback to a version that never held it, an approval or a verdict
                that is not for this version and stage, or another request under the same idempotency key.
        """

    def clear_stage(self, clearing: ClearStage, actor: str) -> Cleared:
        """Empties a stage, provided that it still holds what the caller expects, together with the event that says so.

        What held it becomes its last-known-good, so that a rollback brings it back. Replicas of an emptied stage stop
        answering: only stages decide what is served. No gate and no policy is asked: nothing is let through.

        Raises:
            NotFound: no such model or stage.
            StageMoved: the stage holds another version, or nothing; the details are those of `move_stage`.
            UsageError: no reason, or another request under the same idempotency key.
        """

    def move_of(self, idempotency_key: str) -> Move | None:
        """The move that was made under this key; None when none was, or the key is that of another kind of request.

        A caller whose preparation is dear (a gate) asks this first, and compares the move with what it wants.
        """

    def record(self, event: NewEvent, actor: str, *, key: str | None = None) -> Event:
        """Writes down what changed nothing but the log.

        Raises:
            UsageError: the action is one that comes with a change.
            NotFound: no such model, version or verdict.
        """

    def approve(self, new: NewApproval, actor: str, *, key: str | None = None) -> Approval:
        """Writes down the actor's judgement of a version for a stage, with its event.

        Raises:
            NotFound: no such model, version, stage or verdict.
            UsageError: the digest is not the version's, or the verdict is another version's.
        """

    def approvals(self, model: ModelName, number: VersionNumber) -> tuple[Approval, ...]:
        """All judgements of a version, approvals and rejections, oldest first.

        Raises:
            NotFound: no such model or version.
        """

    def put_verdict(self, new: NewVerdict) -> Verdict:
        """Keeps a verdict under its digest; keeping it again changes nothing.

        Raises:
            NotFound: no such model, version or stage.
            AlreadyExists: the same body was kept for another version, stage or outcome.
            TooLarge: the body is past what a verdict may hold.
        """

    def verdict(self, digest: Digest) -> Verdict:
        """The verdict with this digest, its body checked against it.

        Raises:
            NotFound: no such verdict.
            IntegrityError: the body is not what the digest names.
        """

    def judged_on(self, model: ModelName, rows: Digest) -> tuple[VersionNumber, ...]:
        """The versions of a model that a gate has judged on these frozen rows, by number; `JUDGED_MAX` of them at most.

        A version counts once, however often it was judged, for whatever stage, and whatever the outcome.

        Args:
            model: whose.
            rows: the digest of the frozen rows, as verdicts name it in their `inputs`.

        Raises:
            NotFound: no such model.
        """

    def lineage(self, kind: str, name: str) -> tuple[Edge, ...]:
        """The edges that touch a thing, as child or as parent; empty when nobody knows it."""

    def live(self, model: ModelName, at: datetime | None = None) -> Live:
        """What held each stage at a moment, or now, read from the events alone.

        Raises:
            NotFound: no such model.
        """

    def log(
        self,
        model: ModelName | None = None,
        *,
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Event, ...]:
        """Events, newest first: of one model or of all, not older than `since`, with an index below `before`.

        Raises:
            NotFound: no such model.
            UsageError: the limit is not 1 to `EVENTS_MAX`.
        """

    def following(
        self, after: int, *, model: ModelName | None = None, actions: Sequence[Action] = (), limit: int = 100
    ) -> tuple[Event, ...]:
        """Events behind the one with this index, oldest first: the way on for whoever follows the log.

        Args:
            after: the index of the last event that the caller knows; -1: none.
            model: of one model; None: of all.
            actions: only these; none: all.
            limit: how many at most.

        Raises:
            UsageError: the limit is not 1 to `EVENTS_MAX`.
        """

    def follow(self, after: int, *, model: ModelName | None = None, actions: Sequence[Action] = ()) -> Iterator[Event]:
        """What `following` gives, and then each event as it comes, without an end."""

    def hold(self, what: Digest | Reference, reason: str, actor: str, *, key: str | None = None) -> Hold:
        """Writes down that a version, or whatever a digest names, is to be kept until the hold is lifted.

        Raises:
            NotFound: no such version. Whether a store has the digest is the caller's to ask.
            UsageError: no reason.
        """

    def lift(self, hold: int, reason: str, actor: str, *, key: str | None = None) -> Hold:
        """Takes a hold back; what it was.

        Raises:
            NotFound: no such hold, or it was lifted before.
        """

    def holds(self) -> tuple[Hold, ...]:
        """The holds that stand, oldest first."""

    def archive(self, new: NewArchive, actor: str, *, key: str | None = None) -> Archive:
        """Writes down that a remote holds all of a version or a snapshot, so that its bytes need not be here.

        What stands already for this place is answered as it is, and nothing is written. Whether the remote does hold it
        is the caller's to prove.

        Raises:
            NotFound: no such version.
            PermissionRefused: it holds a stage, is last-known-good of one, is held, or is a snapshot of a version that
                is not archived.
            StageMoved: a stage of its model has moved since `new.expect`.
        """

    def restore(
        self, digest: Digest, remote: str, actor: str, reason: str = "", *, key: str | None = None
    ) -> tuple[Archive, ...]:
        """Writes down that the bytes of what was archived are here again, from the remote of that name.

        The archives that this ends; where there are none, nothing is written.
        """

    def archives(self) -> tuple[Archive, ...]:
        """The archives that stand, oldest first."""

    def restores(self) -> Mapping[Digest, datetime]:
        """When each of the things that ever were restored was so last."""

    def tenures(self) -> tuple[Tenure, ...]:
        """Each time that a version held a stage of its model, in the order in which they began."""

    def audit_verify(self) -> Audit:
        """Recomputes every event from its fields, the chain, the tree, and what the registry must hold after it.

        It changes nothing, and it is an answer and never an error that the log is bad.
        """

    def report(self, replica: Replica) -> Replica:
        """Takes a replica's word on what it serves; `reported_at` becomes now."""

    def live_replicas(self, model: ModelName, stage: StageName, max_age: timedelta) -> tuple[Replica, ...]:
        """The replicas that follow a stage, have not stopped, and have spoken within `max_age`; by start, then id."""

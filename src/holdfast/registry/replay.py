"""The registry as the log says it must be: the events, played again one by one."""

from dataclasses import dataclass, field
from typing import Any

from holdfast.canonical import JsonObject, encode
from holdfast.database.times import to_text
from holdfast.digest import hash_bytes
from holdfast.registry.actions import MOVES, POINTING, Action
from holdfast.registry.records import Event

__all__ = ["Replay"]

_STANDING = {"canary": {"running", "held", "passed"}, "shadow": {"running", "held"}}
"""The states in which a rollout can be turned; a canary that has passed keeps its share until the stage moves."""


@dataclass(slots=True)
class Replay:
    """What the tables must hold after the events that were played; each row as a tuple of its columns.

    Attributes:
        models: name -> (created_at, created_by, description).
        counters: model -> the last number that was given.
        versions: (model, number) -> (digest, complete, missing, run, semver, digest of the summary, created_at,
            created_by).
        stages: (model, name) -> (number, epoch, last-known-good, event, changed_at).
        signatures: digest -> (model, number, key, created_at, created_by).
        approvals: id -> (model, number, digest, stage, meaning, approver, reason, verdict, created_at).
        policies: (scope, number) -> (digest, reason, created_at, created_by, event); the scope of all models is empty.
        lineage: the edges.
        holds: the index of the event that made it -> what it keeps; they have no table.
        archives: likewise, the index of the event -> what was archived.
        rehearsals: digest of the certificate -> (model, stage, from, to, outcome, event, created_at, created_by).
        rollouts: event -> (rollout, model, stage, epoch, kind, number, digest, against, its digest, state, step, digest
            of the plan, digest of the figures, reason, verdict, created_at, created_by); the plan stands in the first.
    """

    models: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    versions: dict[tuple[str, int], tuple[Any, ...]] = field(default_factory=dict)
    stages: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    approvals: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    policies: dict[tuple[str, int], tuple[Any, ...]] = field(default_factory=dict)
    signatures: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    lineage: set[tuple[str, ...]] = field(default_factory=set)
    holds: dict[int, Any] = field(default_factory=dict)
    archives: dict[int, Any] = field(default_factory=dict)
    rehearsals: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    rollouts: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    _tried: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """What is tried by each kind beside each stage: the newest event of the rollout, as long as no turn ended it."""

    def play(self, event: Event) -> str | None:
        """Plays one event; a sentence when it cannot follow from those before it."""
        model = event.model or ""
        if event.action == Action.MODEL_CREATE:
            return self._begin(event, model)
        if event.action == Action.STAGE_DEFINE:
            return self._define(event, model, event.stage or "")
        if event.action in {Action.VERSION_REGISTER, Action.VERSION_ADOPT}:
            return self._register(event, model)
        if event.action == Action.VERSION_IMPORT:
            return self._import(event, model)
        if event.action in {Action.VERSION_APPROVE, Action.VERSION_REJECT}:
            return self._judge(event, model)
        if event.action == Action.POLICY_SET:
            return self._set_policy(event, model)
        if event.action == Action.VERSION_SIGN:
            return self._sign(event, model)
        if event.action == Action.ROLLBACK_REHEARSE and "certificate" in event.details:
            return self._rehearse(event, model)
        if event.action in POINTING:
            play = self._move if event.action in MOVES else self._clear
            return play(event, model, event.stage or "")
        return self._beside_stages(event, model)

    def _beside_stages(self, event: Event, model: str) -> str | None:
        """Plays what is tried beside a stage, and what says which bytes are to be here."""
        if event.action == Action.ROLLOUT_BEGIN:
            return self._begin_rollout(event, model, event.stage or "")
        if event.action == Action.ROLLOUT_TURN:
            return self._turn_rollout(event, model, event.stage or "")
        return self._keep_bytes(event, model)

    def _keep_bytes(self, event: Event, model: str) -> str | None:
        """Plays what says which bytes are to be here; any other event changes nothing."""
        if event.action == Action.HOLD_ADD:
            self.holds[event.index] = event.details.get("digest")
        elif event.action == Action.HOLD_LIFT:
            return self._lift(event)
        elif event.action == Action.BYTES_ARCHIVE:
            return self._archive(event, model)
        elif event.action == Action.BYTES_RESTORE:
            return self._restore(event)
        return None

    def _begin(self, event: Event, model: str) -> str | None:
        if model in self.models:
            return f"it begins {model}, which was begun before"
        self.models[model] = (to_text(event.time), event.actor, event.details.get("description"))
        self.counters[model] = 0
        for name in event.details.get("stages", ()):
            self._define(event, model, name)
        return None

    def _define(self, event: Event, model: str, name: str) -> str | None:
        if (model, name) in self.stages:
            return f"it defines {name} of {model}, which was defined before"
        self.stages[model, name] = (None, 0, None, event.index, to_text(event.time))
        return None

    def _register(self, event: Event, model: str) -> str | None:
        number = event.to_number
        if number is None or number != self.counters.get(model, -1) + 1:
            return f"it registers {model}@{number} out of turn"
        self.counters[model] = number
        self._keep(event, model, number)
        return None

    def _import(self, event: Event, model: str) -> str | None:
        number = event.to_number
        if number is None or number < 1 or model not in self.counters or (model, number) in self.versions:
            return f"it takes in {model}@{number}, which was not free"
        self.counters[model] = max(self.counters[model], number)
        self._keep(event, model, number)
        return None

    def _keep(self, event: Event, model: str, number: int) -> None:
        said = event.details
        self.versions[model, number] = (
            event.to_digest,
            *(said.get(name) for name in ("complete", "missing", "run", "semver", "summary")),
            to_text(event.time),
            event.actor,
        )
        self.lineage.update(_edge(edge) for edge in said.get("lineage", ()))

    def _judge(self, event: Event, model: str) -> str | None:
        if not self._holds(model, event.to_number, event.to_digest):
            return f"it judges {model}@{event.to_number}, which was not registered so"
        self.approvals[str(event.details.get("approval"))] = (
            model,
            event.to_number,
            event.to_digest,
            event.stage,
            event.action.rpartition(":")[2],
            event.actor,
            event.reason,
            event.verdict,
            to_text(event.time),
        )
        return None

    def _set_policy(self, event: Event, scope: str) -> str | None:
        number = event.details.get("number")
        before = sum(1 for of, _ in self.policies if of == scope)
        if number != before + 1 or (scope and scope not in self.models):
            return f"it sets policy {number} of {scope or 'the registry'} out of turn"
        said = (event.details.get("digest"), event.reason, to_text(event.time), event.actor, event.index)
        self.policies[scope, number] = said
        return None

    def _sign(self, event: Event, model: str) -> str | None:
        name = str(event.details.get("signature"))
        if not self._holds(model, event.to_number, event.to_digest) or name in self.signatures:
            return f"it keeps the signature {name}, which is there already or of a version that is not"
        said = (model, event.to_number, event.details.get("key"), to_text(event.time), event.actor)
        self.signatures[name] = said
        return None

    def _rehearse(self, event: Event, model: str) -> str | None:
        for number, digest in ((event.from_number, event.from_digest), (event.to_number, event.to_digest)):
            if not self._holds(model, number, digest):
                return f"it rehearses with {model}@{number}, which was not registered so"
        self.rehearsals[str(event.details["certificate"])] = (
            model,
            event.stage,
            event.from_number,
            event.to_number,
            event.details.get("outcome"),
            event.index,
            to_text(event.time),
            event.actor,
        )
        return None

    def _begin_rollout(self, event: Event, model: str, stage: str) -> str | None:
        number, epoch, *_ = self.stages.get((model, stage), (None, None))
        if number is None or (event.from_number, event.epoch) != (number, epoch):
            return f"it begins a rollout beside {event.from_number}, and {number} held {stage} of {model}"
        for one, digest in ((event.from_number, event.from_digest), (event.to_number, event.to_digest)):
            if not self._holds(model, one, digest):
                return f"it begins a rollout with {model}@{one}, which was not registered so"
        if event.to_digest in self.archives.values():
            return f"it begins a rollout of {model}@{event.to_number}, which is archived"
        of_kind = model, stage, str(event.details.get("kind"))
        if self._standing(of_kind) is not None:
            return f"it begins a rollout beside {stage} of {model}, and another was going on"
        self._keep_rollout(event, of_kind, event.index)
        return None

    def _turn_rollout(self, event: Event, model: str, stage: str) -> str | None:
        of_kind = model, stage, str(event.details.get("kind"))
        last, rollout = self._standing(of_kind), event.details.get("rollout")
        if last is None or event.details.get("before") != last or self.rollouts[last][0] != rollout:
            return f"it turns rollout {rollout} behind event {event.details.get('before')}, as it did not stand"
        said = (event.epoch, of_kind[2], event.to_number, event.to_digest, event.from_number, event.from_digest)
        if self.rollouts[last][3:9] != said:
            return f"it turns rollout {rollout}, and speaks of other versions"
        self._keep_rollout(event, of_kind, self.rollouts[last][0])
        return None

    def _standing(self, of_kind: tuple[str, str, str]) -> int | None:
        """The newest event of the rollout of a kind that is going on beside a stage, where it has not moved since."""
        last = self._tried.get(of_kind)
        is_there = last is not None and self.rollouts[last][3] == self.stages[of_kind[:2]][1]
        return last if is_there else None

    def _keep_rollout(self, event: Event, of_kind: tuple[str, str, str], rollout: int) -> None:
        said = event.details
        self.rollouts[event.index] = (
            rollout,
            event.model,
            event.stage,
            event.epoch,
            of_kind[2],
            event.to_number,
            event.to_digest,
            event.from_number,
            event.from_digest,
            said.get("state"),
            said.get("step"),
            _digest_of(said, "plan") if rollout == event.index else None,
            _digest_of(said, "figures"),
            event.reason,
            event.verdict,
            to_text(event.time),
            event.actor,
        )
        self._tried.pop(of_kind, None)
        if said.get("state") in _STANDING.get(of_kind[2], ()):
            self._tried[of_kind] = event.index

    def _tries(self, model: str, number: int) -> str | None:
        """The stage beside which a version is tried."""
        for of_kind, last in self._tried.items():
            if of_kind[0] == model and self.rollouts[last][5] == number and self._standing(of_kind) is not None:
                return of_kind[1]
        return None

    def _lift(self, event: Event) -> str | None:
        hold = event.details.get("hold")
        if not isinstance(hold, int) or hold not in self.holds or self.holds.pop(hold) != event.details.get("digest"):
            return f"it lifts the hold {hold}, which did not stand"
        return None

    def _archive(self, event: Event, model: str) -> str | None:
        digest, number = event.details.get("digest"), event.to_number
        if digest in self.holds.values():
            return f"it archives {digest}, which a hold keeps"
        if number is not None:
            if event.to_digest != digest or not self._holds(model, number, event.to_digest):
                return f"it archives {model}@{number}, which was not registered so"
            for (of, name), (holder, _, good, *_) in self.stages.items():
                if of == model and number in {holder, good}:
                    return f"it archives {model}@{number}, which {name} needs"
            tried = self._tries(model, number)
            if tried is not None:
                return f"it archives {model}@{number}, which is tried beside {tried}"
        self.archives[event.index] = digest
        return None

    def _restore(self, event: Event) -> str | None:
        digest, ended = event.details.get("digest"), event.details.get("archives")
        if not isinstance(ended, list) or not ended or any(self.archives.pop(one, None) != digest for one in ended):
            return f"it restores {digest}, which was not archived"
        return None

    def _move(self, event: Event, model: str, stage: str) -> str | None:
        number, epoch, *_ = self.stages.get((model, stage), (None, None))
        if epoch is None:
            return f"it moves {stage} of {model}, which was not defined"
        if (event.from_number, event.epoch) != (number, epoch + 1):
            return f"it moves {stage} of {model} from {event.from_number}, and {number} held it"
        if not self._holds(model, event.to_number, event.to_digest):
            return f"it moves {stage} to {model}@{event.to_number}, which was not registered so"
        if event.to_digest in self.archives.values():
            return f"it moves {stage} to {model}@{event.to_number}, which is archived"
        # One to a stage that was emptied may go back to what held it before that; what a rollback leaves, nobody tells.
        is_plain = event.action != Action.STAGE_ROLLBACK and (number is not None or epoch == 0)
        if is_plain and event.last_known_good != number:
            return f"its last-known-good is {event.last_known_good}, and it replaced {number}"
        self.stages[model, stage] = (
            event.to_number,
            event.epoch,
            event.last_known_good,
            event.index,
            to_text(event.time),
        )
        return None

    def _clear(self, event: Event, model: str, stage: str) -> str | None:
        number, epoch, *_ = self.stages.get((model, stage), (None, None))
        said = (event.from_number, event.last_known_good, event.epoch, event.to_number)
        if number is None or epoch is None or said != (number, number, epoch + 1, None):
            return f"it empties {stage} of {model}, and takes {event.from_number} from it, where {number} held it"
        self.stages[model, stage] = (None, event.epoch, number, event.index, to_text(event.time))
        return None

    def _holds(self, model: str, number: int | None, digest: str | None) -> bool:
        return number is not None and self.versions.get((model, number), (None,))[0] == digest


def _digest_of(details: JsonObject, name: str) -> object:
    """The digest of a document that an event tells in full, or names; of an empty one where it does neither."""
    named = details.get(f"{name}_digest")
    return named if named is not None else str(hash_bytes(encode(details.get(name, {}))))


def _edge(edge: JsonObject) -> tuple[str, ...]:
    child, parent = edge["child"], edge["parent"]
    return (child["kind"], child["name"], edge["relation"], parent["kind"], parent["name"])

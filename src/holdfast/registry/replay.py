"""The registry as the log says it must be: the events, played again one by one."""

from dataclasses import dataclass, field
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.registry.actions import MOVES, Action
from holdfast.registry.records import Event

__all__ = ["Replay"]


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
        if event.action in MOVES:
            return self._move(event, model, event.stage or "")
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
        if event.action != Action.STAGE_ROLLBACK and event.last_known_good != number:
            return f"its last-known-good is {event.last_known_good}, and it replaced {number}"
        self.stages[model, stage] = (
            event.to_number,
            event.epoch,
            event.last_known_good,
            event.index,
            to_text(event.time),
        )
        return None

    def _holds(self, model: str, number: int | None, digest: str | None) -> bool:
        return number is not None and self.versions.get((model, number), (None,))[0] == digest


def _edge(edge: JsonObject) -> tuple[str, ...]:
    child, parent = edge["child"], edge["parent"]
    return (child["kind"], child["name"], edge["relation"], parent["kind"], parent["name"])

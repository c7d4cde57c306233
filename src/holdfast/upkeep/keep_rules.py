"""Keep-rules: which versions stay at hand with all their bytes, and why. What no rule keeps is due to be archived.

    rules = KeepRules.parse(document.get("retention", {}), "holdfast.toml", stages)
    found = keep(rules, Facts.of(registry, tracking), now)
    found.get(("churn", 1))                Kept(reason="one of the last 3 in production", …), or None: it is due

`keep` looks at nothing but what it is given. Laws: what holds a stage, is last-known-good, or is held stays under any
rules; wider rules keep no less; and time alone never makes anything kept that was not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import StageName
from holdfast.registry.interface import Registry
from holdfast.registry.records import Hold
from holdfast.registry.rollouts import RolloutKind, RolloutState
from holdfast.registry.values import Stage, Version
from holdfast.registry.whereabouts import Tenure
from holdfast.tracking.interface import Tracking

__all__ = ["Facts", "KeepRules", "Kept", "Which", "keep", "which"]

Which = tuple[str, int]
"""A version by its model and number."""

_UNPROTECTED = ("staging", "archived")
"""Stages whose past is worth nothing unless a person says so: versions come there to be tried, or to be put away."""

_DAYS_MAX = 36_500
"""A century; past that a clock's range ends."""

_TABLE = "[retention]"


@dataclass(frozen=True, slots=True)
class KeepRules:
    """The `[retention]` of a policy.

    Attributes:
        versions: how many versions of each protected stage stay, counted by when they last held it. Three: the one that
            is live, the one before it, and one more for the night on which both are bad.
        stages: the protected ones; None: every stage but `staging` and `archived`.
        incident_days: how long a version stays after it left a protected stage, or was restored. A month: what is wrong
            with an answer comes to light with the month's figures.
        recent_days: how long a version stays after it was registered or restored. A month: the longest that a version
            is seen to wait for its review.
        archive: the remote that takes what is archived; None: it has to be named.
    """

    versions: int = 3
    stages: tuple[StageName, ...] | None = None
    incident_days: int = 30
    recent_days: int = 30
    archive: str | None = None

    @classmethod
    def parse(cls, table: Any, where: str, stages: tuple[StageName, ...]) -> "KeepRules":
        """The rules that a policy's `[retention]` writes; `where` names the file, `stages` are those it knows.

        Raises:
            UsageError: an unknown key, or a value of the wrong type; the message says where.
        """
        where = f"{where} {_TABLE}"
        if not isinstance(table, dict):
            raise UsageError(f"{where} is not a table", hint=f"Write it as a table: {_TABLE}, and keys below it.")
        known = sorted(item.name for item in fields(cls))
        for key in sorted(table.keys() - set(known)):
            near = get_close_matches(key, known, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(f"{where} has the unknown key {key!r}", hint=f"{meant}Known: {', '.join(known)}")
        return cls(**{key: _value(key, value, where, stages) for key, value in table.items()})

    def protects(self, stage: StageName) -> bool:
        """Whether having held this stage keeps a version."""
        return str(stage) not in _UNPROTECTED if self.stages is None else stage in self.stages


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a version stays.

    Attributes:
        reason: in words, such as `live in production`.
        hint: what would have to happen first.
    """

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at.

    Attributes:
        versions: every version.
        stages: every stage, as it stands.
        tried: the versions that are tried beside a stage, each with how and where: `canary beside production`.
        tenures: each time that a version held a stage.
        holds: those that stand.
        restored: when what was restored was so last.
        readers: the runs that read a version, by its digest; a run does not read what it makes.
        parents: the versions that a version was made from, by digest.
        seen: the index of the last event when all this was looked up; None where there was none.
    """

    versions: tuple[Version, ...] = ()
    stages: tuple[Stage, ...] = ()
    tried: Mapping[Which, str] = field(default_factory=dict)
    tenures: tuple[Tenure, ...] = ()
    holds: tuple[Hold, ...] = ()
    restored: Mapping[Digest, datetime] = field(default_factory=dict)
    readers: Mapping[Digest, str] = field(default_factory=dict)
    parents: Mapping[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    seen: int | None = None

    @classmethod
    def of(cls, registry: Registry, tracking: Tracking) -> "Facts":
        """The facts as they stand."""
        last = registry.log(limit=1)  # first, so that whatever changes while we look counts as later
        versions = registry.versions()
        makers = {version.digest: version.run_id for version in versions}
        stages = tuple(stage for model in registry.models() for stage in registry.stages(model.name))
        return cls(
            versions=versions,
            stages=stages,
            tried=dict(one for stage in stages if stage.number is not None for one in _tried(stage, registry)),
            tenures=registry.tenures(),
            holds=registry.holds(),
            restored=registry.restores(),
            readers={digest: run for run, digest in tracking.digests() if digest in makers and run != makers[digest]},
            parents={version.digest: _parents(version, registry) for version in versions},
            seen=last[0].index if last else None,
        )


def which(version: Version) -> Which:
    """The version's model and number."""
    return str(version.model), version.number


def keep(rules: KeepRules, facts: Facts, now: datetime) -> dict[Which, Kept]:
    """The versions that stay, each with the first reason of: stage, rollout, hold, last ones, window, run, lineage."""
    ranks, departures = _ranks(rules, facts), _departures(rules, facts)
    found: dict[Which, Kept] = {}
    for version in facts.versions:
        windows = _windows(version, rules, departures.get(which(version)), facts.restored.get(version.digest), now)
        reason = next(_reasons(version, rules, facts, ranks, windows), None)
        if reason is not None:
            found[which(version)] = reason
    # One step of lineage and no more: a line in which each version was made from the last would stay for ever.
    by_digest = {version.digest: version for version in facts.versions}
    children = [version for version in facts.versions if which(version) in found]
    for child in children:
        for parent in facts.parents.get(child.digest, ()):
            if parent in by_digest:
                name = f"{child.model}@{child.number}"
                found.setdefault(
                    which(by_digest[parent]),
                    Kept(f"lineage of {name}", f"{name} was made from it: archive that first."),
                )
    return found


def _reasons(
    version: Version, rules: KeepRules, facts: Facts, ranks: Mapping[Which, str], windows: Iterator[Kept]
) -> Iterator[Kept]:
    """Every rule that keeps the version, the strongest first."""
    own = [stage for stage in facts.stages if stage.model == version.model]
    live = [str(stage.name) for stage in own if stage.number == version.number]
    if live:
        yield Kept(f"live in {', '.join(live)}", f"Promote another version to {live[0]} first.")
    good = [str(stage.name) for stage in own if stage.last_known_good == version.number]
    if good:
        hint = f"A rollback of {good[0]} goes there; it is free when {good[0]} has moved on."
        yield Kept(f"last-known-good of {', '.join(good)}", hint)
    if which(version) in facts.tried:
        yield Kept(facts.tried[which(version)], "It is free when the rollout has ended.")
    for hold in facts.holds:
        if hold.digest == version.digest:
            yield Kept(f"hold {hold.id}", f"Lift it: holdfast hold lift {hold.id}")
    if which(version) in ranks:
        hint = f"It is free when others have held the stage since, or with a smaller `versions` in {_TABLE}."
        yield Kept(f"one of the last {rules.versions} in {ranks[which(version)]}", hint)
    yield from windows
    if version.digest in facts.readers:
        hint = "A run keeps what it read, for as long as it is on record."
        yield Kept(f"run {facts.readers[version.digest]}", hint)


def _windows(
    version: Version, rules: KeepRules, left: tuple[datetime, str] | None, restored: datetime | None, now: datetime
) -> Iterator[Kept]:
    """The rules that end by themselves; `left` is when the version last left a protected stage, and which."""
    if left is not None:
        until, stage = left
        begins = until if restored is None else max(until, restored)
        ends = begins + timedelta(days=rules.incident_days)
        if now < ends:
            again = "" if begins == until else f", restored {to_text(begins)[:10]}"
            yield Kept(f"in {stage} until {to_text(until)[:10]}{again}: incident window", _due(ends, "incident_days"))
    begins, verb = version.created_at, "registered"
    if restored is not None and restored > begins:
        begins, verb = restored, "restored"
    ends = begins + timedelta(days=rules.recent_days)
    if now < ends:
        yield Kept(f"{verb} {_ago(now - begins)}", _due(ends, "recent_days"))


def _ranks(rules: KeepRules, facts: Facts) -> dict[Which, str]:
    """The versions that are among the last of a protected stage, with the stage."""
    by_stage: dict[tuple[str, str], dict[Which, tuple[bool, datetime, int]]] = {}
    for tenure in facts.tenures:
        if rules.protects(tenure.stage):
            # Who holds it now comes before all who have left it; who left in the same moment stand as they came.
            rank = (tenure.until is None, tenure.until or tenure.since, tenure.event)
            held = by_stage.setdefault((str(tenure.model), str(tenure.stage)), {})
            one: Which = (str(tenure.model), tenure.number)
            held[one] = max(rank, held.get(one, rank))
    found: dict[Which, str] = {}
    for (_, stage), held in sorted(by_stage.items()):
        for last in sorted(held, key=held.__getitem__, reverse=True)[: rules.versions]:
            found.setdefault(last, stage)
    return found


def _departures(rules: KeepRules, facts: Facts) -> dict[Which, tuple[datetime, str]]:
    """When each version last left a protected stage, and which."""
    found: dict[Which, tuple[datetime, str]] = {}
    for tenure in facts.tenures:
        if tenure.until is not None and rules.protects(tenure.stage):
            one: Which = (str(tenure.model), tenure.number)
            left = (tenure.until, str(tenure.stage))
            found[one] = max(left, found.get(one, left))
    return found


def _tried(stage: Stage, registry: Registry) -> Iterator[tuple[Which, str]]:
    """What is tried beside a stage: of each kind the last rollout, as long as nothing has ended it."""
    for kind in RolloutKind:
        for one in registry.rollouts(stage.model, stage.name, kind=kind, limit=1):
            keeps_share = one.state is RolloutState.PASSED and kind is RolloutKind.CANARY and one.epoch == stage.epoch
            if one.state.going_on or keeps_share:
                yield (str(one.model), one.number), f"{kind} beside {stage.name}"


def _parents(version: Version, registry: Registry) -> tuple[Digest, ...]:
    name = str(version.digest)
    return tuple(
        Digest.parse(edge.parent)
        for edge in registry.lineage("version", name)
        if (edge.child_kind, edge.child, edge.parent_kind) == ("version", name, "version")
    )


def _due(ends: datetime, key: str) -> str:
    return f"It is due from {to_text(ends)[:10]} on, or earlier with a smaller `{key}` in {_TABLE}."


def _ago(passed: timedelta) -> str:
    days = max(passed.days, 0)
    return "today" if days == 0 else f"{days} day{'' if days == 1 else 's'} ago"


_TAKES = {
    "versions": "a whole number, zero or more",
    "stages": "a list of stages that [stages] names",
    "incident_days": f"a whole number of days, 0 to {_DAYS_MAX}",
    "recent_days": f"a whole number of days, 0 to {_DAYS_MAX}",
    "archive": "the name of a remote, as holdfast remote list has it",
}


def _value(key: str, value: Any, where: str, stages: tuple[StageName, ...]) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    match key:
        case "versions" if is_number:
            return value
        case "incident_days" | "recent_days" if is_number and value <= _DAYS_MAX:
            return value
        case "archive" if isinstance(value, str) and value:
            return value
        case "stages" if isinstance(value, list) and all(isinstance(one, str) for one in value):
            unknown = [name for name in value if name not in {str(stage) for stage in stages}]
            if not unknown:
                return tuple(stage for stage in stages if str(stage) in value)
    raise UsageError(f"{where} {key} = {value!r} is not valid", hint=f"It takes {_TAKES[key]}.")

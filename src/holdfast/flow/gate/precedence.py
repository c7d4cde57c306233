"""Which policy is in force: that of the registry, where one is set, else that of the project.

Beside the registry's policy the project's file may repeat what that one asks, and nothing else: two policies that
differ would leave a person to guess which one a verdict was given under.
"""

from dataclasses import dataclass
from datetime import date

from holdfast.canonical import JsonObject
from holdfast.errors import PermissionRefused, UsageError
from holdfast.flow.gate.policy import Policy
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.waivers import Waiver
from holdfast.names import ModelName, StageName
from holdfast.registry.governing import KeptPolicy
from holdfast.registry.interface import Registry
from holdfast.runtime.key_files import is_fingerprint

__all__ = [
    "Origin",
    "asked_of",
    "in_force",
    "read_kept",
    "require_agreement",
    "require_own_waivers",
    "require_settable",
]

_SETTABLE = frozenset({"stages", "gate", "model", "rules"})
"""The tables that a policy in the registry may have."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a policy is from.

    Attributes:
        name: for people: `holdfast.toml`, or which policy of the registry.
        kept: the registry's policy; None for the project's.
    """

    name: str
    kept: KeptPolicy | None = None

    def __str__(self) -> str:
        return self.name

    def to_json(self) -> JsonObject:
        """What a verdict says of it: the digest of the registry's policy, by which a move knows that it is in force."""
        if self.kept is None:
            return {"name": self.name, "number": None, "model": None, "digest": None}
        model = None if self.kept.model is None else str(self.kept.model)
        return {"name": self.name, "number": self.kept.number, "model": model, "digest": str(self.kept.digest)}


def asked_of(local: Policy, registry: Registry, model: ModelName, stage: StageName) -> tuple[StagePolicy, Origin]:
    """What a stage asks of versions of a model, and where that is written.

    Raises:
        NotFound: no such model.
        UsageError: the project's policy asks something else than the registry's, or one of them is not valid.
    """
    policy, origin = in_force(local, registry, model)
    if origin.kept is not None:
        require_agreement(local, origin.kept, model, stage)
    return policy.for_stage(model, stage), origin


def in_force(local: Policy, registry: Registry, model: ModelName | None) -> tuple[Policy, Origin]:
    """The policy in force for a model, or for those that have none of their own, and where it is written.

    Raises:
        NotFound: no such model.
        UsageError: the registry's is not valid here.
    """
    kept = registry.policy(model)
    return (local, Origin(local.where)) if kept is None else (read_kept(kept), Origin(kept.name, kept))


def require_agreement(local: Policy, kept: KeptPolicy, model: ModelName | None, stage: StageName) -> None:
    """Refuse a policy of the project that asks something else than the registry's.

    Raises:
        UsageError: it does; the message says what.
    """
    mine, asked = local.for_stage(model, stage), read_kept(kept).for_stage(model, stage)
    for key in local.written(model, stage):
        if getattr(mine, key) != getattr(asked, key):
            shown = asked.to_json()[key]
            raise UsageError(
                f"{local.where} asks {key} = {mine.to_json()[key]!r:.120} of {stage}, and {kept.name}, which is in "
                f"force, asks {shown!r:.120}",
                hint=f"Take {key} out of {local.where}, or have the registry's policy changed: holdfast policy set",
                key=key,
                policy=str(kept.digest),
            )


def read_kept(kept: KeptPolicy) -> Policy:
    """The policy that a registry keeps.

    Raises:
        UsageError: this Holdfast cannot read it.
    """
    return Policy.parse(kept.text, where=kept.name)


def require_settable(text: str, where: str, today: date, model: ModelName | None = None) -> Policy:
    """The policy that a text writes, if a registry may be given it.

    Args:
        text: TOML.
        where: names it in errors.
        today: the day, by UTC, from which waivers are counted.
        model: the one model that it is for; None: all.

    Raises:
        UsageError: it is not valid, has tables that have no effect in a registry, or a waiver that ends too far ahead.
    """
    policy = Policy.parse(text, where=where)
    more = sorted(set(policy.document) - _SETTABLE)
    if more:
        raise UsageError(
            f"{where} has [{more[0]}], which has no effect in a registry",
            hint=f"Keep it in holdfast.toml, and set the rest: {', '.join(sorted(_SETTABLE))}.",
        )
    others = sorted(set(policy.document.get("model", {})) - {str(model)}) if model is not None else []
    if others:
        raise UsageError(
            f"{where} is for {model} alone and has [model.{others[0]}]", hint="Set that for its own model, or for all."
        )
    for name, _, asked in policy.every_stage():
        asked.require_timely(today, f"{where} [{name}]")
        _require_the_same_everywhere(asked, f"{where} [{name}]")
    return policy


def _require_the_same_everywhere(asked: StagePolicy, where: str) -> None:
    """Refuse what each project would read from files of its own, and so differently."""
    for name, source in asked.sources.items():
        if source.digest is None:
            raise UsageError(
                f"{where} asks the rule {name}, whose code can be anything: {source}",
                hint=f'Say which it is: [rules.{name}] digest = "sha256:…"',
            )
    if asked.cost is not None and asked.cost.source is not None and asked.cost.source.digest is None:
        raise UsageError(
            f"{where} cost is what code says that can be anything: {asked.cost.source}",
            hint='Say which it is: digest = "sha256:…"',
        )
    for key in asked.signed_by:
        if not is_fingerprint(key):
            raise UsageError(
                f"{where} signed_by names the file {key!r:.120}, which each project has its own of",
                hint="Name the key by its fingerprint: holdfast key show",
            )


def require_own_waivers(policy: Policy, before: KeptPolicy | None, by: str) -> None:
    """Refuse a policy that has somebody else answer for a version who did not say so.

    Args:
        policy: about to be set.
        before: the one that it replaces, whose waivers may stay as they are.
        by: who sets it.

    Raises:
        PermissionRefused: a waiver that was not there before names another person.
    """
    try:
        there = set() if before is None else _waivers(read_kept(before))
    except UsageError:
        there = set()  # a newer Holdfast wrote it: whoever replaces it answers for all that they write
    for place, waiver in sorted(_waivers(policy) - there, key=str):
        if waiver.by != by:
            raise PermissionRefused(
                f"{by} cannot have {waiver.by} waive {waiver.rule} ([{place}])",
                hint=f"Whoever answers for it sets it: by = {by!r}, or {waiver.by} sets the policy.",
                rule=waiver.rule,
                waived_by=waiver.by,
            )


def _waivers(policy: Policy) -> set[tuple[str, Waiver]]:
    return {(place, waiver) for place, _, asked in policy.every_stage() for waiver in asked.waive}

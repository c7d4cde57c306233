"""Stage moves that MLflow's clients ask for: promotions of Holdfast, through a gate where one protects the stage.

A stage is protected where the project's policy file has a table for it, or the registry has a policy in force. There an
alias is set by `holdfast.flow.promote`, which takes as long as the gate does, and is not deleted at all: what stands
there is replaced, or taken back. Any other stage moves at once, with its event.
"""

from collections.abc import Mapping
from contextlib import suppress

from holdfast.access import Role
from holdfast.canonical import Json
from holdfast.errors import (
    ApprovalRequired,
    Busy,
    GateRefused,
    NotFound,
    PermissionRefused,
    Unavailable,
    UsageError,
)
from holdfast.experiments.naming import of_stage, read_as
from holdfast.experiments.registered import STAGES, RegisteredVersion
from holdfast.flow.gate import GateRequest
from holdfast.flow.promote import Promotion, promote
from holdfast.names import ByNumber, ModelName, Reference, StageName
from holdfast.web.mlflow.room import Here

__all__ = [
    "clear_stage",
    "leaves",
    "move_stage",
    "require_led_elsewhere",
    "require_no_other_rules",
    "require_no_way_around",
]


def require_no_way_around(here: Here, model: ModelName, stage: StageName, alias: str) -> None:
    """An alias that is written like a protected stage is no way around its gate.

    Where `production` is an alias of the model, `Production` would be a stage of its own, which nothing protects, and
    whoever follows it would think that it was judged. So would `Champion`, where settings have `champion` mean
    production, and a word with a letter of another script that looks like one of ours.

    Args:
        here: the surroundings of the request.
        model: whose alias.
        stage: the one that the alias moves.
        alias: as the client wrote it.

    Raises:
        UsageError: it is written like another stage, which a gate protects.
    """
    pointing = here.shelf.registered.pointing
    for looks in read_as(alias, pointing.meant):
        if looks == stage or not _is_protected(here, model, looks):
            continue
        own = ""
        if pointing.holder(model, stage) is not None:
            then = f"set it again or use {looks}" if of_stage(alias, pointing.meant) == looks else f"use {looks}"
            own = f" It is a stage of its own, {stage}, from before: delete the alias, and {then}."
        raise UsageError(
            f"Invalid alias name: '{alias}'. It differs only by its letters' case, or by letters that look alike, from "
            f"an alias that moves {looks} of {model}, which a gate protects.{own}",
            hint="Use the alias that is there, or another word.",
        )


def require_no_other_rules(here: Here, model: ModelName, meant: ModelName) -> None:
    """A name is no way around a gate: none that has rules of its own is given to a model that is not judged by them.

    Args:
        here: the surroundings of the request.
        model: that would be called so.
        meant: the model that the name means by itself.

    Raises:
        PermissionRefused: the policy has rules for that one alone.
    """
    if meant == model:
        return
    in_force = None
    with suppress(NotFound):
        in_force = here.desk.registry.policy(meant)
    if here.shelf.registered.policy.has_rules_for(meant) or (in_force is not None and in_force.model == meant):
        raise PermissionRefused(
            f"gates have rules of their own for {meant}, and {model} is not judged by them, whatever it is called",
            hint="Take another name.",
            model=str(model),
        )


def require_led_elsewhere(here: Here, model: ModelName, meant: ModelName) -> None:
    """Who renames a model has what its stages hold found under another name, and not under its own any more.

    Args:
        here: the surroundings of the request.
        model: that is renamed.
        meant: what the new name means by itself.

    Raises:
        PermissionRefused: the caller is no approver of one of these stages, under either name.
    """
    for stage in here.desk.registry.stages(model):
        if stage.number is not None:
            for one in (model, meant):
                here.caller.require(Role.APPROVER, one, stage.name)


def move_stage(here: Here, version: RegisteredVersion, stage: StageName, *, alias: str | None = None) -> None:
    """Has a version hold a stage; nothing happens where it does.

    Args:
        here: the surroundings of the request.
        version: which one.
        stage: which one.
        alias: as the client wrote it; None: it moves a stage of MLflow's.

    Raises:
        PermissionRefused: the caller is no approver of the stage.
        GateRefused, ApprovalRequired: the gate does not let it; the message has every finding that speaks against it.
        Busy: as many are judged as can be; MLflow's clients ask again by themselves.
    """
    here.caller.require(Role.APPROVER, version.model, stage)
    pointing = here.shelf.registered.pointing
    before = pointing.holder(version.model, stage)
    if not _is_protected(here, version.model, stage):
        pointing.point(version.name, version.number, stage, here.caller.name, alias=alias)
    elif before == version.number:
        # It moves nothing, even where somebody has moved the stage since: that is for a gate to judge.
        pointing.moved(version.model, version.number, stage, before, alias=alias)
    else:
        pointing.define(version.model, stage, here.caller.name)
        _promote(here, version, stage, alias)
        pointing.moved(version.model, version.number, stage, before, alias=alias)
    if before != version.number:
        here.desk.meters.moved("stage:pointer:promote")


def leaves(here: Here, version: RegisteredVersion, stage: StageName | None) -> list[StageName]:
    """The stages of MLflow's that a version leaves when it comes to another; found out before anything moves.

    Args:
        here: the surroundings of the request.
        version: which one.
        stage: where it comes to; None: to neither of them.

    Raises:
        PermissionRefused: a gate protects one of them, or the caller is no approver of it.
    """
    pointing = here.shelf.registered.pointing
    found = []
    for one in STAGES.values():
        if one == stage or pointing.holder(version.model, one) != version.number:
            continue
        if _is_protected(here, version.model, one):
            if stage == STAGES["Production"]:  # it rises, and what a gate protects stays its own until another comes
                continue
            raise _not_emptied(version.model, one, version.number)
        here.caller.require(Role.APPROVER, version.model, one)
        found.append(one)
    return found


def _not_emptied(model: ModelName, stage: StageName, held: int) -> PermissionRefused:
    return PermissionRefused(
        f"{stage} of {model} is protected by a gate, and is not emptied by an MLflow client",
        hint=f"Have another version take its place, or take it back with: holdfast rollback {model} --stage {stage}; "
        f"or empty it with: holdfast clear {model} --stage {stage}.",
        stage=str(stage),
        version=held,
    )


def clear_stage(here: Here, name: str, model: ModelName, stage: StageName, *, alias: str | None = None) -> None:
    """Empties a stage; nothing happens where it is empty.

    Raises:
        PermissionRefused: a gate protects the stage, or the caller is no approver of it.
        StageMoved: another version has come to hold it meanwhile.
    """
    pointing = here.shelf.registered.pointing
    held = pointing.holder(model, stage)
    if held is not None:
        here.caller.require(Role.APPROVER, model, stage)
        if _is_protected(here, model, stage):
            raise _not_emptied(model, stage, held)
    pointing.clear(name, stage, here.caller.name, held=held, alias=alias)
    if held is not None:
        here.desk.meters.moved("stage:pointer:clear")


def _is_protected(here: Here, model: ModelName, stage: StageName) -> bool:
    return here.shelf.registered.policy.protects(model, stage) or here.desk.registry.policy(model) is not None


def _promote(here: Here, version: RegisteredVersion, stage: StageName, alias: str | None) -> None:
    registered = here.shelf.registered
    if registered.bench is None:
        raise Unavailable(f"no gate judges here, and {stage} is protected by one", hint="Ask the project's own server.")
    asked = Reference(version.model, ByNumber(version.number))
    reason = f"an MLflow client moved the alias {alias}" if alias else f"an MLflow client moved the stage {stage}"
    request = GateRequest(asked, stage, here.caller.name, registered.policy)
    if not registered.judging.acquire(blocking=False):
        raise Busy(f"other versions are being judged, and {stage} is protected by a gate", hint="Ask again in a while.")
    try:
        promote(Promotion(request, reason), registered.bench, here.desk.registry)
    except (GateRefused, ApprovalRequired) as error:
        raise type(error)(error.message, hint=_how(error.details, error.hint), **error.details) from error
    finally:
        registered.judging.release()


def _how(details: Mapping[str, Json], hint: str) -> str:
    """What to do about each finding that speaks against a version, once each."""
    findings = details.get("findings")
    found = [one for one in findings if isinstance(one, dict)] if isinstance(findings, list) else []
    # What could not be decided is most often so because of what failed.
    lost = [one for one in found if one.get("outcome") == "fail"] or found
    said = [str(one.get("hint") or "") for one in lost if one.get("outcome") != "pass"]
    return "\n".join(dict.fromkeys(one for one in (hint, *said) if one))

"""What policies say, told to people: the one in force, and one that is about to be."""

from datetime import date

from holdfast.canonical import JsonObject
from holdfast.errors import NotFound
from holdfast.flow.gate.policy import Policy
from holdfast.flow.gate.precedence import in_force, require_agreement
from holdfast.names import ModelName, StageName
from holdfast.registry.governing import KeptPolicy
from holdfast.registry.interface import Registry

__all__ = ["checked", "shown"]


def shown(local: Policy, registry: Registry, model: ModelName | None, stage: StageName | None) -> JsonObject:
    """The policy in force: where it is from, its text where the registry has it, and what each stage asks.

    Raises:
        NotFound: no such model, or no such stage.
        UsageError: it is not valid here.
    """
    policy, origin = in_force(local, registry, model)
    if stage is not None and stage not in policy.stages:
        raise NotFound(f"the policy has no stage {stage}", hint=f"Its stages are {', '.join(map(str, policy.stages))}.")
    asked = {name: policy.for_stage(model, name) for name in (policy.stages if stage is None else [stage])}
    return {
        "origin": origin.to_json(),
        "text": None if origin.kept is None else origin.kept.text,
        "stages": {str(name): {"digest": str(one.digest), "policy": one.to_json()} for name, one in asked.items()},
    }


def checked(text: str, where: str, registry: Registry, today: date) -> JsonObject:
    """What a policy says, by stage, and which of its waivers stand.

    Raises:
        UsageError: it is not valid, has a waiver that ends too far ahead, or asks something else than the registry's.
    """
    policy = Policy.parse(text, where=where)
    for model in (None, *map(ModelName, policy.document.get("model", {}))):
        kept = _in_force(registry, model)
        if kept is not None:
            for stage in policy.stages:
                require_agreement(policy, kept, model, stage)
    told = []
    for table, _, asked in policy.every_stage():
        asked.require_timely(today, f"{where} [{table}]")
        waivers = [{**waiver.to_json(), "stands": waiver.stands(today)} for waiver in asked.waive]
        told.append({"table": table, "digest": str(asked.digest), "rules": list(asked.rules), "waivers": waivers})
    return {"file": where, "stages": told}


def _in_force(registry: Registry, model: ModelName | None) -> KeptPolicy | None:
    try:
        return registry.policy(model)
    except NotFound:
        return registry.policy()  # a model that is not there yet will have that of all

"""`policy`: what stages ask, in the registry and in files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import Json, JsonObject
from holdfast.cli.exit_codes import SUCCESS, epilog
from holdfast.cli.options import AsJson, Reason, here
from holdfast.cli.output import Output, table
from holdfast.flow.gate.policy import text_of
from holdfast.flow.gate.precedence import require_settable
from holdfast.flow.gate.telling import checked, shown
from holdfast.names import ModelName, StageName
from holdfast.registry import NewPolicy
from holdfast.wire import utc_now

app = typer.Typer()
policy = typer.Typer(help="What stages ask of versions: the registry's policy, and files.")
app.add_typer(policy, name="policy")

Model = Annotated[str | None, typer.Option("--model", help="Of one model; otherwise of all without one of their own.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy as TOML, such as holdfast.toml.")]


@policy.command("show", epilog=epilog("policy show", "holdfast policy show --model churn --stage production"))
def show(
    model: Model = None,
    stage: Annotated[str | None, typer.Option("--stage", help="One stage, with every default.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show the policy in force: the registry's where one is set, else the project's."""
    project = here()
    name = None if stage is None else StageName(stage)
    found = shown(project.policy, project.registry, _model(model), name)
    Output(as_json=as_json).result(found, _shown(found, in_full=name is not None))
    return SUCCESS


@policy.command("set", epilog=epilog("policy set", 'holdfast policy set policy.toml --reason "two people"'))
def set_policy(
    file: File,
    reason: Reason = "",
    model: Model = None,
    expect: Annotated[
        int | None, typer.Option("--expect", help="The number of the policy that it replaces; 0: none.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Give the registry a policy: from now on no promotion rests on a verdict under another one."""
    project, of = here(), _model(model)
    text = text_of(file)
    require_settable(text, file.name, utc_now().date(), of)
    before = len(project.registry.policies(of)) if expect is None else expect
    kept = project.registry.set_policy(NewPolicy(text, of, reason, before), project.actor)
    Output(as_json=as_json).result(kept.to_json(), [f"{kept.name} is in force  {kept.digest}  (event {kept.event})"])
    return SUCCESS


@policy.command("history", epilog=epilog("policy history", "holdfast policy history"))
def history(model: Model = None, as_json: AsJson = False) -> int:
    """List every policy that the registry was given, for all models or for one, the newest first."""
    found = [one.to_json() for one in reversed(here().registry.policies(_model(model)))]
    heads = ("number", "at", "by", "event", "digest", "reason")
    rows = [(*(one[name] for name in heads[:4]), one["digest"][:19], one["reason"]) for one in found]
    Output(as_json=as_json).result({"policies": found}, table(heads, rows))
    return SUCCESS


@policy.command("check", epilog=epilog("policy check", "holdfast policy check holdfast.toml"))
def check(file: File, as_json: AsJson = False) -> int:
    """Check a file without setting anything: is it valid, which waivers stand, does it agree with the registry?"""
    project = here()
    found = checked(text_of(file), file.name, project.registry, utc_now().date())
    Output(as_json=as_json).result(found, _checked(found))
    return SUCCESS


def _model(name: str | None) -> ModelName | None:
    return None if name is None else ModelName(name)


def _shown(found: JsonObject, *, in_full: bool) -> Iterator[str]:
    origin = found["origin"]
    yield f"{origin['name']}  {origin['digest'] or 'no policy is set in the registry'}"
    if found["text"] and not in_full:
        yield found["text"].rstrip("\n")
        return
    for stage, asked in found["stages"].items():
        yield f"[gate.{stage}]  {asked['digest']}"
        values = asked["policy"] if in_full else {"rules": asked["policy"]["rules"]}
        yield from (f"  {key} = {_written(value)}" for key, value in values.items())


def _written(value: Json) -> str:
    """As a file would have it, with double quotes and small letters; what is not set cannot be written."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _checked(found: JsonObject) -> Iterator[str]:
    yield f"{found['file']} is valid"
    for stage in found["stages"]:
        yield f"  [{stage['table']}]  {stage['digest']}  {len(stage['rules'])} rules"
        for waiver in stage["waivers"]:
            said = f"until {waiver['until']}" if waiver["stands"] else f"ended with {waiver['until']}: no effect"
            yield f"    {waiver['rule']} waived by {waiver['by']}, {said}"


@policy.callback()
def _policy() -> None:
    """Policies: what stages ask of versions."""

"""`approve`, `promote`, `rollback` and `clear`: who stands behind a version, and the moves themselves."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, Reason, ReferenceArgument, StageOption, To, WaitSeconds, here
from holdfast.cli.output import Output
from holdfast.errors import NotFound
from holdfast.flow.gate import GateRequest
from holdfast.flow.promote import Promotion
from holdfast.flow.promote import promote as move_forward
from holdfast.flow.rollback import Rollback, explain_rollback, roll_back
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry.clearing import ClearStage
from holdfast.registry.records import Meaning, NewApproval, outcome_text
from holdfast.registry.values import Move, Replica
from holdfast.serving.confirm import wait_for_replicas
from holdfast.wire import Project

app = typer.Typer()

Wait = Annotated[bool, typer.Option("--wait", help="Return when every replica reports the version.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="The same key again moves nothing.")]


@app.command(epilog=epilog("approve", "holdfast approve churn@4 --stage production"))
def approve(
    reference: ReferenceArgument,
    stage: StageOption = "production",
    reject: Annotated[bool, typer.Option("--reject", help="Speak against it instead.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Stand behind a version for a stage, by name; the approval is bound to the version's digest."""
    project = here()
    version = project.registry.resolve(Reference.parse(reference))
    meaning = Meaning.REJECT if reject else Meaning.APPROVE
    new = NewApproval(version.model, version.number, version.digest, StageName(stage), meaning, reason)
    approval = project.registry.approve(new, project.actor)
    said = "rejects" if reject else "approves"
    Output(as_json=as_json).result(
        approval.to_json(), [f"{approval.approver} {said} {version.model}@{version.number} for {stage}"]
    )


@app.command(epilog=epilog("promote", 'holdfast promote churn@4 --to production --reason "beats 3 on recall" --wait'))
def promote(
    reference: ReferenceArgument,
    to: To = "production",
    reason: Reason = "",
    expect: Annotated[int | None, typer.Option("--expect", help="The version that holds the stage now.")] = None,
    idempotency_key: Key = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 60.0,
    as_json: AsJson = False,
) -> None:
    """Move a stage to a version, through the stage's gate."""
    project = here()
    expected = None if expect is None else VersionNumber(expect)
    promotion = Promotion(_request(project, reference, to), reason, expected, idempotency_key)
    promoted = move_forward(promotion, project.workbench, project.registry)
    replicas = _confirmed(project, promoted.move, wait=wait, seconds=wait_seconds)
    value = {**promoted.to_json(), "replicas": [replica.to_json() for replica in replicas]}
    Output(as_json=as_json).result(value, _moved(value))


@app.command(epilog=epilog("rollback", "holdfast rollback churn --wait"))
def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    stage: StageOption = "production",
    reason: Reason = "",
    emergency: Annotated[bool, typer.Option("--emergency", help="Skip the smoke step; needs a reason.")] = False,
    idempotency_key: Key = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 60.0,
    as_json: AsJson = False,
) -> None:
    """Move a stage back to last-known-good: weights, preprocessing, threshold and environment together."""
    project = here()
    asked = Rollback(ModelName(model), StageName(stage), project.actor, reason, emergency, idempotency_key)
    back = roll_back(asked, project.workbench, project.registry)
    # (5) every replica has picked it up
    replicas = _confirmed(project, back.move, wait=wait, seconds=wait_seconds)
    value = {**back.to_json(), "replicas": [replica.to_json() for replica in replicas]}
    Output(as_json=as_json).result(value, _moved(value))
    # (7) why: asked once the stage is safe, and never of a program
    if not reason and not as_json:
        _ask_why(project, back.move)


@app.command(epilog=epilog("clear", 'holdfast clear churn --stage staging --reason "the trial is over"'))
def clear(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the log.")],
    stage: StageOption = "production",
    expect: Annotated[int | None, typer.Option("--expect", help="The version that holds the stage now.")] = None,
    idempotency_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Empty a stage: replicas of it stop answering, and a rollback brings back what held it."""
    project = here()
    name, which = ModelName(model), StageName(stage)
    held = expect or project.registry.stage(name, which).number
    if held is None:
        raise NotFound(f"nothing holds {stage} of {model}", hint=f"See what does: holdfast live {model}")
    clearing = ClearStage(name, which, VersionNumber(held), reason, idempotency_key)
    value = project.registry.clear_stage(clearing, project.actor).to_json()
    Output(as_json=as_json).result(value, _cleared(value))


def _cleared(value: JsonObject) -> Iterator[str]:
    yield f"{value['stage']} of {value['model']}: @{value['from']} -> nothing  (event {value['event']})"
    yield f"back to @{value['from']} with: holdfast rollback {value['model']} --stage {value['stage']}"


def _ask_why(project: Project, move: Move) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        return
    try:
        said = typer.prompt("What made it necessary?", default="", show_default=False, err=True).strip()
    except typer.Abort:
        return  # the stage has moved: Ctrl-C is no answer, and no failure either
    if said:
        explain_rollback(move, said, project.actor, project.registry)


def _request(project: Project, reference: str, to: str) -> GateRequest:
    return GateRequest(Reference.parse(reference), StageName(to), project.actor, project.policy)


def _confirmed(project: Project, move: Move, *, wait: bool, seconds: float) -> list[Replica]:
    if not wait:
        return []
    return list(
        wait_for_replicas(project.registry, move.model, move.stage, move.epoch, move.to_digest, timeout_seconds=seconds)
    )


def _finding(finding: JsonObject, hint: str) -> Iterator[str]:
    yield f"  {finding['outcome']:<13} {finding['rule']}: {finding['sentence']}"
    if "waived" in finding:
        waived = finding["waived"]
        yield f"  {'':<13} waived by {waived['by']} until {waived['until']}: {waived['reason']}"
    elif hint:
        yield f"  {'':<13} {hint}"


def _groups(groups: list[JsonObject]) -> Iterator[str]:
    for group in groups:
        yield f"  {group['outcome']:<13} one of: {', '.join(group['rules'])}"


def _moved(value: JsonObject) -> Iterator[str]:
    before = f"@{value['from']}" if value["from"] is not None else "nothing"
    waived = value.get("waived", [])
    event = f"event {value['event']}" + (f", {outcome_text('pass', waived)}" if waived else "")
    yield f"{value['stage']} of {value['model']}: {before} -> @{value['to']}  ({event})"
    for finding in value.get("findings", []):
        yield from _finding(finding, "")
    yield from _groups(value.get("any_of", []))
    for replica in value["replicas"]:
        yield f"  replica {replica['url']} serves @{replica['version']}"
    if value["last_known_good"] is not None:
        yield f"  last-known-good is @{value['last_known_good']}; back to it with: holdfast rollback {value['model']}"

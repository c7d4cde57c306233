"""`rehearse`: try the way back before it is needed, and keep the certificate."""

from collections.abc import Iterator
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, UNEXPECTED, epilog
from holdfast.cli.options import AsJson, ModelArgument, StageOption, here
from holdfast.cli.output import Output
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry import Rehearsal
from holdfast.serving.rehearsal import Rehearse
from holdfast.serving.rehearsal import rehearse as hold
from holdfast.web.inference.loopback import LOOPBACK
from holdfast.wire.rehearsal import open_scene

app = typer.Typer()


@app.command(epilog=epilog("rehearse", "holdfast rehearse churn"))
def rehearse(
    model: ModelArgument,
    stage: StageOption = "production",
    left: Annotated[
        str | None, typer.Option("--from", help="The version that is left; by default the one that holds the stage.")
    ] = None,
    back: Annotated[
        str | None, typer.Option("--to", help="The version that is gone back to; by default where a rollback would go.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Take the whole rollback in a scratch stage, under load, and keep the certificate; the stage does not move."""
    project, output = here(), Output(as_json=as_json)
    asked = Rehearse(ModelName(model), StageName(stage), project.actor, _version(left), _version(back))
    with open_scene(project, LOOPBACK, output.talk) as scene:
        certificate = hold(asked, scene)
    kept = project.registry.put_rehearsal(certificate, project.actor)
    output.result(kept.to_json(), _told(kept))
    failed: JsonObject | None = certificate["failed"]
    return SUCCESS if failed is None else EXIT_CODES.get(failed["code"], UNEXPECTED)


def _version(text: str | None) -> Reference | None:
    return None if text is None else Reference.parse(text)


def _told(kept: Rehearsal) -> Iterator[str]:
    said, load = kept.said, kept.said.body["load"]
    yield f"{said.outcome}: {said.stage} of {said.model}, @{said.from_number} -> @{said.to_number}, rehearsed"
    if said.body["switch_ms"] is not None:
        yield f"  last old answer {said.body['switch_ms']:.1f} ms after the move"
    if load["requests"]:
        yield f"  {load['requests']} requests, {load['failed']} failed, {load['mixed']} mixed"
    if kept.failure:
        yield f"  {kept.failure}"
        yield f"  {said.body['failed']['hint']}"
    yield f"  certificate {kept.digest}  (event {kept.event})"

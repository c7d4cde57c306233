"""`serve`: a replica that answers with whatever holds a stage, and follows the stage when it moves."""

import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import INTERRUPTED, SUCCESS, epilog
from holdfast.cli.options import AsJson, ModelArgument, StageOption, here
from holdfast.cli.output import Output
from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.names import ModelName, StageName
from holdfast.runtime.key_files import trusted
from holdfast.runtime.limits import Limits
from holdfast.service.line import Line
from holdfast.serving.replica import Place
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.grpc_service import grpc_door
from holdfast.web.inference.override import AskedServer, Overriding, Secret, anybody, nobody
from holdfast.web.listening import address_of, listen, reserved
from holdfast.web.listening import serve as serve_app
from holdfast.wire import Project
from holdfast.wire.serving import replica_of

app = typer.Typer()


@app.command(epilog=epilog("serve", "holdfast serve churn --stage production --port 8081"))
def serve(
    model: ModelArgument,
    stage: StageOption = "production",
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8081,
    grpc_port: Annotated[
        int | None,
        typer.Option("--grpc-port", min=0, max=65535, help="Speak gRPC too, here; 0 takes a free port."),
    ] = None,
    allow_override: Annotated[
        bool, typer.Option("--allow-override", help="Let every caller choose among the versions that are held.")
    ] = False,
    override_token_file: Annotated[
        Path | None, typer.Option("--override-token-file", help="Let whoever shows the token in this file choose.")
    ] = None,
    no_network: Annotated[bool, typer.Option("--no-network", help="Refuse the version any network.")] = False,
    as_json: AsJson = False,
) -> int:
    """Answer predictions over HTTP: /invocations, /predict, the Open Inference Protocol at /v2, /healthz, /readyz."""
    project, output = here(), Output(as_json=as_json)
    name, pointer = ModelName(model), StageName(stage)
    signed_by = _before_listening(project, name, pointer)
    overriding = _overriding(project, name, override_token_file, anybody_may=allow_override)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    listening = listen(host, port)
    url = address_of(listening)
    held = None if grpc_port is None else reserved(host, grpc_port)
    grpc_at = None if held is None else urlsplit(address_of(held)).netloc
    served = replica_app(
        replica_of(project, name, pointer, Place(url), limits=Limits(network=not no_network), signed_by=signed_by),
        overriding=overriding,
        doors=[] if grpc_at is None else [grpc_door(grpc_at)],
    )
    # Said before the first version is loaded: a request that comes until then waits in the socket.
    value: JsonObject = {"model": model, "stage": stage, "url": url, "grpc": grpc_at, "pid": os.getpid()}
    output.result(value, [f"{model}@{stage} at {url}{'' if grpc_at is None else f', gRPC at {grpc_at}'}"])
    try:
        serve_app(served, listening)
    except KeyboardInterrupt:
        return INTERRUPTED  # the way to end it: everything was finished and closed before this arrives
    return SUCCESS


def _before_listening(project: Project, model: ModelName, stage: StageName) -> Collection[Digest]:
    """The keys that must have signed what is served here; an error where nothing is there to serve."""
    if project.registry.stage(model, stage).number is None:
        raise NotFound(
            f"nothing holds {stage} of {model}",
            hint=f"Promote a version first: holdfast promote {model}@1 --to {stage}",
        )
    return trusted(project.settings.signed_by, project.settings.project)


def _overriding(project: Project, model: ModelName, token: Path | None, *, anybody_may: bool) -> Overriding:
    """Who may choose the version: as the options say, else whom the registry's server knows, else nobody."""
    if anybody_may and token is not None:
        raise UsageError(
            "--allow-override lets everybody choose, and --override-token-file does not", hint="Say one of them."
        )
    if token is not None:
        return Secret.of(token)
    if anybody_may:
        return anybody
    return AskedServer(project.names.url, model) if isinstance(project.names, Line) else nobody

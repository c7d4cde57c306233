"""`serve`: a replica that answers with whatever holds a stage, and follows the stage when it moves."""

import logging
import os
from collections.abc import Collection
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import INTERRUPTED, SUCCESS, epilog
from holdfast.cli.options import AsJson, ModelArgument, StageOption, here
from holdfast.cli.output import Output
from holdfast.digest import Digest
from holdfast.errors import NotFound
from holdfast.names import ModelName, StageName
from holdfast.runtime.key_files import trusted
from holdfast.runtime.limits import Limits
from holdfast.serving.replica import Place
from holdfast.web.inference.app import replica_app
from holdfast.web.listening import address_of, listen
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
    no_network: Annotated[bool, typer.Option("--no-network", help="Refuse the version any network.")] = False,
    as_json: AsJson = False,
) -> int:
    """Answer predictions over HTTP: /invocations, the Open Inference Protocol at /v2, /healthz, /readyz."""
    project, output = here(), Output(as_json=as_json)
    name, pointer = ModelName(model), StageName(stage)
    signed_by = _before_listening(project, name, pointer)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    listening = listen(host, port)
    url = address_of(listening)
    limits = Limits(network=not no_network)
    served = replica_app(replica_of(project, name, pointer, Place(url), limits=limits, signed_by=signed_by))
    # Said before the first version is loaded: a request that comes until then waits in the socket.
    value: JsonObject = {"model": model, "stage": stage, "url": url, "pid": os.getpid()}
    output.result(value, [f"{model}@{stage} at {url}"])
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

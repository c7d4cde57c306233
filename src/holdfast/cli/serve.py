"""`serve`: a replica that answers with whatever holds a stage, and follows the stage when it moves."""

import logging
from typing import Annotated
from uuid import uuid4

import typer

from holdfast.cli.options import ModelArgument, StageOption, here
from holdfast.errors import NotFound
from holdfast.names import ModelName, StageName
from holdfast.serving.opening import opener
from holdfast.serving.replica import Place, Replica
from holdfast.serving.source import RegistrySource
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.server import address_of, listen
from holdfast.web.inference.server import serve as serve_app
from holdfast.wire import utc_now

app = typer.Typer()


@app.command(epilog="Example: holdfast serve churn --stage production --port 8081")
def serve(
    model: ModelArgument,
    stage: StageOption = "production",
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8081,
) -> None:
    """Answer predictions over HTTP: /invocations, the Open Inference Protocol at /v2, /healthz, /readyz."""
    project = here()
    name, pointer = ModelName(model), StageName(stage)
    if project.registry.stage(name, pointer).number is None:
        raise NotFound(
            f"nothing holds {stage} of {model}",
            hint=f"Promote a version first: holdfast promote {model}@1 --to {stage}",
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    listening = listen(host, port)
    replica = Replica(
        RegistrySource(project.registry, name, pointer),
        model=name,
        stage=pointer,
        opener=opener(project.store, project.settings.cache),
        place=Place(address_of(listening)),
        clock=utc_now,
        new_id=lambda: uuid4().hex,
    )
    serve_app(replica_app(replica), listening)

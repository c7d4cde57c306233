"""`serve`: a replica that answers with whatever holds a stage, and follows the stage when it moves."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import INTERRUPTED, SUCCESS, epilog
from holdfast.cli.options import AsJson, ModelArgument, StageOption, here
from holdfast.cli.output import Output
from holdfast.config import Settings
from holdfast.errors import NotFound, Unavailable
from holdfast.names import ModelName, StageName
from holdfast.runtime.key_files import trusted
from holdfast.runtime.limits import Limits
from holdfast.serving.exchange import Exchange
from holdfast.serving.queueing import Batching
from holdfast.serving.replica import Place, Replica
from holdfast.web.apart import apart
from holdfast.web.inference.app import replica_app
from holdfast.web.listening import address_of, listen, listen_apart
from holdfast.web.listening import serve as serve_app
from holdfast.web.processes import supervise
from holdfast.wire import Project, open_project
from holdfast.wire.serving import remembered, replica_of, serve_settings

app = typer.Typer()

_PROCESSES_MAX = 64
"""Each holds the version and last-known-good open in processes of their own; a larger machine has several replicas."""

_BATCH_ROWS_MAX = 4096
"""Past some hundred rows a call costs what its rows cost, and every request in it waits for all of them."""

_BATCH_WAIT_MS_MAX = 1000
"""Nobody who waits longer than this for company does it to be quick."""


@dataclass(frozen=True, slots=True)
class _Serving:
    """What the processes of one `serve` have in common; `meeting` is the folder in which they show what they count."""

    settings: Settings
    model: ModelName
    stage: StageName
    url: str
    limits: Limits
    batching: Batching | None
    sockets: Sequence[socket.socket]
    meeting: Path


@app.command(epilog=epilog("serve", "holdfast serve churn --stage production --port 8081"))
def serve(
    model: ModelArgument,
    stage: StageOption = "production",
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8081,
    no_network: Annotated[bool, typer.Option("--no-network", help="Refuse the version any network.")] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=_PROCESSES_MAX, help="Processes that answer, each a replica.")
    ] = 1,
    batch_rows: Annotated[
        int, typer.Option("--batch-rows", min=0, max=_BATCH_ROWS_MAX, help="Rows that one call may answer together.")
    ] = 0,
    batch_wait_ms: Annotated[
        int, typer.Option("--batch-wait-ms", min=0, max=_BATCH_WAIT_MS_MAX, help="Wait so long for company.")
    ] = 0,
    as_json: AsJson = False,
) -> int:
    """Answer predictions over HTTP: /invocations, the Open Inference Protocol at /v2, /healthz, /readyz."""
    name, pointer = ModelName(model), StageName(stage)
    settings = _looked_at(name, pointer, processes)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    sockets = [listen(host, port)] if processes == 1 else listen_apart(host, port, processes)
    url, batching = address_of(sockets[0]), Batching(batch_rows, batch_wait_ms / 1000) if batch_rows > 1 else None
    limits, meeting = Limits(network=not no_network), Path(tempfile.mkdtemp(prefix="holdfast-serve-"))
    serving = _Serving(settings, name, pointer, url, limits, batching, sockets, meeting)
    # Said before the first version is loaded: a request that comes until then waits in the socket.
    value: JsonObject = {"model": model, "stage": stage, "url": url, "pid": os.getpid(), "processes": processes}
    Output(as_json=as_json).result(value, [f"{model}@{stage} at {url}"])
    return _answered(serving)


def _answered(serving: _Serving) -> int:
    """Answer until told to end; the exit code."""
    try:
        if len(serving.sockets) == 1:
            _answer(serving, 0)
        else:
            supervise(len(serving.sockets), partial(_answer, serving))
    except KeyboardInterrupt:
        return INTERRUPTED  # the way to end it: everything was finished and closed before this arrives
    finally:
        shutil.rmtree(serving.meeting, ignore_errors=True)
    return SUCCESS


def _looked_at(model: ModelName, stage: StageName, processes: int) -> Settings:
    """The project around the current folder; what is wrong with it is said here, and not by each process."""
    settings = here().settings
    if processes > 1 and "://" in settings.store_url:
        apart(partial(_look, settings, model, stage))  # its threads would not live on in a fork
    else:
        _look(settings, model, stage)
    return settings


def _look(settings: Settings, model: ModelName, stage: StageName) -> None:
    with open_project(settings) as project:
        try:
            held = project.registry.stage(model, stage).number is not None
        except Unavailable:
            held = remembered(project, model, stage).known
            if not held:
                raise
        if not held:
            raise NotFound(
                f"nothing holds {stage} of {model}",
                hint=f"Promote a version first: holdfast promote {model}@1 --to {stage}",
            )
        serve_settings(project, model)
    trusted(settings.signed_by, settings.project)


def _answer(serving: _Serving, place: int) -> None:
    """The work of one process."""
    with open_project(serving.settings) as project:
        serve_app(replica_app(_replica(serving, project, place)), serving.sockets[place])


def _replica(serving: _Serving, project: Project, place: int) -> Replica:
    return replica_of(
        project,
        serving.model,
        serving.stage,
        Place(serving.url),
        limits=serving.limits,
        signed_by=trusted(serving.settings.signed_by, serving.settings.project),
        batching=serving.batching,
        exchange=Exchange(serving.meeting, place) if len(serving.sockets) > 1 else None,
    )

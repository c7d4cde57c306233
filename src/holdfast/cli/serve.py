"""`serve`: a replica that answers with whatever holds a stage, and follows the stage when it moves."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from holdfast.store.disk import refusing
from holdfast.store.scratch import scratch, sweep
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

_CONNECTIONS_MAX = 4096
"""Of one process: eight times as many as requests may wait, for most connections of a pool are idle."""

_COUNTERS = "replicas-"
"""How the names of folders begin in which processes of one port meet."""

_BATCH_ROWS_MAX = 4096
"""Past some hundred rows a call costs what its rows cost, and every request in it waits for all of them."""

_BATCH_WAIT_MS_MAX = 1000
"""Nobody who waits longer than this for company does it to be quick."""


@dataclass(frozen=True, slots=True)
class _Serving:
    """What the processes of one `serve` have in common."""

    settings: Settings
    model: ModelName
    stage: StageName
    url: str
    limits: Limits
    batching: Batching | None
    sockets: Sequence[socket.socket]
    meeting: Path | None = None


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
    serving = _Serving(settings, name, pointer, url, Limits(network=not no_network), batching, sockets)
    # Said before the first version is loaded: a request that comes until then waits in the socket.
    value: JsonObject = {"model": model, "stage": stage, "url": url, "pid": os.getpid(), "processes": processes}
    Output(as_json=as_json).result(value, [f"{model}@{stage} at {url}"])
    try:
        if processes == 1:
            _answer(serving, 0)
        else:
            with _meeting(settings) as folder:
                supervise(processes, partial(_answer, replace(serving, meeting=folder)))
    except KeyboardInterrupt:
        return INTERRUPTED  # the way to end it: everything was finished and closed before this arrives
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
        serve_app(
            replica_app(_replica(serving, project, place)), serving.sockets[place], connections_max=_CONNECTIONS_MAX
        )


@contextmanager
def _meeting(settings: Settings) -> Iterator[Path]:
    """An empty folder in which the processes tell each other what they count; it goes with them."""
    with refusing(settings.scratch):
        settings.scratch.mkdir(mode=0o700, exist_ok=True)
    sweep(settings.scratch, _COUNTERS)
    with scratch(settings.scratch, _COUNTERS) as mine:
        yield mine.path


def _replica(serving: _Serving, project: Project, place: int) -> Replica:
    return replica_of(
        project,
        serving.model,
        serving.stage,
        Place(serving.url),
        limits=serving.limits,
        signed_by=trusted(serving.settings.signed_by, serving.settings.project),
        batching=serving.batching,
        exchange=None if serving.meeting is None else Exchange(serving.meeting, place),
    )

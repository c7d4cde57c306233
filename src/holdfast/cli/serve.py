"""`serve`: a replica that answers with whatever holds a stage, and follows the stage when it moves."""

import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import INTERRUPTED, SUCCESS, epilog
from holdfast.cli.options import AsJson, ModelArgument, StageOption, here
from holdfast.cli.output import Output
from holdfast.config import Settings
from holdfast.errors import NotFound, Unavailable, UsageError
from holdfast.names import ModelName, StageName
from holdfast.runtime.key_files import trusted
from holdfast.runtime.limits import Limits
from holdfast.serving.cluster import REPLICAS_MAX, Cluster
from holdfast.serving.engine import LOCAL, Engine
from holdfast.serving.exchange import Exchange
from holdfast.serving.queueing import BATCH_ROWS_MAX, BATCH_WAIT_MS_MAX, Batching
from holdfast.serving.replica import Place, Replica
from holdfast.web.apart import apart
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.grpc_service import grpc_door, require_grpc
from holdfast.web.inference.override import AskedServer, Overriding, Secret, anybody, nobody
from holdfast.web.listening import address_of, listen, listen_apart, reserved
from holdfast.web.listening import serve as serve_app
from holdfast.web.processes import supervise
from holdfast.wire import Project, open_project
from holdfast.wire.serving import opener_on_node, remembered, replica_of, serve_settings

app = typer.Typer()

_PROCESSES_MAX = 64
"""Each holds the version and last-known-good open in processes of their own; a larger machine has several replicas."""

_CONNECTIONS_MAX = 4096
"""Of one process: eight times as many as requests may wait, for most connections of a pool are idle."""


class _Engine(StrEnum):
    """What may run the versions."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class _Held:
    """An address that is kept for the gRPC servers of all processes."""

    socket: socket.socket
    address: str


@dataclass(frozen=True, slots=True)
class _Serving:
    """What the processes of one `serve` have in common; `meeting` is the folder in which they show what they count."""

    settings: Settings
    model: ModelName
    stage: StageName
    limits: Limits
    batching: Batching | None
    sockets: Sequence[socket.socket]
    overriding: Callable[[], Overriding]
    grpc: _Held | None
    meeting: Path
    ray: Callable[..., Cluster] | None

    @property
    def url(self) -> str:
        """Where all of them answer."""
        return address_of(self.sockets[0])


@app.command(epilog=epilog("serve", "holdfast serve churn --stage production --port 8081"))
def serve(
    model: ModelArgument,
    stage: StageOption = "production",
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8081,
    grpc_port: Annotated[
        int | None, typer.Option("--grpc-port", min=0, max=65535, help="Speak gRPC too, here; 0 takes a free port.")
    ] = None,
    allow_override: Annotated[
        bool, typer.Option("--allow-override", help="Let every caller choose a version, and say what was right.")
    ] = False,
    override_token_file: Annotated[
        Path | None, typer.Option("--override-token-file", help="Let whoever shows the token in this file do so.")
    ] = None,
    no_network: Annotated[bool, typer.Option("--no-network", help="Refuse the version any network.")] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=_PROCESSES_MAX, help="Processes that answer, each a replica.")
    ] = 1,
    batch_rows: Annotated[
        int, typer.Option("--batch-rows", min=0, max=BATCH_ROWS_MAX, help="Rows that one call may answer together.")
    ] = 0,
    batch_wait_ms: Annotated[
        int, typer.Option("--batch-wait-ms", min=0, max=BATCH_WAIT_MS_MAX, help="Wait so long for company.")
    ] = 0,
    engine: Annotated[_Engine, typer.Option("--engine", help="What runs the versions.")] = _Engine.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="A running Ray cluster; by default one on this machine.")
    ] = None,
    ray_replicas: Annotated[
        int, typer.Option("--ray-replicas", min=1, max=REPLICAS_MAX, help="Ray replicas of each version.")
    ] = 1,
    ray_cpus: Annotated[float, typer.Option("--ray-cpus", min=0.0, help="Processors of each Ray replica.")] = 1.0,
    as_json: AsJson = False,
) -> int:
    """Answer predictions over HTTP: /invocations, /predict, the Open Inference Protocol at /v2, /healthz, /readyz."""
    name, pointer = ModelName(model), StageName(stage)
    together, limits = _together(batch_rows, batch_wait_ms), Limits(network=not no_network)
    ray = _on_ray(engine, processes, ray_address, ray_replicas, ray_cpus)
    settings = _looked_at(name, pointer, processes)
    overriding = _overriding(settings, name, override_token_file, anybody_may=allow_override)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    grpc_at = None if grpc_port is None else _held(host, grpc_port)
    sockets = [listen(host, port)] if processes == 1 else listen_apart(host, port, processes)
    # Uvicorn finishes, and sends itself the signal again: what is held here is tidied up then, too.
    signal.signal(signal.SIGTERM, _told_to_end)
    with tempfile.TemporaryDirectory(prefix="holdfast-serve-", ignore_cleanup_errors=True) as meeting:
        serving = _Serving(settings, name, pointer, limits, together, sockets, overriding, grpc_at, Path(meeting), ray)
        # Said before the first version is loaded: a request that comes until then waits in the socket.
        Output(as_json=as_json).result(*_said(serving))
        return _serve(serving)


def _together(rows: int, wait_ms: int) -> Batching | None:
    """How requests are answered together; None: as the project says."""
    if wait_ms and rows <= 1:
        raise UsageError("--batch-wait-ms waits for nobody without --batch-rows", hint="Say both: --batch-rows 64.")
    return Batching(rows, wait_ms / 1000) if rows > 1 else None


def _told_to_end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(SUCCESS)


def _said(serving: _Serving) -> tuple[JsonObject, list[str]]:
    """Where it listens, for programs and for people."""
    grpc_at = None if serving.grpc is None else serving.grpc.address
    value: JsonObject = {
        "model": str(serving.model),
        "stage": str(serving.stage),
        "url": serving.url,
        "grpc": grpc_at,
        "pid": os.getpid(),
        "processes": len(serving.sockets),
    }
    also = "" if grpc_at is None else f", gRPC at {grpc_at}"
    return value, [f"{serving.model}@{serving.stage} at {serving.url}{also}"]


def _serve(serving: _Serving) -> int:
    """Answer until told to end; the exit code."""
    try:
        if len(serving.sockets) == 1:
            _answer(serving, 0)
        else:
            supervise(len(serving.sockets), partial(_answer, serving))
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
    with open_project(serving.settings) as project, _engine_of(serving) as engine:
        doors = [] if serving.grpc is None else [grpc_door(serving.grpc.address)]
        replica = _replica(serving, project, place, engine)
        app = replica_app(replica, overriding=serving.overriding(), doors=doors)
        serve_app(app, serving.sockets[place], connections_max=_CONNECTIONS_MAX)


def _on_ray(
    engine: _Engine, processes: int, address: str | None, replicas: int, cpus: float
) -> Callable[..., Cluster] | None:
    """Makes the cluster that the versions run on; None where they run here.

    Raises:
        UsageError: several processes would each have to run the versions there; or nothing is to run there.
    """
    if engine is _Engine.LOCAL:
        if address is not None or replicas > 1:
            raise UsageError("nothing runs on Ray unless it is asked for", hint="Say so: --engine ray.")
        return None
    if processes > 1:
        raise UsageError("--engine ray has one router", hint="Leave --processes out; raise --ray-replicas instead.")
    return partial(Cluster, address=address, replicas=replicas, cpus=cpus)


@contextmanager
def _engine_of(serving: _Serving) -> Iterator[Engine]:
    """What runs the versions, for as long as the replica is there."""
    if serving.ray is None:
        yield LOCAL
        return
    signed_by = trusted(serving.settings.signed_by, serving.settings.project)
    node = partial(opener_on_node, serving.settings.project, serving.limits, signed_by)
    # The same after a restart, and another for each router: it is known by where it answers.
    name = f"{serving.model}.{serving.stage}.{socket.gethostname()}-{urlsplit(serving.url).port}"
    with serving.ray(name, node) as cluster:
        yield cluster.runner


def _replica(serving: _Serving, project: Project, place: int, engine: Engine) -> Replica:
    return replica_of(
        project,
        serving.model,
        serving.stage,
        Place(serving.url),
        limits=serving.limits,
        signed_by=trusted(serving.settings.signed_by, serving.settings.project),
        batching=serving.batching,
        exchange=Exchange(serving.meeting, place) if len(serving.sockets) > 1 else None,
        engine=engine,
    )


def _held(host: str, port: int) -> _Held:
    require_grpc()
    held = reserved(host, port)
    return _Held(held, urlsplit(address_of(held)).netloc)


def _overriding(
    settings: Settings, model: ModelName, token: Path | None, *, anybody_may: bool
) -> Callable[[], Overriding]:
    """Who may choose the version: as the options say, else whom the registry's server knows, else nobody.

    Each process makes its own of what is returned; what is wrong with the options is said before there are any.
    """
    if anybody_may and token is not None:
        raise UsageError(
            "--allow-override lets everybody choose, and --override-token-file does not", hint="Say one of them."
        )
    if token is not None:
        secret = Secret.of(token)
        return lambda: secret
    if anybody_may:
        return lambda: anybody
    url = settings.url
    return (lambda: nobody) if url is None else partial(AskedServer, url, model)

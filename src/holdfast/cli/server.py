"""`server`: the registry, its runs and its store for many, over HTTP."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from holdfast.access import Doors
from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import SUCCESS, epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output
from holdfast.config import Settings
from holdfast.errors import MissingExtra, UsageError
from holdfast.store.disk import refusing
from holdfast.store.scratch import scratch, sweep
from holdfast.web.apart import apart
from holdfast.web.listening import Tls, address_of, listen, serve
from holdfast.web.logs import LogFormat, begin_logging
from holdfast.wire import Project, open_files, open_project
from holdfast.wire.mlflow import open_shelf
from holdfast.wire.people import open_doors, open_groups, open_guarded
from holdfast.wire.webhooks import open_census, open_deliverer, open_webhooks

if TYPE_CHECKING:
    from holdfast.web.oidc import Provider

app = typer.Typer()

_COUNTERS = "counters-"
"""How the names of folders with counters begin."""

_WORKERS_MAX = 64
"""Each has a database connection of its own for every request under way; a machine with more cores wants a second
server."""


_DRAIN_SECONDS_MAX = 300.0
"""What balances the load has looked by then, however seldom it looks."""


@dataclass(frozen=True, slots=True)
class _Serving:
    """What the processes of a server have in common.

    Attributes:
        settings: of the project.
        sockets: where they listen: for the API, and for metrics where those have a port of their own.
        metrics_port: that port.
        counting: the folder in which they count.
        drain_seconds: how long they go on when they are told to end.
        tls: what they speak TLS with.
        asks: whether they ask who people are.
        name: of this server; nobody else has it.
    """

    settings: Settings
    sockets: tuple[socket.socket, ...]
    metrics_port: int | None
    counting: Path
    drain_seconds: float
    tls: Tls | None
    asks: bool
    name: str = field(default_factory=lambda: uuid4().hex)


@app.command(epilog=epilog("server", "holdfast server --port 8080"))
def server(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
    workers: Annotated[int, typer.Option("--workers", min=1, max=_WORKERS_MAX, help="Processes that answer.")] = 2,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", min=0, max=65535, help="Answer /metrics there, and not beside the API."),
    ] = None,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="Lines for people, or JSON.")] = "text",
    drain_seconds: Annotated[
        float,
        typer.Option(
            "--drain-seconds",
            min=0.0,
            max=_DRAIN_SECONDS_MAX,
            help="When told to end: how long to answer on while /readyz says 503.",
        ),
    ] = 0.0,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="Ask who they are; by default, unless only this machine can ask."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="Speak TLS with this certificate, a PEM file.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="Its key, a PEM file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Give this project's registry, runs and store to others over HTTP; they name it in HOLDFAST_URL."""
    asks, tls = _asks(host, auth), _tls(certificate, key)
    settings, supervise = _looked_at(asks=asks), _supervisor(log_format)
    ports = [port] if metrics_port is None else [port, metrics_port]
    sockets = tuple(listen(host, one) for one in ports)
    urls = [address_of(one, tls) for one in sockets]
    value: JsonObject = {"url": urls[0], "pid": os.getpid(), "workers": workers, "metrics": f"{urls[-1]}/metrics"}
    value["auth"] = asks
    Output(as_json=as_json).result(value, _ways(settings, urls[0]))
    own = None if metrics_port is None else sockets[-1].getsockname()[1]
    with _counting(settings) as folder:
        supervise(workers, partial(_answer, _Serving(settings, sockets, own, folder, drain_seconds, tls, asks)))
    return SUCCESS


def _ways(settings: Settings, url: str) -> Iterator[str]:
    yield f"serving {settings.home} at {url}"
    yield f"use it: export HOLDFAST_URL={url}"
    yield f"MLflow's clients: export MLFLOW_TRACKING_URI={url}"


def _supervisor(log_format: LogFormat) -> Callable[[int, Callable[[int], None]], None]:
    """What keeps the processes at work, once it is known that they can be."""
    try:
        import holdfast.web.api.app  # noqa: F401 - before the processes are forked: they share what is imported
        from holdfast.web.processes import supervise
    except ImportError as error:
        raise MissingExtra(
            f"a server needs {error.name}", hint="Install what it needs: pip install 'holdfast[server]'"
        ) from error
    begin_logging(log_format)
    return supervise


def _looked_at(*, asks: bool) -> Settings:
    """The project around the current folder; what is wrong with it is said here, and not by each process."""
    settings = here().settings
    if "://" in settings.store_url:
        apart(partial(_look, asks=asks))
    else:
        _look(asks=asks)
    return settings


def _look(*, asks: bool) -> None:
    with here() as project:
        open_files(project)
        open_webhooks(project)
        project.unwatched.log(limit=1)
        if asks:
            open_guarded(project)
            open_groups(project)
            _require_admin(open_doors(project))


def _require_admin(doors: Doors) -> None:
    if not doors.has_admin():
        raise UsageError(
            "this server would ask everybody who they are, and nobody could be let in: the project has no admin",
            hint="Make one here: holdfast user add NAME; holdfast user grant NAME admin; "
            "holdfast token create --user NAME. Or serve this machine alone, without --auth.",
        )


@contextmanager
def _counting(settings: Settings) -> Iterator[Path]:
    """An empty folder for counters; it goes with the server, and what one that was killed left goes now."""
    with refusing(settings.scratch):
        settings.scratch.mkdir(mode=0o700, exist_ok=True)
    sweep(settings.scratch, _COUNTERS)
    with scratch(settings.scratch, _COUNTERS) as mine:
        yield mine.path


def _answer(serving: _Serving, place: int) -> None:
    """The work of one process."""
    from holdfast.web.api.app import api_app
    from holdfast.web.api.depot import Depot
    from holdfast.web.api.desk import Around
    from holdfast.web.api.meters import Shared

    with open_project(serving.settings) as project:
        files = open_files(project)
        depot = Depot(files.store, files.transport, files.undisturbed, files.signed)
        meters = Shared(serving.counting).join(place)
        around = Around(
            webhooks=open_webhooks(project),
            deliverer=open_deliverer(project, f"{serving.name}-{place}", meters.told),
            census=open_census(project),
            signer=project.logbook.key,
            meters=meters,
            metrics_port=serving.metrics_port,
            access=open_doors(project) if serving.asks else None,
            provider=_provider(project) if serving.asks else None,
            shelf=open_shelf(project, files.store, files.undisturbed),
        )
        registry = open_guarded(project) if serving.asks else project.unwatched
        api = api_app(registry, project.tracking, depot, around)
        end = api.state.desk.watch.end
        serve(api, *serving.sockets, before_the_end=end, drain_seconds=serving.drain_seconds, tls=serving.tls)


def _provider(project: Project) -> "Provider | None":
    """Who signs people in; None where tokens are given out by hand."""
    from holdfast.web.oidc import Provider

    issuer, client = project.settings.oidc_issuer, project.settings.oidc_client_id
    return Provider(issuer, client, open_groups(project)) if issuer and client else None


def _asks(host: str, auth: bool | None) -> bool:
    """Whether the server asks who people are: always where other machines reach it.

    Raises:
        UsageError: other machines would reach one that asks nobody.
    """
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if auth is False and not is_local:
        raise UsageError(
            f"{host} is reached from other machines, and this server would ask nobody who they are",
            hint="Leave --no-auth out, or listen on 127.0.0.1.",
            host=host,
        )
    return auth if auth is not None else not is_local


def _tls(certificate: Path | None, key: Path | None) -> Tls | None:
    """What the server speaks TLS with.

    Raises:
        UsageError: one of the two is missing, or they are not what they should be.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("TLS needs a certificate and its key", hint="Name both: --tls-certificate and --tls-key.")
    tls = Tls(certificate, key)
    tls.require_usable()
    return tls

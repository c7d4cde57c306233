"""`server`: the registry, its runs and its store for many, over HTTP."""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from holdfast.access import Doors
from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import SUCCESS, epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output
from holdfast.config import Settings
from holdfast.errors import MissingExtra, UsageError
from holdfast.web.apart import apart
from holdfast.web.listening import Tls, address_of, listen, serve
from holdfast.wire import open_files, open_project
from holdfast.wire.people import open_doors, open_groups, open_guarded

app = typer.Typer()

_WORKERS_MAX = 64
"""Each has a database connection of its own for every request under way; a machine with more cores wants a second
server."""


@app.command(epilog=epilog("server", "holdfast server --port 8080"))
def server(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
    workers: Annotated[int, typer.Option("--workers", min=1, max=_WORKERS_MAX, help="Processes that answer.")] = 2,
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
    settings, supervise = _looked_at(asks=asks), _supervisor()
    listening = listen(host, port)
    url = address_of(listening, tls)
    value: JsonObject = {"url": url, "pid": os.getpid(), "workers": workers, "auth": asks}
    said = "asks who you are: holdfast login" if asks else "asks nobody who they are"
    lines = [f"serving {settings.home} at {url}", f"use it: export HOLDFAST_URL={url}", f"it {said}"]
    Output(as_json=as_json).result(value, lines)
    supervise(workers, partial(_answer, settings, listening, tls, asks=asks))
    return SUCCESS


def _supervisor() -> Callable[[int, Callable[[], None]], None]:
    """What keeps the processes at work, once it is known that they can be."""
    try:
        import holdfast.web.api.app  # noqa: F401 - before the processes are forked: they share what is imported
        from holdfast.web.api.processes import supervise
    except ImportError as error:
        raise MissingExtra(
            f"a server needs {error.name}", hint="Install what it needs: pip install 'holdfast[server]'"
        ) from error
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
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


def _answer(settings: Settings, listening: socket.socket, tls: Tls | None, *, asks: bool) -> None:
    """The work of one process."""
    from holdfast.web.api.app import api_app
    from holdfast.web.api.depot import Depot
    from holdfast.web.oidc import Provider

    with open_project(settings) as project:
        files = open_files(project)
        depot = Depot(files.store, files.transport, files.undisturbed)
        registry = open_guarded(project) if asks else project.unwatched
        access = open_doors(project) if asks else None
        issuer, client = settings.oidc_issuer, settings.oidc_client_id
        provider = Provider(issuer, client, open_groups(project)) if issuer and client and asks else None
        serve(api_app(registry, project.tracking, depot, access, provider), listening, tls)


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

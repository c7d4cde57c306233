"""`server`: the registry, its runs and its store for many, over HTTP."""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import SUCCESS, epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output
from holdfast.config import Settings
from holdfast.errors import MissingExtra, UsageError
from holdfast.web.listening import address_of, listen, serve
from holdfast.wire import open_files, open_project

app = typer.Typer()

_WORKERS_MAX = 64
"""Each has a database connection of its own for every request under way; a machine with more cores wants a second
server."""


@app.command(epilog=epilog("server", "holdfast server --port 8080"))
def server(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
    workers: Annotated[int, typer.Option("--workers", min=1, max=_WORKERS_MAX, help="Processes that answer.")] = 2,
    as_json: AsJson = False,
) -> int:
    """Give this project's registry, runs and store to others over HTTP; they name it in HOLDFAST_URL."""
    _refuse_beyond_this_machine(host)
    settings, supervise = _looked_at(), _supervisor()
    listening = listen(host, port)
    url = address_of(listening)
    value: JsonObject = {"url": url, "pid": os.getpid(), "workers": workers}
    Output(as_json=as_json).result(value, [f"serving {settings.home} at {url}", f"use it: export HOLDFAST_URL={url}"])
    supervise(workers, partial(_answer, settings, listening))
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


def _looked_at() -> Settings:
    """The project around the current folder; what is wrong with it is said here, and not by each process."""
    with here() as project:
        open_files(project)
        project.unwatched.log(limit=1)
        return project.settings


def _answer(settings: Settings, listening: socket.socket) -> None:
    """The work of one process."""
    from holdfast.web.api.app import api_app
    from holdfast.web.api.depot import Depot

    with open_project(settings) as project:
        files = open_files(project)
        depot = Depot(files.store, files.transport, files.undisturbed)
        serve(api_app(project.unwatched, project.tracking, depot, project.logbook.key), listening)


def _refuse_beyond_this_machine(host: str) -> None:
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise UsageError(
            f"{host} is reached from other machines, and this server asks nobody who they are",
            hint="Listen on 127.0.0.1, and put a proxy in front of it that lets in whom you trust.",
            host=host,
        )

"""`remote`, `push`, `pull` and `clone`: versions and data for others, and from them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text, table
from holdfast.config import Settings
from holdfast.store.remote.address import Address
from holdfast.store.remote.probe import probe, require_store
from holdfast.upkeep.remotes import DEFAULT_NAME, NamedRemote, Remotes
from holdfast.upkeep.share import Shared
from holdfast.upkeep.share import pull as fetch
from holdfast.upkeep.share import push as send
from holdfast.wire import create_project, open_exchange, open_project, open_transport

app = typer.Typer()
remote = typer.Typer(help="Remotes: folders and buckets in which others find versions and data.")
app.add_typer(remote, name="remote")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What you call it, such as origin.")]
UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help="A folder, s3://bucket/prefix, gs://bucket or az://container.")
]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", help="The server of an s3:// bucket, when it is not Amazon's.")
]
StorageClassOption = Annotated[
    str | None,
    typer.Option(
        "--storage-class",
        help="In which a bucket keeps data, such as STANDARD_IA or COLDLINE; index and refs stay at hand.",
    ),
]
RemoteOption = Annotated[str | None, typer.Option("--remote", help="Which remote; the only one, or origin.")]


@remote.callback()
def _remote() -> None:
    """Remotes: folders and buckets in which others find versions and data."""


@remote.command(epilog=epilog("remote add", "holdfast remote add origin s3://models/team"))
def add(
    name: NameArgument,
    url: UrlArgument,
    endpoint: EndpointOption = None,
    storage_class: StorageClassOption = None,
    as_json: AsJson = False,
) -> None:
    """Try a remote, and keep its name and address; credentials stay in the environment."""
    remotes = Remotes(Settings.find(Path.cwd()).home)
    named = NamedRemote(name, Address.parse(url), endpoint, storage_class)
    remotes.refuse_taken(name)
    probe(open_transport(named.address, endpoint, named.storage_class))
    remotes.add(named)
    Output(as_json=as_json).result(named.to_json(), [f"{name} is {named.address}", "next: holdfast push"])


@remote.command("list", epilog=epilog("remote list", "holdfast remote list"))
def list_all(as_json: AsJson = False) -> None:
    """The remotes of this project."""
    found = [one.to_json() for one in Remotes(Settings.find(Path.cwd()).home)]
    rows = [(one["name"], one["url"], one["endpoint"], one["storage_class"]) for one in found]
    lines = table(("remote", "url", "endpoint", "storage class"), rows)
    Output(as_json=as_json).result(
        {"remotes": found}, lines if rows else ["no remotes; add one: holdfast remote add origin URL"]
    )


@remote.command(epilog=epilog("remote remove", "holdfast remote remove origin"))
def remove(name: NameArgument, as_json: AsJson = False) -> None:
    """Forget a remote; what is in it stays there."""
    gone = Remotes(Settings.find(Path.cwd()).home).remove(name)
    Output(as_json=as_json).result(gone.to_json(), [f"forgot {name}; everything in {gone.address} is as it was"])


@app.command(epilog=epilog("push", "holdfast push churn@4"))
def push(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VERSION|MODEL|DIGEST]...", help="What; every version when nothing is named."),
    ] = None,
    remote: RemoteOption = None,
    as_json: AsJson = False,
) -> None:
    """Send versions and snapshots, with every byte they need that the remote lacks."""
    project, output = here(), Output(as_json=as_json)
    exchange = open_exchange(project, Remotes(project.settings.home).find(remote))
    with output.progress("pushing") as progress:
        shared = send(exchange, wanted or [], progress)
    output.result(shared.to_json(), _lines(shared, "sent"))


@app.command(epilog=epilog("pull", "holdfast pull churn@4"))
def pull(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VERSION|MODEL|DIGEST]...", help="What; everything when nothing is named."),
    ] = None,
    remote: RemoteOption = None,
    as_json: AsJson = False,
) -> None:
    """Fetch versions and snapshots; every byte is verified, and each version keeps its number."""
    project, output = here(), Output(as_json=as_json)
    exchange = open_exchange(project, Remotes(project.settings.home).find(remote))
    with output.progress("pulling") as progress:
        shared = fetch(exchange, wanted or [], project.actor, progress)
    output.result(shared.to_json(), _lines(shared, "fetched"))


@app.command(epilog=epilog("clone", "holdfast clone s3://models/team ./team"))
def clone(
    url: UrlArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the new project is made.")],
    only: Annotated[list[str] | None, typer.Option("--only", help="A model or a version, instead of all.")] = None,
    endpoint: EndpointOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a project with what a remote refers to; after an interruption, go on there with: holdfast pull."""
    output = Output(as_json=as_json)
    named = NamedRemote(DEFAULT_NAME, Address.parse(url), endpoint)
    require_store(open_transport(named.address, endpoint))
    settings = create_project(folder.absolute())
    Remotes(settings.home).add(named)
    project = open_project(settings)
    with output.progress("cloning") as progress:
        shared = fetch(open_exchange(project, named), only or [], project.actor, progress)
    value: JsonObject = {**shared.to_json(), "home": str(settings.home)}
    output.result(value, [f"made {settings.home}", *_lines(shared, "fetched")])


def _lines(shared: Shared, verb: str) -> Iterator[str]:
    value = shared.to_json()
    for one in value["versions"]:
        yield f"{one['model']}@{one['version']}  {one['digest']}  {'new' if one['new'] else 'was there'}"
    for one in value["snapshots"]:
        yield f"snapshot  {one['digest']}  {'new' if one['new'] else 'was there'}"
    for name in value["left_out"]:
        yield f"{name}  is archived and not here: left out"
    yield f"{verb} {shared.blobs} blob(s), {bytes_text(shared.bytes)}, {shared.url}"

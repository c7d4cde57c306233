"""`backup`: everything in one more place, and everything back from there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text, table
from holdfast.errors import IntegrityError
from holdfast.store.remote.address import Address
from holdfast.store.remote.probe import probe
from holdfast.upkeep.backup import Made, backups
from holdfast.wire import make_backup, open_transport, put_back

app = typer.Typer()
backup = typer.Typer(help="Keep everything in one more place, and put it back from there.")
app.add_typer(backup, name="backup")

PlaceArgument = Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or s3://bucket/prefix, of its own.")]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", metavar="URL", help="Of a server that speaks like S3.")
]


@backup.callback()
def _backup() -> None:
    """Keep everything in one more place, and put it back from there."""


@backup.command(epilog=epilog("backup make", "holdfast backup make s3://backups/churn"))
def make(
    place: PlaceArgument,
    names_only: Annotated[
        bool, typer.Option("--names-only", help="Leave the bytes out: their bucket is kept safe in another way.")
    ] = False,
    endpoint: EndpointOption = None,
    as_json: AsJson = False,
) -> int:
    """Keep every name and every byte of this project in one more place; only what is new is copied."""
    project, output, there = here(), Output(as_json=as_json), open_transport(Address.parse(place), endpoint)
    probe(there)
    with output.progress("backing up") as progress:
        made = make_backup(project, there, names_only=names_only, progress=progress)
    output.result(made.to_json(), _lines(made, "copied"))
    return _code(made)


@backup.command("list", epilog=epilog("backup list", "holdfast backup list s3://backups/churn"))
def list_all(place: PlaceArgument, endpoint: EndpointOption = None, as_json: AsJson = False) -> None:
    """The backups in a place, newest first."""
    found = [one.to_json() for one in backups(open_transport(Address.parse(place), endpoint))]
    value: JsonObject = {"backups": found}
    rows = [(one["backup"], bytes_text(one["bytes"])) for one in found]
    Output(as_json=as_json).result(value, table(("backup", "names"), rows) if rows else ["no backups"])


@backup.command(epilog=epilog("backup restore", "holdfast backup restore s3://backups/churn again"))
def restore(
    place: PlaceArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the project is made again.")],
    wanted: Annotated[
        str | None, typer.Option("--backup", metavar="TIME", help="Which one: how its name begins; else the newest.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the log.")] = "",
    endpoint: EndpointOption = None,
    as_json: AsJson = False,
) -> int:
    """Make a project as it was when a backup was made; its log is audited before anything of it counts."""
    output, there = Output(as_json=as_json), open_transport(Address.parse(place), endpoint)
    with output.progress("putting back") as progress:
        made = put_back(folder, there, wanted, reason, progress)
    output.result(made.to_json(), [*_lines(made, "put back"), f"next: cd {folder} && holdfast check"])
    return _code(made)


def _code(made: Made) -> int:
    return EXIT_CODES[IntegrityError.code] if made.damaged else SUCCESS


def _lines(made: Made, verb: str) -> Iterator[str]:
    yield f"backup {made.backup.name}: {made.events} event(s), {bytes_text(made.backup.bytes)} of names"
    if made.bytes is not None:
        yield f"{verb} {made.bytes.files_new} of {made.bytes.files} file(s), {bytes_text(made.bytes.bytes_new)}"
    for key in made.damaged:
        yield f"DAMAGED, and left out: {key}"

"""`snapshot` and `checkout`: bytes into the store, and out again."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text
from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.flow.snapshot import snapshot as freeze
from holdfast.names import Reference
from holdfast.store.checkout import CheckedOut, checkout_snapshot
from holdfast.store.disk import refusing
from holdfast.wire import Project

app = typer.Typer()


@app.command(epilog=epilog("snapshot", "holdfast snapshot data/train.csv"))
def snapshot(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="A file or a folder.")],
    as_json: AsJson = False,
) -> None:
    """Freeze data: the bytes go into the store and are named by their digest."""
    project, output = here(), Output(as_json=as_json)
    with output.progress(f"freezing {source.name}") as progress:
        frozen = freeze(project.store, source, root=project.settings.project, progress=progress, seen=project.seen)
    sizes = f"{frozen.files} file(s), {bytes_text(frozen.bytes)}, of which {bytes_text(frozen.bytes_new)} new"
    output.result(frozen.to_json(), [str(frozen.digest), sizes])


@app.command(epilog=epilog("checkout", "holdfast checkout churn@4 ./churn-4"))
def checkout(
    what: Annotated[str, typer.Argument(metavar="VERSION|DIGEST", help="A version, or a snapshot's digest.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that does not exist yet.")],
    link: Annotated[
        bool,
        typer.Option(
            "--link",
            help="For a snapshot: files of 1 MiB and more become hard links to the store's own where that can be. They "
            "are read-only and share the store's bytes: to change one, copy it first.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a version's bundle, or a snapshot's data, into a folder; every byte is verified on the way.

    A snapshot whose checkout was interrupted is continued by the same command.
    """
    project, output = here(), Output(as_json=as_json)
    with refusing(folder):
        if what.startswith("sha256:"):
            value = _data(project, what, folder, link, output)
        else:
            value = _bundle(project, what, folder, link)
    linked = f", {value['linked']} of them linked" if link else ""
    line = f"{value['digest']} in {folder}: {value['files']} file(s){linked}, {bytes_text(value['bytes'])}"
    output.result(value, [line])


def _bundle(project: Project, what: str, folder: Path, link: bool) -> JsonObject:
    if link:
        raise UsageError("--link is for snapshots", hint="A version's bundle is copied; leave --link out.")
    files = project.checkout(Reference.parse(what), folder.absolute())
    sizes = [entry.size for entry in files.manifest.files]
    return _written(files.digest, folder, CheckedOut(len(sizes), sum(sizes), linked=0))


def _data(project: Project, what: str, folder: Path, link: bool, output: Output) -> JsonObject:
    digest = Digest.parse(what)
    with output.progress(f"writing {folder.name}") as progress:
        # Nobody watches JSON, and to know how many bytes there are in all the tree is read once more.
        told = None if output.as_json else progress
        try:
            done = checkout_snapshot(project.store, digest, folder.absolute(), link=link, progress=told)
        except NotFound:
            if project.store.has(digest):  # its list is here: what it lists may have been archived
                project.require_data(digest)
            raise
    return _written(digest, folder, done)


def _written(digest: Digest, folder: Path, done: CheckedOut) -> JsonObject:
    return {
        "digest": str(digest),
        "folder": str(folder),
        "files": done.files,
        "bytes": done.bytes,
        "linked": done.linked,
    }

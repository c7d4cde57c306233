"""`snapshot` and `checkout`: bytes into the store, and out again."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text
from holdfast.digest import Digest
from holdfast.flow.snapshot import load_tree
from holdfast.flow.snapshot import snapshot as freeze
from holdfast.names import Reference
from holdfast.store.checkout import checkout_tree
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
    as_json: AsJson = False,
) -> None:
    """Write a version's bundle, or a snapshot's data, into a folder; every byte is verified on the way."""
    project = here()
    with refusing(folder):
        value = (_data if what.startswith("sha256:") else _bundle)(project, what, folder)
    line = f"{value['digest']} in {folder}: {value['files']} file(s), {bytes_text(value['bytes'])}"
    Output(as_json=as_json).result(value, [line])


def _bundle(project: Project, what: str, folder: Path) -> JsonObject:
    files = project.checkout(Reference.parse(what), folder.absolute())
    return _written(files.digest, folder, [entry.size for entry in files.manifest.files])


def _data(project: Project, what: str, folder: Path) -> JsonObject:
    digest = Digest.parse(what)
    tree = load_tree(project.store, digest)
    checkout_tree(project.store, tree, folder.absolute())
    return _written(digest, folder, [entry.size for entry in tree.entries])


def _written(digest: Digest, folder: Path, sizes: list[int]) -> JsonObject:
    return {"digest": str(digest), "folder": str(folder), "files": len(sizes), "bytes": sum(sizes)}

"""`snapshot` and `checkout`: bytes into the store, and out again."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text
from holdfast.digest import Digest
from holdfast.flow.snapshot import load_tree
from holdfast.flow.snapshot import snapshot as freeze
from holdfast.names import Reference
from holdfast.runtime.materialise import checkout_bundle
from holdfast.store.checkout import checkout_tree

app = typer.Typer()


@app.command(epilog="Example: holdfast snapshot data/train.csv")
def snapshot(
    source: Annotated[Path, typer.Argument(help="A file or a folder.")],
    as_json: AsJson = False,
) -> None:
    """Freeze data: the bytes go into the store and are named by their digest."""
    project, output = here(), Output(as_json=as_json)
    with output.progress(f"freezing {source.name}") as progress:
        frozen = freeze(project.store, source, root=project.settings.project, progress=progress)
    output.result(
        frozen.to_json(),
        [
            str(frozen.digest),
            f"{frozen.files} file(s), {bytes_text(frozen.bytes)}, of which {bytes_text(frozen.bytes_new)} new",
        ],
    )


@app.command(epilog="Example: holdfast checkout churn@4 ./churn-4")
def checkout(
    what: Annotated[str, typer.Argument(metavar="VERSION|DIGEST", help="A version, or a snapshot's digest.")],
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Write a version's bundle, or a snapshot's data, into a folder; every byte is verified on the way."""
    project = here()
    if what.startswith("sha256:"):
        digest = Digest.parse(what)
        tree = load_tree(project.store, digest)
        checkout_tree(project.store, tree, folder.absolute())
        files, size = len(tree.entries), sum(entry.size for entry in tree.entries)
    else:
        version = project.registry.resolve(Reference.parse(what))
        digest = version.digest
        manifest = checkout_bundle(project.store, digest, folder.absolute()).manifest
        files, size = len(manifest.files), sum(entry.size for entry in manifest.files)
    Output(as_json=as_json).result(
        {"digest": str(digest), "folder": str(folder), "files": files, "bytes": size},
        [f"{digest} in {folder}: {files} file(s), {bytes_text(size)}"],
    )

"""`import`: what other systems hold, brought here whole."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.bridges.from_mlflow import source_of
from holdfast.bridges.from_mlflow.bringing import bring
from holdfast.bridges.from_mlflow.target import Moved
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text, table
from holdfast.wire.moving import open_target

app = typer.Typer()
import_ = typer.Typer(help="Bring what other systems hold.", no_args_is_help=True)
app.add_typer(import_, name="import")

_SHOWN = 20
"""Things that stayed behind, told to a person; with `--json` all of them are."""


@import_.command("mlflow", epilog=epilog("import mlflow", "holdfast import mlflow http://127.0.0.1:5000"))
def mlflow(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A server's URL, its SQLite file, or a folder mlruns.")],
    files: Annotated[
        Path | None, typer.Option("--files", metavar="FOLDER", help="Where that server keeps mlflow-artifacts:/")
    ] = None,
    roots: Annotated[
        list[Path] | None,
        typer.Option("--files-root", metavar="FOLDER", help="Read files that lie in this folder too; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring experiments, runs, files, models and versions of an MLflow; again, and only what is new there comes."""
    project, output = here(), Output(as_json=as_json)
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    with source_of(uri, files, token, tuple(roots or ())) as source, output.progress("moving in") as progress:
        moved = bring(source, open_target(project), progress)
    output.result(moved.to_json(), _lines(moved))


@import_.callback()
def _import() -> None:
    """Bring what other systems hold."""


def _lines(moved: Moved) -> Iterator[str]:
    yield (
        f"brought {moved.runs} run(s) with {moved.points} value(s) of metrics, {moved.logged_models} logged model(s), "
        f"{moved.files} file(s) ({bytes_text(moved.bytes)}) of {moved.experiments} experiment(s)"
    )
    if moved.there:
        yield f"{moved.there} run(s) and logged model(s) were here already"
    if moved.versions:
        yield ""
        rows = [(f"{one.model}@{one.number}", one.name, ", ".join(one.missing) or "nothing") for one in moved.versions]
        yield from table(("version", "there", "missing"), rows)
        yield "how to add what is missing: holdfast show MODEL@NUMBER"
    if moved.left:
        yield ""
        yield f"{len(moved.left)} thing(s) stayed behind:"
        yield from (f"  {one.what}: {one.why}" for one in moved.left[:_SHOWN])
        if len(moved.left) > _SHOWN:
            yield f"  and {len(moved.left) - _SHOWN} more: --json lists all"

"""`export`: a version for systems of others: a container image's recipe, an OCI layout, manifests for KServe."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from holdfast.bridges.images import recipe, write_layout
from holdfast.bridges.kserve import Pinned, Wish, manifest
from holdfast.bridges.mlflow_line import MlflowLine
from holdfast.bridges.to_mlflow import write_back
from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, StageOption, here
from holdfast.cli.output import Output, table
from holdfast.config import VERSION
from holdfast.errors import AlreadyExists
from holdfast.names import ByNumber, Reference, StageName
from holdfast.runtime.materialise import materialise
from holdfast.store.disk import place, refusing
from holdfast.wire import Project
from holdfast.wire.moving import open_leaving

app = typer.Typer()
export = typer.Typer(help="Write a version in the formats of other systems.", no_args_is_help=True)
app.add_typer(export, name="export")

_VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="Such as churn@4.")]
_FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that does not exist yet.")]


@export.command("image", epilog=epilog("export image", "holdfast export image churn@4 ./image"))
def image(
    version: _VersionArgument,
    folder: _FolderArgument,
    base: Annotated[str, typer.Option("--base", help="Holdfast's own image.")] = f"holdfast:{VERSION}",
    as_json: AsJson = False,
) -> None:
    """Write a Dockerfile and the bundle beside it: an image that answers with this version and no other."""
    project = here()
    pinned = _pinned(project, version, None)
    with refusing(folder):
        if folder.exists():
            raise AlreadyExists(f"{folder} is there already", hint="Name a folder that does not exist yet.")
        folder.mkdir(parents=True)
        project.checkout(Reference.parse(version), (folder / "bundle").absolute())
        place(folder / "Dockerfile", 0o644, lambda sink: sink.write(recipe(pinned, base).encode()))
    value: JsonObject = {**_said(pinned), "folder": str(folder)}
    Output(as_json=as_json).result(value, [f"docker build -t {pinned.model}:{pinned.number} {folder}"])


@export.command("oci", epilog=epilog("export oci", "holdfast export oci churn@4 ./layout"))
def oci(version: _VersionArgument, folder: _FolderArgument, as_json: AsJson = False) -> None:
    """Write the bundle as an OCI image layout, with its files under /models; needs no builder of images."""
    project = here()
    pinned = _pinned(project, version, None)
    digest = write_layout(materialise(project.store, pinned.digest, project.settings.cache), pinned, folder)
    Output(as_json=as_json).result({**_said(pinned), "folder": str(folder), "image": digest}, [f"{digest} in {folder}"])


@export.command("mlflow", epilog=epilog("export mlflow", "holdfast export mlflow http://127.0.0.1:5000"))
def mlflow(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of an MLflow server that keeps its files itself.")],
    as_json: AsJson = False,
) -> None:
    """Write experiments, runs, files and versions of MLflow's clients to a server; again, and only what is new goes."""
    project, said = here(), Output(as_json=as_json)
    with MlflowLine(url, os.environ.get("MLFLOW_TRACKING_TOKEN")) as there, said.progress("moving out") as progress:
        written = write_back(open_leaving(project), there, progress)
    line = f"wrote {written.runs} runs, {written.logged_models} logged models and {written.versions} versions"
    rows = [(here_, number) for here_, number in written.numbers]
    said.result(written.to_json(), [f"{line}; {written.there} were there", *table(("version", "there"), rows)])


@export.command("kserve", epilog=epilog("export kserve", "holdfast export kserve churn@4 --image IMAGE@sha256:…"))
def kserve(
    version: _VersionArgument,
    stage: StageOption = "production",
    image: Annotated[str | None, typer.Option("--image", help="An image of this version, by its digest.")] = None,
    storage_uri: Annotated[
        str | None, typer.Option("--storage-uri", help="Where its bundle lies, under a name that holds its digest.")
    ] = None,
    runtime_image: Annotated[
        str | None, typer.Option("--runtime-image", help="Holdfast's image by digest: also write the runtime.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the InferenceService; the model's by default.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Of the InferenceService.")] = None,
    canary_percent: Annotated[
        int | None, typer.Option("--canary-percent", help="Give this version a share; what was there keeps the rest.")
    ] = None,
    replicas: Annotated[int, typer.Option("--replicas", min=1, help="At least so many.")] = 2,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; standard output by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write an InferenceService that is pinned to this version; `kubectl apply -f` takes it."""
    pinned, said = _pinned(here(), version, StageName(stage)), Output(as_json=as_json)
    wish = Wish(image, storage_uri, name, namespace, canary_percent, replicas)
    document = manifest(pinned, wish, runtime_image)
    text = json.dumps(document, indent=2)
    if output is None:
        said.result(document, text.splitlines())
        return
    place(output, 0o644, lambda sink: sink.write(f"{text}\n".encode()))
    said.result({**_said(pinned), "file": str(output)}, [f"kubectl apply -f {output}"])


def _pinned(project: Project, version: str, stage: StageName | None) -> Pinned:
    """The version by its number and digest, and where its stage would go back to when it left."""
    registry = project.registry
    found = registry.resolve(Reference.parse(version))
    good = None
    if stage is not None:
        held = registry.stage(found.model, stage)
        back = held.last_known_good if held.number == found.number else held.number
        good = None if back is None else registry.resolve(Reference(found.model, ByNumber(back))).digest
    return Pinned(found.model, found.number, found.digest, good)


def _said(pinned: Pinned) -> JsonObject:
    return {"model": str(pinned.model), "version": pinned.number, "digest": str(pinned.digest)}

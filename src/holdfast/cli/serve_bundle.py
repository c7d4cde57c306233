"""`serve-bundle`: one bundle from a folder, without a project and without a registry; what a container runs."""

import logging
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import INTERRUPTED, SUCCESS, epilog
from holdfast.cli.options import AsJson
from holdfast.cli.output import Output
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ByNumber, Reference, StageName
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import interpreter_for
from holdfast.serving.fixed import Fixed
from holdfast.serving.opening import Opened
from holdfast.serving.replica import Place, Replica
from holdfast.serving.source import Pointer
from holdfast.web.inference.app import replica_app
from holdfast.web.listening import address_of, listen
from holdfast.web.listening import serve as serve_app

app = typer.Typer()

_STAGE = StageName("bundle")
"""Where a stage is asked for and there is none."""


@app.command("serve-bundle", epilog=epilog("serve-bundle", "holdfast serve-bundle ./churn-4 --version churn@4"))
def serve_bundle(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A bundle, as `holdfast checkout` writes it.")],
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="Which one it is, such as churn@4.")],
    digest: Annotated[str | None, typer.Option("--digest", help="What its digest must be.")] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8081,
    cache: Annotated[Path | None, typer.Option("--cache", help="Where its environment is kept.")] = None,
    prepare: Annotated[bool, typer.Option("--prepare", help="Only build its environment, and end.")] = False,
    as_json: AsJson = False,
) -> int:
    """Answer predictions with one bundle in a folder: no project, no registry, and nothing that moves."""
    found, output = _bundle(folder, version, digest), Output(as_json=as_json)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    kept = cache or Path(os.environ.get("HOLDFAST_HOME", tempfile.gettempdir())) / "cache"
    if prepare:
        python = str(interpreter_for(found.files, kept).executable)
        output.result({**found.said, "python": python}, [f"{version} will run in {python}"])
        return SUCCESS
    listening = listen(host, port)
    url = address_of(listening)
    output.result({**found.said, "url": url, "pid": os.getpid()}, [f"{version} at {url}"])
    try:
        serve_app(replica_app(found.replica(url, kept)), listening)
    except KeyboardInterrupt:
        return INTERRUPTED  # the way to end it: everything was finished and closed before this arrives
    return SUCCESS


@dataclass(frozen=True, slots=True)
class _Found:
    """A bundle in a folder, and which version it is."""

    pointer: Pointer
    files: BundleFiles

    @property
    def said(self) -> JsonObject:
        """Which one, for programs."""
        return {
            "model": str(self.files.manifest.model),
            "version": self.pointer.number,
            "digest": str(self.pointer.digest),
        }

    def opened(self, cache: Path, digest: Digest) -> Opened:
        """The bundle again, as the worker will read it."""
        files = BundleFiles.open(self.files.root, expected=digest)
        return Opened(files, interpreter_for(files, cache))

    def replica(self, url: str, cache: Path) -> Replica:
        """What answers with it."""
        return Replica(
            Fixed(self.pointer),
            model=self.files.manifest.model,
            stage=_STAGE,
            opener=partial(self.opened, cache),
            place=Place(url),
            clock=partial(datetime.now, UTC),
            new_id=lambda: uuid4().hex,
        )


def _bundle(folder: Path, version: str, digest: str | None) -> _Found:
    """The bundle, and which version it is said to be.

    Raises:
        UsageError: it is another model's, or the version is not named by its number.
        IntegrityError: its digest is another one, or a file in it is not what the manifest names.
    """
    reference = Reference.parse(version)
    if not isinstance(reference.choice, ByNumber):
        raise UsageError(f"{version} is not a version's number", hint="Name it as churn@4.")
    files = BundleFiles.open(folder, expected=None if digest is None else Digest.parse(digest))
    if files.manifest.model != reference.model:
        raise UsageError(
            f"{folder} holds a bundle of {files.manifest.model}", hint=f"Name it: --version {files.manifest.model}@N"
        )
    # Nothing in the folder will be put right while this runs, so what is damaged is said now.
    files.verified()
    return _Found(Pointer(reference.choice.number, files.digest), files)

"""`init` and `inventory`: what is here, and a place for what is to come."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson
from holdfast.cli.output import Output
from holdfast.flow.inventory import inventory as take_inventory
from holdfast.wire import create_project

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The project's folder.")]


@app.command(epilog=epilog("init", "holdfast init"))
def init(
    folder: Folder = Path(),
    log_name: Annotated[
        str | None,
        typer.Option(
            "--log-name", metavar="NAME", help="Sign the audit log under this name, such as example.org/churn."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a project: .holdfast/ for names and bytes, holdfast.toml for policy."""
    settings = create_project(folder.absolute(), log_name)
    Output(as_json=as_json).result(
        {"home": str(settings.home), "policy": str(settings.policy_path)},
        [
            f"made {settings.home} (ignored by Git) and {settings.policy_path.name} (commit it)",
            "next: holdfast inventory",
        ],
    )


@app.command(epilog=epilog("inventory", "holdfast inventory"))
def inventory(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Look at a project as it stands: which of the five parts are there, and which gaps they have."""
    found = take_inventory(folder.absolute())
    Output(as_json=as_json).result(found.to_json(), found.lines())

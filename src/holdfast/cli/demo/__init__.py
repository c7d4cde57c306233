"""`demo`: the whole story on real data, with the real commands, in a folder that stays.

story.py     what is told, step by step
stage.py     running commands and showing them
projects.py  the two projects: breast cancer and digits
traffic.py   a steady stream of requests, counted
"""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.demo.projects import PROJECTS
from holdfast.cli.demo.stage import Stage, free_folder
from holdfast.cli.demo.story import tell
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson
from holdfast.cli.output import Output
from holdfast.errors import UsageError

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog=epilog("demo", "holdfast demo --data digits"))
def demo(
    data: Annotated[str, typer.Option("--data", help="breast-cancer or digits.")] = "breast-cancer",
    folder: Annotated[Path, typer.Option("--folder", help="Where to put it; a number is added when taken.")] = Path(
        "holdfast-demo"
    ),
    as_json: AsJson = False,
) -> None:
    """Tell the whole story on real data: capture, gate, a promotion under load, a rollback, the log."""
    if data not in PROJECTS:
        raise UsageError(f"there is no demo on {data!r}", hint=f"One of: {', '.join(PROJECTS)}")
    output = Output(as_json=as_json)
    told = tell(PROJECTS[data], Stage(free_folder(folder.absolute()), output))
    output.result(told.to_json(), told.lines())

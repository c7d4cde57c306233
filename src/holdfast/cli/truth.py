"""`truth`: bring what turned out to be right, by the ids of requests."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, ModelArgument, here
from holdfast.cli.output import Output
from holdfast.names import ModelName
from holdfast.serving.truths import batches

app = typer.Typer()


@app.command(epilog=epilog("truth", "holdfast truth churn outcomes.csv"))
def truth(
    model: ModelArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .jsonl file: request, value, place.")],
    as_json: AsJson = False,
) -> None:
    """Tell what was right for requests that were answered earlier; a canary is judged by it."""
    project, name = here(), ModelName(model)
    brought = index = 0
    for batch in batches(file):
        index = project.registry.put_truths(name, batch, project.actor)
        brought += len(batch)
    value = {"model": model, "truths": brought, "index": index}
    Output(as_json=as_json).result(value, [f"{brought} truths of {model} were brought"])

"""`search`: which versions, or which runs, are as somebody says."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, table
from holdfast.digest import hash_stream
from holdfast.errors import TooLarge, UsageError
from holdfast.names import ModelName
from holdfast.runtime.holding_files import snapshots_with
from holdfast.store.disk import refusing
from holdfast.tracking import RUNS_MAX
from holdfast.tracking.values import Run
from holdfast.wire import Project

app = typer.Typer()

_SNAPSHOTS_MAX = 120
"""In one filter: they fit a URL, and the list that a search may hold."""


@app.command(epilog=epilog("search", "holdfast search 'metrics.recall > 0.9 and package.numpy = 1.26.0 and live'"))
def search(
    query: Annotated[str, typer.Argument(metavar="FILTER", help="Such as: metrics.recall > 0.9 and live")] = "",
    model: Annotated[str | None, typer.Option("--model", help="Versions of one model; all by default.")] = None,
    order_by: Annotated[str, typer.Option("--order-by", help="Such as: metrics.recall desc; newest by default.")] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most so many.")] = 20,
    after: Annotated[str | None, typer.Option("--after", help="The next page: what the last one ended with.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Versions whose bundle holds this very file.")] = None,
    *,
    in_data: Annotated[bool, typer.Option("--in-data", help="With --file: or whose snapshots hold it.")] = False,
    runs: Annotated[bool, typer.Option("--runs", help="Search the runs instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search the versions by metrics, params, packages, data, files, stages and more; or the runs."""
    project, output = here(), Output(as_json=as_json)
    if runs:
        _require_alone(model=model, after=after, file=file)
        found_runs = project.tracking.search(query, order_by=order_by, limit=limit)
        output.result({"runs": [run.to_json() for run in found_runs]}, _run_rows(found_runs))
        if len(found_runs) == limit < RUNS_MAX and not as_json:
            output.talk(f"there may be more: add --limit {min(2 * limit, RUNS_MAX)}")
        return
    name = None if model is None else ModelName(model)
    text = query if file is None else _with_file(project, output, query, file, in_data=in_data)
    found = project.registry.search(text, model=name, order_by=order_by, limit=limit, after=after).to_json()
    output.result(found, _version_rows(found, order_by))
    _tell(output, found)


def _require_alone(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--{name} is for versions, and --runs asks for runs", hint="Leave one of the two out.")


def _with_file(project: Project, output: Output, query: str, path: Path, *, in_data: bool) -> str:
    """The filter, and the file too."""
    with refusing(path), path.open("rb") as stream:
        digest, _ = hash_stream(stream)
    holds = f"file = '{digest}'"
    if in_data:
        with output.progress("looking through snapshots") as progress:
            found = snapshots_with(digest, project.registry.named_snapshots(), project.store, progress)
        if found.absent:
            output.talk(f"{len(found.absent)} snapshot(s) are not here, and were not looked into: {found.absent[0]} …")
        if len(found.snapshots) > _SNAPSHOTS_MAX:
            raise TooLarge(
                f"{len(found.snapshots)} snapshots hold {path.name}, and a search takes {_SNAPSHOTS_MAX}",
                hint="Leave --in-data out.",
                limit=_SNAPSHOTS_MAX,
            )
        if found.snapshots:
            holds += f" or data in ({', '.join(map(str, found.snapshots))})"
    return f"({query}) and ({holds})" if query.strip() else holds


def _version_rows(found: JsonObject, order_by: str) -> Iterator[str]:
    if not found["versions"]:
        yield "no version fits"
        return
    words = order_by.split()
    sorted_by = words[0] if words and words[0] != "created" else ""
    yield from table(
        ("version", "stages", "complete", sorted_by or "metric", "registered", "by", "digest"),
        (
            (
                f"{row['model']}@{row['version']}",
                ", ".join(row["stages"]),
                "yes" if row["complete"] else f"no: {', '.join(row['missing'])}",
                _shown(row["value"]) if sorted_by else _metric(row["summary"]),
                row["created_at"][:19].replace("T", " "),
                row["created_by"],
                row["digest"][:19],
            )
            for row in found["versions"]
        ),
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _metric(summary: JsonObject) -> str:
    name = summary.get("primary")
    value = None if name is None else summary["metrics"].get(name)
    return "" if value is None else f"{name} {value:.4f}"


def _tell(output: Output, found: JsonObject) -> None:
    """What the table does not say."""
    if found["next"] is not None and not output.as_json:
        output.talk(f"there are more: add --after {found['next']}")
    for one in found["unknown"]:
        near = f"; there is {' and '.join(one['nearest'])}" if one["nearest"] else ""
        output.talk(f"no version has {one['field']}{near}")
    if found["not_indexed"]:
        output.talk(
            f"{found['not_indexed']} version(s) are from before there was an index, and were searched by their names "
            "alone; write down what they are with: holdfast check --structure"
        )
    if found["in_part"]:
        output.talk(f"{found['in_part']} version(s) have more facts than are written down")


def _run_rows(runs: Sequence[Run]) -> Iterator[str]:
    if not runs:
        yield "no run fits"
        return
    grouped = any(run.experiment for run in runs)  # by MLflow's clients, which not everybody has
    yield from table(
        ("run", *(["experiment"] if grouped else []), "model", "name", "status", "started", "metrics", "params"),
        (
            (
                run.id[:12],
                *([run.experiment or ""] if grouped else []),
                run.model,
                run.name,
                run.status,
                run.to_json()["started_at"][:19].replace("T", " "),
                ", ".join(f"{name}={value:g}" for name, value in list(run.metrics.items())[:4]),
                ", ".join(f"{name}={value}" for name, value in list(run.params.items())[:4]),
            )
            for run in runs
        ),
    )

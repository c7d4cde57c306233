"""`shadow`: send a version copies of the requests that another one answers, and say how they compare."""

from collections.abc import Iterator
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AnyColumn, AsJson, Reason, StageOption, here
from holdfast.cli.output import Output
from holdfast.errors import UsageError
from holdfast.flow.shadow.beginning import Shadow, begin, counted, end, last
from holdfast.flow.shadow.plan import Plan
from holdfast.flow.shadow.report import lines, markdown, report
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.rollouts import Rollout
from holdfast.wire import Project

app = typer.Typer()

Sample = Annotated[str, typer.Option("--sample", help="The share of the requests that are copied.")]
By = Annotated[str | None, typer.Option("--by", help="Columns to tell requests apart by: plan,region.")]
Requests = Annotated[int, typer.Option("--requests", min=1, help="How many are to be compared.")]
Tolerance = Annotated[float, typer.Option("--tolerance", min=0.0, help="Up to which difference numbers agree.")]


@app.command(epilog=epilog("shadow", "holdfast shadow churn@5 --stage production --by plan --requests 1000"))
def shadow(
    target: Annotated[str, typer.Argument(metavar="MODEL[@VERSION]", help="churn@5 begins; churn reports.")],
    stage: StageOption = "production",
    sample: Sample = "100%",
    by: By = None,
    any_column: AnyColumn = False,
    requests: Requests = 1_000,
    tolerance: Tolerance = 1e-6,
    stop: Annotated[bool, typer.Option("--stop", help="End the one that goes on.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the report as Markdown.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Send a version copies of a stage's requests, off the path of the answers, and report how its answers compare."""
    project, output = here(), Output(as_json=as_json)
    if "@" in target or target.startswith("models:"):
        _refuse_mixed(stop=stop, as_markdown=as_markdown)
        columns = tuple(name.strip() for name in (by or "").split(",") if name.strip())
        plan = Plan(_share(sample), requests, columns, tolerance)
        asked = Shadow(Reference.parse(target), StageName(stage), plan, project.actor, reason, any_column)
        begun = begin(asked, project.registry, project.store)
        output.result(begun.to_json(), _begun(begun, plan))
        return
    said = _report(project, ModelName(target), StageName(stage), reason if stop else None)
    output.result(said, (markdown if as_markdown else lines)(said))


def _report(project: Project, model: ModelName, stage: StageName, ending: str | None) -> JsonObject:
    """The report of the newest shadow, which is ended first where a reason says why."""
    if ending is None:
        found = last(model, stage, project.registry)
    else:
        found = end(model, stage, project.registry, actor=project.actor, reason=ending)
    return report(found, counted(found, project.registry))


def _refuse_mixed(*, stop: bool, as_markdown: bool) -> None:
    if stop or as_markdown:
        raise UsageError(
            "a shadow is begun by a version, and ended and reported by its model",
            hint="Name the model alone: holdfast shadow churn --stop",
        )


def _share(text: str) -> float:
    """`25%`, or `0.25`."""
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        return float(number) / (100.0 if percent else 1.0)
    except ValueError as error:
        raise UsageError(f"--sample {text!r} is no share", hint="Write it as 25% or 0.25.") from error


def _begun(begun: Rollout, plan: Plan) -> Iterator[str]:
    yield f"{begun.model}@{begun.number} is in the shadow of @{begun.against} at {begun.stage} (event {begun.event})"
    yield f"  {plan.sample:.0%} of the requests, {plan.requests} are wanted; replicas begin within a second or two"
    yield f"  see how it compares: holdfast shadow {begun.model} --stage {begun.stage}"
    yield f'  end it: holdfast shadow {begun.model} --stage {begun.stage} --stop --reason "..."'

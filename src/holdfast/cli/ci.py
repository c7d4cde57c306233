"""`ci`: the question that a build asks, and the answer where build servers look for it."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AllRules, AsJson, here
from holdfast.cli.rendered import Form, FormOption, OutputFile, append_to, exit_of, present, require_folders, write_to
from holdfast.errors import UsageError
from holdfast.flow.gate import GateRequest
from holdfast.flow.gate.build import parts_of, version_of_run, whole_and_passing
from holdfast.flow.gate.rendering import Report, junit, markdown
from holdfast.names import Reference, StageName
from holdfast.wire import Project

app = typer.Typer()


@app.command(epilog=epilog("ci", "holdfast ci churn@4 --to production --junit gate.xml"))
def ci(
    reference: Annotated[str | None, typer.Argument(metavar="VERSION", help="churn@4, or churn@candidate.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="The version that this run registered.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Ask this stage's gate too; else only for the parts.")] = None,
    all_rules: AllRules = False,
    form: FormOption = Form.TEXT,
    output: OutputFile = None,
    summary: Annotated[
        Path | None,
        typer.Option("--summary", metavar="FILE", envvar="GITHUB_STEP_SUMMARY", help="Add the Markdown to this file."),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there: a rule is a test case.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Fail a build whose version lacks a part or does not pass its gate; moves nothing."""
    require_folders(output, summary, junit_file)
    project = here()
    report = _asked(project, _wanted(project, reference, run), to, all_rules=all_rules)
    if summary is not None:
        append_to(summary, markdown(report))
    if junit_file is not None:
        write_to(junit_file, junit(report))
    present(report, report.to_json(), form, output, as_json=as_json)
    return exit_of(report, precise=True)


def _wanted(project: Project, reference: str | None, run: str | None) -> Reference:
    if (reference is None) == (run is None):
        raise UsageError("name a version, or a run with --run", hint="For instance: holdfast ci churn@candidate")
    return Reference.parse(reference) if reference is not None else version_of_run(str(run), project.registry)


def _asked(project: Project, reference: Reference, to: str | None, *, all_rules: bool) -> Report:
    if to is None:
        return parts_of(project.registry.resolve(reference), project.workbench)
    request = GateRequest(reference, StageName(to), project.actor, project.policy, all_rules=all_rules)
    return whole_and_passing(request, project.workbench, project.registry)

"""`gate`: may a version have a stage? And the verdicts that were kept: shown, and computed again."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, epilog
from holdfast.cli.options import AllRules, AsJson, ReferenceArgument, To, here
from holdfast.cli.output import Output
from holdfast.cli.rendered import Form, FormOption, OutputFile, exit_of, present, require_folders
from holdfast.flow.gate import GateRequest
from holdfast.flow.gate import gate as ask
from holdfast.flow.gate.kept import verdict_named
from holdfast.flow.gate.rendering import Report
from holdfast.flow.gate.replay import Replayed, ReplayedAnswers, ReplayedRule, ReplayedWhole, Standing
from holdfast.flow.gate.replay import replay as compute_again
from holdfast.names import Reference, StageName

_JUDGE = "judge"

_CHANGED_SHOWN_MAX = 5
"""Numbers named on one line; --json has all of them."""

_ROWS_SHOWN_MAX = 10
"""Rows named on one line; --json has a hundred."""


class _WithDefault(typer.core.TyperGroup):
    """A group whose first command may go without its name: a version always has an `@`, and no command has."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name there where it was left out."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = [_JUDGE, *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer()
gate = typer.Typer(
    cls=_WithDefault,
    help="Ask whether a version may have a stage: holdfast gate churn@4 --to production. And look at earlier verdicts.",
    epilog="Each command shows its exit codes with -h: holdfast gate judge -h",
)
app.add_typer(gate, name="gate")

Named = Annotated[
    str,
    typer.Argument(metavar="VERDICT", help="Its digest or how that begins; or churn@4, for the last one with --to."),
]


@gate.command(_JUDGE, epilog=epilog("gate judge", "holdfast gate judge churn@4 --to production"))
def judge(
    reference: ReferenceArgument,
    to: To = "production",
    all_rules: AllRules = False,
    form: FormOption = Form.TEXT,
    output: OutputFile = None,
    as_json: AsJson = False,
) -> int:
    """Ask whether a version may have a stage; moves nothing. The word `judge` may be left out."""
    require_folders(output)
    project = here()
    wanted = Reference.parse(reference)
    request = GateRequest(wanted, StageName(to), project.actor, project.policy, all_rules=all_rules)
    verdict = ask(request, project.workbench, project.registry)
    report = Report.of(project.registry.verdict(verdict.digest))
    present(report, verdict.to_json(), form, output, as_json=as_json)
    return exit_of(report)


@gate.command(epilog=epilog("gate show", "holdfast gate show 3f9a2c --format html --output verdict.html"))
def show(
    verdict: Named,
    to: To = "production",
    form: FormOption = Form.TEXT,
    output: OutputFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a verdict as it was kept."""
    report = Report.of(verdict_named(verdict, StageName(to), here().registry))
    present(report, report.to_json(), form, output, as_json=as_json)


@gate.command(epilog=epilog("gate replay", "holdfast gate replay 3f9a2c"))
def replay(
    verdict: Named,
    to: To = "production",
    time: Annotated[bool, typer.Option("--time", help="Time single rows anew, instead of judging kept times.")] = False,
    as_json: AsJson = False,
) -> int:
    """Compute a verdict again: the same bundles, rows, policy and seeds; says rule by rule whether it holds."""
    project = here()
    kept = verdict_named(verdict, StageName(to), project.registry)
    replayed = compute_again(kept.digest, project.workbench, project.registry, timed=time)
    Output(as_json=as_json).result(replayed.to_json(), _replayed(replayed))
    return _EXITS[replayed.standing]


_EXITS = {
    Standing.HOLDS: SUCCESS,
    Standing.DIFFERS: EXIT_CODES["replay_differs"],
    Standing.OPEN: EXIT_CODES["gate_inconclusive"],
}


def _replayed(found: Replayed) -> Iterator[str]:
    yield f"{found.standing}: the verdict on {found.report.title} was {found.report.outcome}"
    yield f"  {found.whole.standing:<8} outcome: {_come_to(found.whole)}"
    for rule in found.rules:
        yield f"  {rule.standing:<8} {rule.rule}: {_then_and_now(rule)}"
    for answers in found.answers:
        yield f"  {answers.who}: {_told(answers)}"
    for trouble in found.evidence:
        yield f"  kept evidence: {trouble}"


def _come_to(whole: ReplayedWhole) -> str:
    if whole.now is None:
        return f"{whole.then} then; not computed again, for a rule was not"
    said = f"{whole.now}, as then" if str(whole.now) == whole.then else f"{whole.then} then, {whole.now} now"
    return said if not whole.changed else f"{said}; said otherwise then: {_first(whole.changed)}"


def _first(places: Sequence[str]) -> str:
    return ", ".join(places[:_CHANGED_SHOWN_MAX]) + (", …" if len(places) > _CHANGED_SHOWN_MAX else "")


def _then_and_now(rule: ReplayedRule) -> str:
    if rule.now is None:
        return f"{rule.then} then; not computed again: {rule.sentence}"
    if rule.then is not rule.now:
        return f"{rule.then} then, {rule.now} now: {rule.sentence}"
    if not rule.changed:
        return f"{rule.now}, in every number"
    return f"{rule.now}; other numbers: {_first(rule.changed)}"


def _told(answers: ReplayedAnswers) -> str:
    if answers.same is None:
        return f"not asked again: {answers.trouble}"
    if answers.same:
        return "answers every row as it did"
    if answers.rows is None:
        return f"answers otherwise; which rows cannot be told: {answers.trouble}"
    if answers.rows == 0:
        return "answers every row as it did; what it says of its classes is other"
    more = ", …" if answers.rows > _ROWS_SHOWN_MAX else ""
    return f"answers {answers.rows} rows otherwise: {', '.join(map(str, answers.named[:_ROWS_SHOWN_MAX]))}{more}"

"""`run`: an unchanged training script, captured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import plain
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text
from holdfast.errors import HoldfastError
from holdfast.flow.bundle.origin import keep_capture
from holdfast.flow.capture import Capture, parse_arguments, redact_argv, run_command
from holdfast.names import ModelName
from holdfast.tracking.values import NewRun, Run, RunStatus
from holdfast.wire import Project

app = typer.Typer()

_NOTES_CHARACTERS_MAX = 1000
"""What a person reads of one run; the capture itself holds the rest."""


@app.command(
    epilog=epilog("run", "holdfast run --model churn -- python train.py --lr 0.1")
    + " Once the command has run, its own exit code is ours.",
    context_settings={"allow_interspersed_args": False},
)
def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="The command, after two dashes.")],
    model: Annotated[str | None, typer.Option("--model", help="The model that it trains.")] = None,
    name: Annotated[str, typer.Option("--name", help="What people call this run.")] = "",
    seed: Annotated[int | None, typer.Option("--seed", help="Set in Python, NumPy and PyTorch as they load.")] = None,
    as_json: AsJson = False,
) -> int:
    """Run a command and capture it: code, data files, environment, seeds, arguments. Its exit code is ours.

    Standard output is the command's own, and what was captured is told on standard error; with --json it is the other
    way round.
    """
    project, output = here(), Output(as_json=as_json)
    new = NewRun(name or _name(redact_argv(command)), None if model is None else ModelName(model))
    started = project.tracking.start_run(new, project.actor)
    output.flush()
    capture = _captured(project, started.id, command, seed=seed, aside=as_json)
    finished, notes = _keep(project, started.id, capture)
    value = {**finished.to_json(), "exit_code": capture.exit_code, "notes": [*capture.notes, *notes]}
    output.report(value, _lines(finished, capture, notes))
    return capture.exit_code or 0


def _captured(project: Project, run_id: str, command: list[str], *, seed: int | None, aside: bool) -> Capture:
    try:
        return run_command(command, folder=Path.cwd(), run=run_id, seed=seed, output_aside=aside)
    except HoldfastError as error:
        project.tracking.finish_run(run_id, RunStatus.FAILED, notes=error.message)
        raise


def _name(command: Sequence[str]) -> str:
    """The script's name, or the program's where there is no script."""
    scripts = [word for word in command if word.endswith((".py", ".ipynb", ".sh"))]
    return Path((scripts or list(command))[0]).name


def _keep(project: Project, run_id: str, capture: Capture) -> tuple[Run, tuple[str, ...]]:
    """What the command left behind, put into its run; what the script logged itself comes first."""
    tracking = project.tracking
    status = RunStatus.FINISHED if capture.exit_code == 0 else RunStatus.FAILED
    if capture.killed_by is not None:
        status = RunStatus.KILLED
    try:
        notes = keep_capture(capture, run_id, project.store, tracking, project.settings.project)
        logged = tracking.run(run_id).params
        argued = {key: value for key, value in parse_arguments(capture.argv).items() if key not in logged}
        tracking.log_params(run_id, plain(argued))
    except HoldfastError as error:
        # The command itself has run; that it was not captured whole is told by the error and stays on the run.
        tracking.finish_run(run_id, status, notes=f"not captured whole: {error.message}"[:_NOTES_CHARACTERS_MAX])
        raise
    return tracking.finish_run(run_id, status, notes="; ".join(notes)[:_NOTES_CHARACTERS_MAX] or None), notes


def _lines(run: Run, capture: Capture, notes: tuple[str, ...]) -> list[str]:
    code = capture.code
    where = f"{(code.commit or 'no commit')[:12]}{' with uncommitted changes' if code.dirty else ''}"
    lines = [
        f"run {run.id}  {run.status}  {capture.wall_seconds:.1f} s",
        f"  code         {where if code.state == 'git' else code.reason}",
        f"  environment  python {capture.interpreter.get('version', '?')}, {len(capture.used)} distributions used",
        f"  params       {', '.join(f'{k}={v}' for k, v in run.params.items()) or 'none'}",
        f"  seeds        {', '.join(f'{c.name}={c.value}' for c in capture.seeds.calls) or 'none were set'}",
    ]
    lines += [f"  data         {item.role} {item.name}, {bytes_text(item.bytes or 0)}" for item in run.inputs]
    lines += [f"  note         {note}" for note in (*capture.notes, *notes)]
    return lines

"""Presenting a verdict in the format that was asked for, on standard output or into a file."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS
from holdfast.cli.output import Output
from holdfast.errors import ApprovalRequired, GateRefused, Incomplete, NotFound
from holdfast.flow.gate import Outcome
from holdfast.flow.gate.rendering import Report, markdown, page, text
from holdfast.store.disk import refusing

__all__ = ["Form", "FormOption", "OutputFile", "append_to", "exit_of", "present", "require_folders", "write_to"]


class Form(StrEnum):
    """What a verdict is written as."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


FormOption = Annotated[Form, typer.Option("--format", help="What to write it as.")]
OutputFile = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write it there; the text is still printed.")
]

_WHOLE: dict[Form, Callable[[Report], str]] = {Form.MARKDOWN: markdown, Form.HTML: page}


def present(report: Report, value: JsonObject, form: Form, output: Path | None, *, as_json: bool) -> None:
    """Print the verdict, or write it into a file and print the text.

    Args:
        report: the verdict.
        value: what JSON says of it.
        form: what it is written as.
        output: the file.
        as_json: whether standard output is to be JSON, whatever the file is.

    Raises:
        NoSpace, PermissionRefused, NotFound: the file could not be written.
    """
    printed = Output(as_json=as_json or (form is Form.JSON and output is None))
    if output is not None:
        write_to(output, _written(report, value, form))
    elif form in _WHOLE and not as_json:
        printed.data([_WHOLE[form](report).encode()])
        return
    printed.result(value, text(report))


def _written(report: Report, value: JsonObject, form: Form) -> str:
    if form is Form.JSON:
        return f"{Output.written(value)}\n"
    return _WHOLE[form](report) if form in _WHOLE else "".join(f"{line}\n" for line in text(report))


def require_folders(*files: Path | None) -> None:
    """Whether files can be there at all, looked at before a gate takes its time.

    Raises:
        NotFound: a folder that one of them would be in does not exist.
    """
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise NotFound(f"there is no folder {file.parent} to write {file.name} into", hint="Make it, or mend it.")


def write_to(path: Path, said: str) -> None:
    """Make the file what is said.

    Raises:
        NoSpace, PermissionRefused, NotFound: it could not be written.
    """
    with refusing(path):
        path.write_text(said, encoding="utf-8")


def append_to(path: Path, said: str) -> None:
    """Add to the file what is said: a build has one summary, and each of its steps adds to it.

    Raises:
        NoSpace, PermissionRefused, NotFound: it could not be written.
    """
    with refusing(path), path.open("a", encoding="utf-8") as handle:
        handle.write(said)


def exit_of(report: Report, *, precise: bool = False) -> int:
    """The exit code for an outcome; `precise` tells apart why a build fails.

    A part that is missing and an approval that nobody gave yet are then ends of their own: a build may want to go on
    behind the second.
    """
    wrong = [one for one in report.findings if one.outcome is not Outcome.PASS and not report.let_through(one)]
    if precise and any(finding.rule == "completeness" and finding.outcome is Outcome.FAIL for finding in wrong):
        return EXIT_CODES[Incomplete.code]
    if precise and report.outcome != Outcome.PASS and wrong and all(finding.rule == "approver" for finding in wrong):
        return EXIT_CODES[ApprovalRequired.code]
    ends = {Outcome.PASS: SUCCESS, Outcome.FAIL: EXIT_CODES[GateRefused.code]}
    return ends.get(Outcome(report.outcome), EXIT_CODES["gate_inconclusive"])

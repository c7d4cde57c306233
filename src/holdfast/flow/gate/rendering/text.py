"""A verdict as lines for a terminal."""

from collections.abc import Iterator

from holdfast.flow.gate.rendering.harmless import lines, one_line
from holdfast.flow.gate.rendering.report import Report

__all__ = ["text"]

_WIDTH = 13
"""Of the longest outcome, and a space."""


def text(report: Report) -> Iterator[str]:
    """The outcome, a line for each finding with what to do about it, said once, and the name of the verdict."""
    said = set[str]()
    yield f"{one_line(report.said)}: {one_line(report.title)}"
    for finding in report.findings:
        yield f"  {finding.outcome:<{_WIDTH}} {one_line(finding.rule)}: {one_line(finding.sentence, 10_000)}"
        let_through = report.let_through(finding)
        if let_through:
            yield f"  {'':<{_WIDTH}} {one_line(let_through)}"
        elif finding.hint and finding.hint not in said:
            said.add(finding.hint)
            yield from (f"  {'':<{_WIDTH}} {line}" for line in lines(finding.hint, 10_000))
    for group in report.groups:
        yield f"  {one_line(group.get('outcome')):<{_WIDTH}} one of: {one_line(', '.join(map(str, group['rules'])))}"
    if report.digest is not None:
        yield f"  verdict {report.digest}"

"""A verdict as a comment on a pull request: the outcome first, one table, and everything else folded away."""

from collections.abc import Iterable, Iterator

from holdfast.canonical import JsonObject
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rendering.harmless import beginning_markdown, in_markdown, lines
from holdfast.flow.gate.rendering.report import Report

__all__ = ["CHARACTERS_MAX", "MARKER", "markdown"]

MARKER = "<!-- holdfast gate -->"
"""The first line: a workflow finds its own comment by it, and writes it anew instead of one more."""

CHARACTERS_MAX = 60_000
"""GitHub takes comments of 65,536 characters; what folds away is left out where all of it would be longer."""

_SENTENCE_CHARACTERS_MAX = 600
"""A sentence of a finding names five groups at most; the page and the JSON have what is cut."""

_RULES_CHARACTERS_MAX = 400
"""Names of rules that want the same: all that there are, and some of a project's own."""

_PART_CHARACTERS_MAX = CHARACTERS_MAX // 3
"""What is found, what to do, and what folds away share the comment; twenty rules need a tenth of it."""

_ESTIMATES_MAX = 40
"""A metric, some guards, and the least well off groups."""

_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️", "skipped": "⚠️"}

_LET_THROUGH = "⚪"
"""Of a rule that did not pass, where a waiver or its group lets the version through all the same."""


def markdown(report: Report) -> str:
    """All of it, never longer than a comment may be."""
    said = "\n".join([MARKER, *_head(report), *_table(report), *_groups(report), *_to_do(report), ""])
    for block in (_estimates(report), _bounds(report), _rests_on(report)):
        folded = "\n".join(block)
        if len(said) + len(folded) < CHARACTERS_MAX:
            said += folded
    return said


def _head(report: Report) -> Iterator[str]:
    sign = _SIGNS.get(report.outcome, "")
    yield f"### {sign} {in_markdown(report.said)}: {in_markdown(report.title)}"
    yield ""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts().items())
    compared = "" if report.against is None else f" Compared with version {report.against}"
    rows = f" on {report.rows:,} frozen rows" if report.rows and compared else ""
    yield f"{len(report.findings)} rules: {counts}.{compared}{rows}{'.' if compared else ''}"
    yield ""


def _table(report: Report) -> Iterator[str]:
    yield "| | rule | what was found |"
    yield "|---|---|---|"
    rows = [
        f"| {_sign(report, finding)} {report.ended(finding)} | {in_markdown(finding.rule, 100)} "
        f"| {in_markdown(_found(report, finding), _SENTENCE_CHARACTERS_MAX)} |"
        for finding in report.findings
    ]
    fitting = list(_fitting(rows))
    yield from fitting
    if len(fitting) < len(rows):
        yield f"| | | and {len(rows) - len(fitting)} more |"


def _sign(report: Report, finding: Finding) -> str:
    return _LET_THROUGH if report.let_through(finding) else _SIGNS[finding.outcome]


def _found(report: Report, finding: Finding) -> str:
    let_through = report.let_through(finding)
    return f"{finding.sentence}; {let_through}" if let_through else finding.sentence


def _groups(report: Report) -> Iterator[str]:
    """The groups of rules of which one is enough."""
    if not report.groups:
        return
    yield ""
    yield "**One of these is enough**"
    yield ""
    yield from _fitting(
        f"- {_SIGNS.get(str(one.get('outcome')), '')} {beginning_markdown(one.get('outcome'), 100)}: "
        f"{in_markdown(', '.join(map(str, one['rules'])), _SENTENCE_CHARACTERS_MAX)}"
        for one in report.groups
    )


def _to_do(report: Report) -> Iterator[str]:
    wanted: dict[str, list[str]] = {}
    for one in report.findings:
        if one.outcome is not Outcome.PASS and one.hint and not report.let_through(one):
            wanted.setdefault(one.hint, []).append(one.rule)
    if not wanted:
        return
    yield ""
    yield "**What to do**"
    yield ""
    yield from _fitting(
        f"- {beginning_markdown(', '.join(rules), _RULES_CHARACTERS_MAX)}: "
        f"{in_markdown(line, _SENTENCE_CHARACTERS_MAX)}"
        for hint, rules in wanted.items()
        for line in lines(hint)
    )


def _fitting(lines: Iterable[str]) -> Iterator[str]:
    """As many of the lines as a part of the comment has room for."""
    left = _PART_CHARACTERS_MAX
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return
        yield line


def _estimates(report: Report) -> Iterator[str]:
    found = report.estimates
    if not found:
        return
    yield from _opened(f"{len(found)} estimates, with their intervals")
    yield "| rule | of | estimate | interval | allowed loss | rows | method |"
    yield "|---|---|--:|---|--:|--:|---|"
    for one in sorted(found, key=_urgency)[:_ESTIMATES_MAX]:
        yield _row(
            one.get("rule"),
            one.get("name"),
            _number(one.get("value")),
            f"{_number(one.get('low'))} to {_number(one.get('high'))}",
            "" if one.get("margin") is None else _number(one.get("margin"), signed=False),
            one.get("rows"),
            one.get("method"),
        )
    yield from _closed()


def _bounds(report: Report) -> Iterator[str]:
    found = report.bounds
    if not found:
        return
    yield from _opened(f"{len(found)} measurements, with their intervals")
    yield "| rule | of | value | interval | allowed |"
    yield "|---|---|--:|---|--:|"
    for one in found[:_ESTIMATES_MAX]:
        low, high = _number(one.low, signed=False), _number(one.high, signed=False)
        most = "" if one.most is None else _number(one.most, signed=False)
        yield _row(one.rule, one.name, _number(one.value, signed=False), f"{low} to {high}", most)
    yield from _closed()


def _urgency(one: JsonObject) -> tuple[bool, float]:
    """What stands on top: comparisons of everything, and then the groups with the least certain gains."""
    low = one.get("low")
    return one.get("rule") == "groups", float(low) if isinstance(low, int | float) else float("-inf")


def _rests_on(report: Report) -> Iterator[str]:
    if report.digest is None:
        return
    yield from _opened("What it rests on")
    yield "| | |"
    yield "|---|---|"
    yield _row("verdict", report.digest)
    for name, said in _inputs(report):
        yield _row(name, said)
    yield ""
    yield f"Compute it again with `holdfast gate replay {report.digest[:19]}`."
    yield from _closed()


def _inputs(report: Report) -> Iterator[tuple[str, str]]:
    inputs = report.table("inputs")
    for who in ("candidate", "baseline"):
        found = report.table("inputs", who)
        if found:
            yield who, f"version {found.get('version')}, {found.get('digest')}"
    for name in ("holdout", "outputs", "baseline_outputs"):
        if inputs.get(name):
            yield name.replace("_", " "), str(inputs[name])
    for name in ("asked_by", "holdfast"):
        if report.body.get(name):
            yield name.replace("_", " "), str(report.body[name])


def _opened(summary: str) -> Iterable[str]:
    return ("", f"<details><summary>{summary}</summary>", "")


def _closed() -> Iterable[str]:
    return ("", "</details>", "")


def _row(*cells: object) -> str:
    return f"| {' | '.join(in_markdown('' if cell is None else cell, 200) for cell in cells)} |"


def _number(value: object, *, signed: bool = True) -> str:
    if not isinstance(value, int | float):
        return "not known"
    return f"{value:+.4g}" if signed else f"{value:.4g}"

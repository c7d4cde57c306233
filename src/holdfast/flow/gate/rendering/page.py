"""A verdict as one HTML file: no script, nothing from the network, and a policy in it that says so to the browser."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from holdfast.canonical import JsonObject
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rendering.charts import distribution, forest, number, strip
from holdfast.flow.gate.rendering.harmless import lines
from holdfast.flow.gate.rendering.markup import Child, element, written
from holdfast.flow.gate.rendering.report import Report
from holdfast.flow.gate.rendering.style import STYLE

__all__ = ["page"]

_GROUPS = "groups"
"""The rule whose estimates are drawn under one another, on one axis."""

_OUTCOMES = frozenset({*Outcome, "skipped"})
"""What has a colour; any other word is somebody's, and names no class."""

_DEPTH_MAX = 4
"""A policy nests two deep; what nests deeper is shown as it stands."""


def page(report: Report) -> str:
    """The whole document."""
    body = element(
        "main",
        _header(report),
        element("h2", "What was found"),
        _findings(report),
        *_any_of(report),
        *_comparisons(report),
        *_groups(report),
        *_latency(report),
        *_bounds(report),
        *_rests_on(report),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{report.outcome}: {report.title}"),
    )
    style = Element("style")
    style.text = STYLE
    head.append(style)
    return f"<!DOCTYPE html>\n{written(element('html', head, element('body', body), lang='en'))}\n"


def _policy() -> str:
    """Nothing may be loaded or run; the one style is named by its digest (Content Security Policy Level 3)."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _header(report: Report) -> Element:
    against = "" if report.against is None else f", compared with version {report.against}"
    rows = f" on {report.rows:,} frozen rows" if report.rows else ""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts().items())
    said = [report.body.get("asked_by"), report.created_at]
    asked = ", ".join(str(one) for one in said if one)
    return element(
        "header",
        element("p", "Verdict of the gate", class_="soft"),
        element("h1", _word(report.outcome, report.said), f" {report.title}"),
        element("p", f"{len(report.findings)} rules: {counts or 'none was asked'}{against}{rows}."),
        element("p", f"Asked by {asked}", class_="soft") if asked else None,
        class_=report.outcome if report.outcome in _OUTCOMES else None,
    )


def _word(outcome: str, said: str = "") -> Element:
    return element("span", said or outcome, class_=f"word {outcome}" if outcome in _OUTCOMES else "word")


def _findings(report: Report) -> Element:
    rows = [
        element(
            "tr",
            element("td", *_ended(report, finding)),
            element("td", finding.rule, class_="rule"),
            element("td", finding.sentence, *_beside(report.let_through(finding) or finding.hint)),
        )
        for finding in report.findings
    ]
    return _table(("outcome", "rule", "what was found"), rows)


def _ended(report: Report, finding: Finding) -> Iterator[Element]:
    """How it ended; what keeps nobody from the stage is not coloured as if it did, and says why in a word."""
    said, _, why = report.ended(finding).partition(", ")
    yield element("span", said, class_="word") if why else _word(said)
    if why:
        yield element("p", why, class_="soft")


def _any_of(report: Report) -> Iterator[Element]:
    """The groups of rules of which one is enough."""
    if not report.groups:
        return
    yield element("h2", "One of these is enough")
    rows = [
        element(
            "tr",
            element("td", _word(str(one.get("outcome")))),
            element("td", ", ".join(map(str, one["rules"]))),
        )
        for one in report.groups
    ]
    yield _table(("outcome", "rules"), rows)


def _beside(said: str) -> Iterator[Element]:
    return (element("p", line, class_="soft") for line in lines(said) if said)


def _table(heads: tuple[str, ...], rows: list[Element], *, figures: frozenset[str] = frozenset()) -> Element:
    head = element(
        "tr", *(element("th", one, scope="col", class_="figure" if one in figures else None) for one in heads)
    )
    return element(
        "div", element("table", element("thead", head), element("tbody", *rows)), class_="card wide", tabindex="0"
    )


def _comparisons(report: Report) -> Iterator[Element]:
    found = [one for one in report.estimates if one.get("rule") != _GROUPS]
    if not found:
        return
    yield element("h2", "Estimates, and the loss that is allowed")
    for place, one in enumerate(found):
        method = f"{one.get('method')}, {one.get('rows')} rows" + (
            "" if one.get("p") is None else f", p {number(one['p'], signed=False)}"
        )
        said = f"{number(one.get('value'))}, between {number(one.get('low'))} and {number(one.get('high'))} · {method}"
        yield element(
            "figure",
            element("h3", _called(one)),
            strip(one, f"gain-{place}"),
            element("figcaption", said),
            class_="card",
        )


def _called(one: JsonObject) -> str:
    """What was estimated; what is no gain says what it is, for then more is not better."""
    kind = str(one.get("kind", "")).replace("_", " ")
    return f"{one.get('rule')}: {one.get('name')}" + ("" if kind in {"", "estimate", "gain"} else f", {kind}")


def _groups(report: Report) -> Iterator[Element]:
    found = [one for one in report.estimates if one.get("rule") == _GROUPS]
    if not found:
        return
    yield element("h2", "Groups")
    said = "Right of zero the candidate is better. On the shaded side lies a loss that is not allowed."
    yield element("figure", forest(found, "groups"), element("figcaption", said), class_="card")
    heads = ("group", "rows", "gain", "from", "to")
    rows = [
        element(
            "tr",
            element("td", str(one.get("name"))),
            *(
                element("td", said, class_="figure")
                for said in (str(one.get("rows")), *(number(one.get(key)) for key in ("value", "low", "high")))
            ),
        )
        for one in found
    ]
    yield element(
        "details",
        element("summary", f"{len(found)} groups in figures"),
        _table(heads, rows, figures=frozenset(heads[1:])),
    )


def _latency(report: Report) -> Iterator[Element]:
    times = {who: sorted(found) for who, found in report.latencies_ms.items()}
    if not times:
        return
    legend: list[Child] = []
    if "candidate" in times:
        legend = [element("span", class_="key"), f"version {report.version}, {len(times['candidate'])} calls"]
    if "baseline" in times:
        against = f"version {report.against}, {len(times['baseline'])} calls"
        legend += [" · ", element("span", class_="key old"), against]
    yield element("h2", "Time for one row")
    yield element(
        "figure",
        distribution(times, report.budget_ms, "latency"),
        element("figcaption", *legend),
        class_="card",
    )


def _bounds(report: Report) -> Iterator[Element]:
    """Numbers that have bounds of their own, such as percentiles of times."""
    found = report.bounds
    if not found:
        return
    heads = ("rule", "of", "value", "from", "to", "allowed")
    rows = [
        element(
            "tr",
            element("td", one.rule),
            element("td", one.name),
            *(element("td", number(said, signed=False), class_="figure") for said in (one.value, one.low, one.high)),
            element("td", None if one.most is None else number(one.most, signed=False), class_="figure"),
        )
        for one in found
    ]
    yield element("h2", "Measurements, and what is allowed")
    yield _table(heads, rows, figures=frozenset(heads[2:]))


def _rests_on(report: Report) -> Iterator[Element]:
    if report.digest is None:
        return
    again = element("p", "Compute it again with ", element("code", f"holdfast gate replay {report.digest[:19]}"))
    pairs: list[Child] = [element("dt", "verdict"), element("dd", element("code", report.digest))]
    inputs, environments = report.table("inputs"), report.table("environments")
    for name, value in (("holdout", inputs.get("holdout")), *report.table("data").items()):
        pairs += _pairs(name.replace("_", " "), value, 0)
    pairs += _pairs("judged with", environments.get("gate"), 0)
    pairs += _pairs("seeds", report.table("seeds"), 0)
    pairs += _pairs("holdfast", report.body.get("holdfast"), 0)
    yield element("h2", "What it rests on")
    yield _sides(report)
    yield element("div", element("dl", *pairs), _asked(report.table("policy")), again, class_="card")


def _sides(report: Report) -> Element:
    """Both versions beside each other, by digest."""
    sides = [who for who in ("candidate", "baseline") if report.table("inputs", who)]
    found: dict[str, dict[str, Any]] = {}
    for who in sides:
        answers, environment = report.table("answers", who), report.table("environments", who)
        outputs = report.table("inputs").get("outputs" if who == "candidate" else "baseline_outputs")
        found[who] = {
            "digest": report.table("inputs", who).get("digest"),
            "answers": outputs,
            "root over the rows": answers.get("root"),
            "digests of the rows": answers.get("row_digests"),
            "python": environment.get("python"),
            "lock": environment.get("lock"),
        }
    heads = ("", *(f"version {report.table('inputs', who).get('version')}" for who in sides))
    rows = [
        element("tr", element("th", name, scope="row"), *(element("td", _code(found[who][name])) for who in sides))
        for name in next(iter(found.values()), {})
        if any(found[who][name] is not None for who in sides)
    ]
    return _table(heads, rows)


def _code(value: object) -> Child:
    return None if value is None else element("code", str(value))


def _pairs(name: str, value: Any, depth: int) -> Iterator[Child]:
    if isinstance(value, Mapping) and depth < _DEPTH_MAX:
        for key, inner in value.items():
            yield from _pairs(f"{name}, {str(key).replace('_', ' ')}", inner, depth + 1)
    elif value is not None and value not in ([], {}):
        said = ", ".join(map(_written, value)) if isinstance(value, list) else _written(value)
        yield element("dt", name)
        yield element("dd", element("code", said))


def _written(value: Any) -> str:
    """A word as it is, and anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _asked(policy: Mapping[str, Any]) -> Element | None:
    pairs = [pair for key, value in sorted(policy.items()) for pair in _pairs(str(key), value, 1)]
    return element("details", element("summary", "What policy asked"), element("dl", *pairs)) if pairs else None

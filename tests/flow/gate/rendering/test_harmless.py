"""Whatever a verdict says, it says as words: nobody's data writes into a comment, a page or a report of a build."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rendering import Report, junit, markdown, page, text
from holdfast.flow.gate.rendering.markdown import CHARACTERS_MAX
from tests.flow.gate.exhibits import exhibit

WORDS = st.lists(
    st.sampled_from(
        [
            *("|", "`", "<", ">", "&", "*", "_", "[x](http://h)", "![x](y)", "\n", "\r\n", "\n\n# head", "\n| a | b |"),
            *(
                "</details>",
                "<script>x()</script>",
                "-->",
                "<!--",
                "&lt;",
                "\\",
                "\\|",
                "~~",
                "$x$",
                "@ana",
                "#12",
                "www.h.org",
            ),
            *(
                "</td></tr>",
                '" onload="x()',
                "'",
                "</style>",
                "</title>",
                "\u202e",
                "\u2028",
                "\x00",
                "\x1b[31m",
                "]]>",
            ),
            *("http://h.org", "ana@h.org", "plan=basic", "7", "- item", "GH-1", "\ud800", "1. x", "    code", "{", "}"),
        ]
    ),
    max_size=6,
).map("".join) | st.text(max_size=40)

OUTCOMES = st.sampled_from(list(Outcome))


def estimate(rule: str, name: str) -> dict[str, object]:
    return {
        "rule": rule,
        "name": name,
        "value": 0.01,
        "low": -0.02,
        "high": 0.04,
        "confidence": 0.9,
        "method": name,
        "rows": 100,
        "p": 0.3,
        "margin": 0.05,
        "harm_margin": None,
        "outcome": "pass",
    }


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """A verdict in which everything that can be words is somebody's words."""
    finding = st.builds(Finding, WORDS, OUTCOMES, WORDS, WORDS)
    found = tuple(draw(st.lists(finding, min_size=1, max_size=4)))
    names = draw(st.lists(WORDS, max_size=3))
    body = {
        "asked_by": draw(WORDS),
        "holdfast": draw(WORDS),
        "inputs": {"candidate": {"version": draw(WORDS), "digest": draw(WORDS)}, "holdout": draw(WORDS), "rows": 100},
        "data": {draw(WORDS): [draw(WORDS)]},
        "policy": {draw(WORDS): draw(WORDS), "latency_ms_p95_max": 10},
        "estimates": [estimate(rule, name) for name in names for rule in ("not_worse", "groups")],
        "latencies_ms": {"candidate": [1.0, 2.0], "baseline": [3.0]},
        "any_of": [{"rules": [name, draw(WORDS)], "outcome": draw(WORDS)} for name in names],
    }
    digest = f"sha256:{'ab' * 32}"
    return Report(draw(WORDS), 4, draw(WORDS), 3, draw(OUTCOMES), found, digest, "2026-03-01T09:00:00Z", body)


class Tags(HTMLParser):
    """Every tag with its attributes, and whether they close in order."""

    VOID = frozenset({"meta", "br", "hr", "img", "input", "link"})

    def __init__(self, said: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(said)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(sorted(name for name, _ in attrs))))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def lines_in(hint: str) -> list[str]:
    """Those that say something: a hint may be a list of things to do."""
    return [line for line in hint.split("\n") if line.strip()] or [hint]


def tame(report: Report) -> Report:
    """The same verdict with nothing but letters where it had words."""

    def calm(value: object) -> object:
        match value:
            case str():
                return "word" if value else ""
            case list():
                return [calm(one) for one in value]
            case dict():
                return {key if key in KNOWN else calm(key): calm(one) for key, one in value.items()}
        return value

    def said(text: str) -> str:
        return "word" if text else ""

    # Two rules that want the same share a line, so what was different stays so.
    hints = {
        hint: "\n".join(f"word{'s' * place}" for _ in lines_in(hint))
        for place, hint in enumerate(dict.fromkeys(one.hint for one in report.findings))
    }
    findings = tuple(
        replace(one, rule=said(one.rule), sentence=said(one.sentence), hint=one.hint and hints[one.hint])
        for one in report.findings
    )
    body = {key: calm(value) for key, value in report.body.items()}
    return replace(report, model="word", stage="word", findings=findings, body=body)


KNOWN = {
    *("candidate", "baseline", "version", "digest", "holdout", "rows", "latency_ms_p95_max"),
    *("rule", "name", "value", "low", "high", "confidence", "method", "p", "margin", "harm_margin", "outcome"),
    "rules",
}

ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2", "h3", "span", "div"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary", "dl", "dt", "dd"),
    *("code", "svg", "desc", "line", "rect", "circle", "text", "path"),
}
ALLOWED_ATTRIBUTES = {
    *("charset", "http-equiv", "content", "name", "lang", "class", "scope", "tabindex", "id", "viewbox", "role"),
    *("aria-labelledby", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "width", "height", "fill"),
    "text-anchor",
}


@given(reports())
def test_no_words_become_a_tag_or_an_attribute_of_the_page(report: Report) -> None:
    said = Tags(page(report))
    assert said.open == []
    assert {tag for tag, _ in said.found} <= ALLOWED_TAGS
    assert {name for _, names in said.found for name in names} <= ALLOWED_ATTRIBUTES


@given(reports())
def test_the_page_needs_no_network_and_says_so_to_the_browser(report: Report) -> None:
    said = page(report)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', said)
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"<(script|link|img|iframe|object|a)\b|\bstyle=|@import|url\(", said)


def tokens(said: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(said):
        yield token
        yield from token.children or ()


MARKUP = {"link_open", "image", "em_open", "strong_open", "s_open", "code_inline", "html_inline", "hardbreak", "fence"}


def markup(said: str) -> list[tuple[str, str]]:
    """What Markdown makes of it, without the words."""
    return [
        (token.type, token.content if token.type in {"html_block", "code_inline"} else "")
        for token in tokens(said)
        if token.type not in {"text", "inline", "text_special", "softbreak"}
    ]


@given(reports())
def test_no_words_become_markup_of_a_comment(report: Report) -> None:
    said = markdown(report)
    assert markup(said) == markup(markdown(tame(report)))
    assert {kind for kind, _ in markup(said)} & MARKUP <= {"strong_open", "code_inline"}


@pytest.mark.parametrize("name", ["1. x", "2) x", "- x", "+ x", "    x", "=", "---"])
def test_the_name_of_a_rule_begins_nothing(name: str) -> None:
    found = Finding(name, Outcome.FAIL, "worse", "Look at it.")
    said = markdown(Report("churn", 4, "production", None, "fail", (found,)))
    calm = markdown(Report("churn", 4, "production", None, "fail", (replace(found, rule="word"),)))
    assert markup(said) == markup(calm)


@given(reports())
def test_no_words_call_anybody_or_point_anywhere(report: Report) -> None:
    for block in tokens(markdown(report)):
        words = "".join(one.content for one in block.children or () if one.type in {"text", "text_special"})
        assert not re.search(r"(?<![A-Za-z0-9])@[A-Za-z0-9]|[#!][0-9]|[A-Za-z]://|\bwww\.", words)


@given(reports())
def test_a_build_server_reads_one_test_case_for_each_rule(report: Report) -> None:
    suites = ET.fromstring(junit(report).encode())  # noqa: S314 - our own, a line above
    cases = suites.findall("testsuite/testcase")
    assert len(cases) == len(report.findings) == int(suites.attrib["tests"])
    kinds = [None if (failure := case.find("failure")) is None else failure.attrib["type"] for case in cases]
    assert kinds == [None if one.outcome is Outcome.PASS else str(one.outcome) for one in report.findings]


@given(reports())
def test_a_terminal_gets_one_line_for_each_sentence_and_no_command(report: Report) -> None:
    lines = list(text(report))
    wanted = sum(len(lines_in(hint)) for hint in {one.hint for one in report.findings if one.hint})
    assert len(lines) == 2 + len(report.findings) + wanted + len(report.groups)
    assert not re.search(r"[\x00-\x1f\x7f\u202e\u2028]", "".join(lines))


@pytest.mark.thorough
def test_a_comment_is_never_longer_than_a_forge_takes() -> None:
    found = Finding("r" * 1_000, Outcome.FAIL, "|" * 100_000, "#" * 100_000)
    estimates = [estimate("groups", "<" * 10_000) for _ in range(1_000)]
    report = replace(Report.of(exhibit("gate-1.1")), findings=(found,) * 500, body={"estimates": estimates})
    assert len(markdown(report)) <= CHARACTERS_MAX


@pytest.mark.parametrize("name", ["gate-1.0", "gate-1.1"])
def test_a_picture_says_in_words_what_it_shows(name: str) -> None:
    said = page(Report.of(exhibit(name)))
    pictures = re.findall(r"<svg.*?</svg>", said, re.DOTALL)
    assert len(pictures) == (3 if name == "gate-1.1" else 2)  # times were not kept before 1.1
    for picture in pictures:
        assert re.search(r"<title[^>]*>\S.*?</title><desc[^>]*>\S.*?</desc>", picture)
    ids = re.findall(r'\bid="([^"]+)"', said)
    assert len(ids) == len(set(ids))


def test_a_list_of_things_to_do_is_a_list_wherever_it_is_read() -> None:
    found = Finding("completeness", Outcome.FAIL, "missing: code, card", "code: git commit\n\ncard: write one")
    report = Report("churn", 1, "production", None, Outcome.FAIL, (found,))
    assert list(text(report))[2:] == [f"  {'':<13} code: git commit", f"  {'':<13} card: write one"]
    assert "- completeness: code: git commit\n- completeness: card: write one\n" in markdown(report)
    assert '<p class="soft">code: git commit</p><p class="soft">card: write one</p>' in page(report)
    assert "\ncode: git commit\ncard: write one</failure>" in junit(report)
    endless = replace(found, hint="\n".join(["a line"] * 1_000))
    assert len(list(text(replace(report, findings=(endless,))))) < 20

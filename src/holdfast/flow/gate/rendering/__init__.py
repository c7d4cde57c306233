r"""A verdict for people: as text, as Markdown, as one HTML page, and as JUnit XML; and as JSON for programs.

    report = Report.of(registry.verdict(digest))
    "\n".join(text(report))        what `holdfast gate` prints
    markdown(report)               a comment on a pull request
    page(report)                   one file that needs no network and no script
    junit(report)                  what build servers show beside their tests

    report.py        a kept verdict, of any format there was, as the renderings see it
    harmless.py      words from outside that stay words
    charts.py        intervals, groups and latencies as SVG

Pure functions: a kept verdict is all they need, so that a verdict of last year looks as it did. Whatever a verdict says
may have been written by anybody (names of groups stand in somebody's data), so nothing of it is ever markup.
"""

from holdfast.flow.gate.rendering.junit import junit
from holdfast.flow.gate.rendering.markdown import markdown
from holdfast.flow.gate.rendering.page import page
from holdfast.flow.gate.rendering.report import Report
from holdfast.flow.gate.rendering.text import text

__all__ = ["Report", "junit", "markdown", "page", "text"]

"""Words from outside that stay words: one line, nothing invisible, nothing that turns the direction of writing."""

import re
import unicodedata

__all__ = ["beginning_markdown", "in_markdown", "lines", "one_line"]

_JOINERS = "\u200c\u200d"
"""Invisible, and needed to write Persian, Hindi and many signs; they turn and hide nothing."""

_UNSEEN = "\ufffd"

_MARKS = re.compile(r"([\\`*_\[\]|~$!#(){}^])")
"""What begins or ends something in Markdown, in tables and formulas of GitHub and GitLab too."""

_BEGINNING = re.compile(r"([0-9]*)([-+=.])")
"""What makes a list, a rule or a heading of a line, or of an item of a list, that it stands first in."""

_LINES_MAX = 16
"""Of one hint: a version has eleven things that it may lack. A verdict that somebody else wrote fills no screen."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

_REFERENCE = re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9])|[#!%~&$](?=[A-Za-z0-9])|(?=://)|\bwww(?=\.)|\bGH-(?=[0-9])")
"""What forges turn into a link, or into a message to somebody."""

_WORD_JOINER = "\u2060"
"""Is not seen, and parts what stands before it from what stands behind it."""


def one_line(value: object, characters_max: int = 2_000) -> str:
    """The value as one line that shows everything in it; what is longer is cut, and says so.

    Line ends, control characters and those that turn the direction of writing (Unicode UTS 39 and TR 36 call them
    dangerous in names) become visible.
    """
    text = str(value)
    cut = text[:characters_max]
    shown = "".join(_shown(sign) for sign in cut)
    return shown if len(text) <= characters_max else f"{shown}… ({len(text)} characters)"


def lines(value: object, characters_max: int = 2_000) -> list[str]:
    """A text of several lines, such as a hint: `_LINES_MAX` at most that are not empty, each as `one_line` has it."""
    found = [line for line in str(value).split("\n") if line.strip()] or [str(value)]
    return [one_line(line, characters_max) for line in found[:_LINES_MAX]]


def _shown(sign: str) -> str:
    if sign in "\t\n\r":
        return " "
    unseen = unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and sign not in _JOINERS
    return _UNSEEN if unseen else sign


def in_markdown(value: object, characters_max: int = 2_000) -> str:
    """The value where Markdown stands, also in the cell of a table: no markup, no link, and no message to anybody."""
    shown = one_line(value, characters_max)
    shown = _REFERENCE.sub(lambda found: found[0] + _WORD_JOINER, shown)
    escaped = _MARKS.sub(r"\\\1", shown)
    return "".join(_ENTITIES.get(sign, sign) for sign in escaped)


def beginning_markdown(value: object, characters_max: int = 2_000) -> str:
    """The value where it stands first in a line, or in an item of a list: it begins no list and no code either."""
    said = in_markdown(value, characters_max).lstrip()
    return said if _BEGINNING.match(said) is None else _BEGINNING.sub(r"\1\\\2", said, count=1)

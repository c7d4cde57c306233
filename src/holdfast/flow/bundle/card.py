"""The model card: what the bundle knows about itself, and what only people can say.

Whoever registers a version may give the card as Markdown. What the bundle knows stands in two sections of their own,
which are written anew for each version, so that a card that was begun with another version's tells no old numbers.
Without a card a stub is written, with the questions that only people can answer. `sections_of` reads a card back.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from holdfast.errors import TooLarge, UsageError
from holdfast.evidence import Evidence, Metrics
from holdfast.names import ModelName
from holdfast.parts import DataSlice, EvalThreshold, Hyperparameters, Missing, Part, Parts, PreprocessingCode, Weights
from holdfast.store.disk import refusing

__all__ = ["CARD_BYTES_MAX", "CARD_SECTIONS", "card_text", "is_filled", "read_card", "section_named", "sections_of"]

CARD_BYTES_MAX = 1024 * 1024
"""A card is read by people: a megabyte is a book. Pictures and tables of that size belong beside the model."""

CARD_SECTIONS = ("Intended use", "Limits", "Data", "How well it does", "Contact")
"""What a complete card says, unless policy asks for something else."""

_IS, _MEASURED = "What this version is", "How well it does"
_NOT_MEASURED = "Not measured:"

_QUESTIONS: Mapping[str, str] = {
    "Intended use": "Who decides what with these predictions, and what must not be decided with them?",
    "Limits": "On which rows is it known to be wrong, and where has nobody looked?",
    "Data": "Where does the data come from, who is in it, and who is not?",
    "Fairness": "Which groups were compared, and what was found?",
    "Contact": "Who answers for this model, and who is asked at night?",
}

_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|\Z)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_NOTHING_SAID = {"", "tbd", "tba", "n/a", "to be done", "to be written", "unknown"}
"""What people write where they mean to write something."""


def card_text(model: ModelName, parts: Parts, evidence: Evidence, given: str | None = None) -> str:
    """The card as Markdown. It holds no dates and no digest of its own, so that equal versions have equal cards.

    Args:
        model: the model's name.
        parts: what the version is made of.
        evidence: what was measured.
        given: what people wrote; all of it stays as it is but what it holds under the headings of these facts.
    """
    facts = {
        _IS: [f"- {name}: {_sentence(part)}" for name, part in parts.by_name().items()],
        _MEASURED: _metrics(evidence.metrics),
    }
    if given is not None:
        own = _without(given, facts).rstrip("\n")
        return "\n".join([own, "", *(_section(title, lines) for title, lines in facts.items())])
    questions = {title: [f"*{question}*"] for title, question in _QUESTIONS.items()}
    return "\n".join([f"# {model}", "", *(_section(title, lines) for title, lines in {**facts, **questions}.items())])


def read_card(path: Path) -> str:
    """What people wrote, from a Markdown file.

    Raises:
        NotFound, PermissionRefused: the file cannot be read.
        TooLarge: it is longer than `CARD_BYTES_MAX`.
        UsageError: it is not UTF-8.
    """
    with refusing(path), path.open("rb") as file:
        data = file.read(CARD_BYTES_MAX + 1)
    if len(data) > CARD_BYTES_MAX:
        raise TooLarge(
            f"the card {path.name} is longer than {CARD_BYTES_MAX} bytes",
            hint="Write a shorter one, and name there where the rest stands.",
            limit=CARD_BYTES_MAX,
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the card {path.name} is not UTF-8: {error.reason}", hint="Save it as UTF-8.") from error


def sections_of(card: str) -> dict[str, str]:
    """The text under each heading of a card, by heading; what stands under its smaller headings is part of it.

    Headings are those of CommonMark, by `#` or by underlines; within fenced code there are none.
    """
    lines = card.splitlines()
    heads = list(_headings(lines))
    found: dict[str, list[str]] = {}
    for place, (level, title, _, begin) in enumerate(heads):
        later = (heads[other][2] for other in range(place + 1, len(heads)) if heads[other][0] <= level)
        found.setdefault(title, []).extend(lines[begin : next(later, len(lines))])
    return {title: "\n".join(text) for title, text in found.items()}


def _without(card: str, titles: Collection[str]) -> str:
    """The card without these sections."""
    lines, plain = card.splitlines(), {_plain(title) for title in titles}
    heads = list(_headings(lines))
    kept, inside = lines[: heads[0][2] if heads else len(lines)], 0
    for place, (level, title, first, _) in enumerate(heads):
        end = heads[place + 1][2] if place + 1 < len(heads) else len(lines)
        inside = inside if inside and level > inside else (level if _plain(title) in plain else 0)
        kept += [] if inside else lines[first:end]
    return "\n".join(kept)


def _headings(lines: list[str]) -> Iterator[tuple[int, str, int, int]]:
    """The level and title of each heading, the line that it begins on, and the one after it."""
    fence = ""
    for place, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark is not None and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        if fence or mark is not None:
            continue
        above = lines[place - 1] if place else ""
        if head := _HEADING.match(line):
            yield len(head[1]), _closed(line[head.end() :].strip()), place, place + 1
        elif (under := _UNDERLINE.match(line)) and above.strip() and not _HEADING.match(above):
            yield 1 if under[1].startswith("=") else 2, above.strip(), place - 1, place + 1


def _closed(title: str) -> str:
    """The title without the `#` that may close it."""
    shorter = title.rstrip("#")
    return shorter.strip() if shorter[-1:] in {"", " ", "\t"} else title


def section_named(sections: Mapping[str, str], name: str) -> str | None:
    """The text of the section of this name, in whatever case and marks it is written; None when there is none."""
    return next((text for title, text in sections.items() if _plain(title) == _plain(name)), None)


def is_filled(name: str, text: str) -> bool:
    """Whether a section says something: more than nothing, than the stub's own question, and than "to be done"."""
    said = _plain(" ".join(line for line in _uncommented(text).splitlines() if not _HEADING.match(line)))
    question = next((asked for title, asked in _QUESTIONS.items() if _plain(title) == _plain(name)), "")
    return said not in _NOTHING_SAID and said != _plain(question) and not said.startswith(_plain(_NOT_MEASURED))


def _uncommented(text: str) -> str:
    """The text without what stands in HTML comments."""
    kept, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin)) >= 0:
        kept.append(text[at:begin])
        at = end + 3
    return "".join([*kept, text[at:]])


def _plain(text: str) -> str:
    """The words alone: lower case, one blank between them, without the marks of Markdown around them."""
    return " ".join(text.split()).strip("*_#`: .?…-").lower()


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", *lines, ""])


def _metrics(metrics: Metrics | Missing) -> list[str]:
    if isinstance(metrics, Missing):
        return [f"{_NOT_MEASURED} {metrics.why}."]
    cut = "" if metrics.threshold is None else f", at the threshold {metrics.threshold:g}"
    head = f"On {metrics.rows} frozen rows{cut}; judged by {metrics.primary}."
    return [head, "", *(f"- {name}: {value:.4f}" for name, value in sorted(metrics.values.items()))]


def _sentence(part: Part | Missing) -> str:
    match part:
        case Missing(why=why):
            return f"missing: {why}"
        case Weights(model_class=kind, format=written, base=base):
            delta = "" if base is None else f", an adapter on {base} ({base.digest}), whose weights are in the bundle"
            return f"{kind}, written as {written}{delta}"
        case DataSlice(inputs=inputs):
            return "; ".join(f"{item.role} {item.name} ({item.bytes} bytes, {item.digest})" for item in inputs)
        case PreprocessingCode(kind=kind, entry_point=entry, files=files):
            return entry or f"{kind}, {len(files)} files"
        case Hyperparameters(values=values):
            return f"{len(values)} values"
        case EvalThreshold(rule=rule, value=value):
            return rule if value is None else f"{rule} at {value:g}"

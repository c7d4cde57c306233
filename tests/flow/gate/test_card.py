"""`card`: the model card says what people have to know, in words of its own."""

from dataclasses import replace

from holdfast.evidence import Card
from holdfast.flow.bundle.card import CARD_SECTIONS, card_text
from holdfast.flow.gate.card import card
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Outcome
from holdfast.names import RelativePath
from tests.flow.gate.cases import CHURN, case, manifest

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

STUB = card_text(CHURN, manifest().parts, manifest().evidence)
WHOLE = "\n".join(f"## {name}\n\nThe team of ana says so.\n" for name in CARD_SECTIONS)


def with_card(text: str | None, *sections: str) -> Case:
    found = case(card_sections=sections or CARD_SECTIONS)
    # Any file of the bundle does: the rule looks at the text.
    held = manifest(card=Card(RelativePath("code/features.py")))
    return replace(found, manifest=held, card=text)


def test_a_card_that_fills_every_section_passes() -> None:
    assert card(with_card(WHOLE)).outcome is PASS


def test_the_stub_fails_with_the_sections_that_only_people_can_write() -> None:
    finding = card(with_card(STUB))
    assert finding.outcome is FAIL
    assert finding.sentence == "the model card says nothing under: Intended use, Limits, Data, Contact"
    assert finding.hint.endswith("--card CARD.md")


def test_what_lacks_and_what_is_empty_are_told_apart() -> None:
    text = "# churn\n\nIntended Use\n------------\nWho to call first.\n\n### Limits ###\n\n<!-- later -->\nTBD.\n"
    finding = card(with_card(text, "Intended use", "limits", "Contact"))
    assert finding.sentence == "the model card lacks: Contact; and says nothing under: limits"
    assert finding.values == {
        "asked": ["Intended use", "limits", "Contact"],
        "lacking": ["Contact"],
        "empty": ["limits"],
    }


def test_a_section_that_speaks_under_smaller_headings_is_not_empty() -> None:
    assert (
        card(with_card("## Data\n\n### Source\n\nThe ledger.\n\n## Contact\n\nana\n", "Data", "Contact")).outcome
        is PASS
    )
    assert card(with_card("## Data\n\n### Source\n\n## Contact\n\nana\n", "Data")).outcome is FAIL


def test_headings_in_code_are_none() -> None:
    assert card(with_card("```\n## Data\nrows\n```\n", "Data")).sentence == "the model card lacks: Data"


def test_a_version_without_a_card_fails_and_a_damaged_one_decides_nothing() -> None:
    assert "made by hand" in card(case()).sentence
    assert card(case()).outcome is FAIL
    assert card(with_card(None)).outcome is FAIL
    assert card(replace(with_card(WHOLE), damage=("CARD.md: damaged",))).outcome is INCONCLUSIVE

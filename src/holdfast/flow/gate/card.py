"""Step 7: the model card says what people have to know before they rely on the model.

A section counts when it says something of its own: the stub's questions, comments and "to be done" do not. What it says
is for people to judge.
"""

from collections.abc import Mapping

from holdfast.canonical import Json
from holdfast.flow.bundle.card import CARD_BYTES_MAX, is_filled, section_named, sections_of
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.parts import Missing

__all__ = ["card"]

_RULE = "card"


def card(case: Case) -> Finding:
    """Compare the card's sections with those that policy asks for."""
    asked, model = case.policy.card_sections, case.candidate.model
    if case.manifest is None or case.damage:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            "not decided: the bundle is damaged",
            "Mend what the other findings name first.",
        )
    held = case.manifest.evidence.card
    if isinstance(held, Missing) or case.card is None:
        large = f"it could not be read, or is longer than {CARD_BYTES_MAX} bytes"
        return Finding(
            _RULE,
            Outcome.FAIL,
            f"the version has no model card: {held.why if isinstance(held, Missing) else large}",
            f"Write one, and register again: holdfast register {model} … --card CARD.md",
        )
    sections = sections_of(case.card)
    found = {name: section_named(sections, name) for name in asked}
    lacking = [name for name, text in found.items() if text is None]
    empty = [name for name, text in found.items() if text is not None and not is_filled(name, text)]
    values: Mapping[str, Json] = {"asked": list(asked), "lacking": lacking, "empty": empty}
    if not lacking and not empty:
        return Finding(_RULE, Outcome.PASS, f"the model card fills {len(asked)} sections", "", values)
    said = [
        f"{what}: {', '.join(names)}" for what, names in (("lacks", lacking), ("says nothing under", empty)) if names
    ]
    return Finding(
        _RULE,
        Outcome.FAIL,
        f"the model card {'; and '.join(said)}",
        f"Begin with the CARD.md of the bundle, answer its questions, and register again: holdfast register {model} … "
        "--card CARD.md",
        values,
    )

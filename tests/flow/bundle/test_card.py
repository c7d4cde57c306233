"""The model card: the stub, and what people wrote."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.flow.bundle.card import CARD_BYTES_MAX, card_text, is_filled, read_card, sections_of
from tests.laws.samples import complete, incomplete


def test_a_card_says_what_the_version_is_and_asks_what_only_people_know() -> None:
    manifest = complete()
    card = card_text(manifest.model, manifest.parts, manifest.evidence)
    assert card.startswith("# churn\n")
    for said in (
        "weights: sklearn.linear_model.LogisticRegression, written as joblib",
        "train train.csv (4096 bytes, sha256:1111",
        "preprocessing_code: features:featurise",
        "hyperparameters: 6 values",
        "eval_threshold: cut_off at 0.42",
        "On 228 frozen rows, at the threshold 0.42; judged by recall.",
        "- recall: 0.7500",
        "## Limits",
        "## Fairness",
    ):
        assert said in card


def test_what_is_missing_is_said_to_be() -> None:
    manifest = incomplete()
    card = card_text(manifest.model, manifest.parts, manifest.evidence)
    assert "eval_threshold: missing: the eval_threshold was not given" in card
    assert "Not measured: the metrics was not given." in card


def test_equal_versions_have_equal_cards() -> None:
    manifest = complete()
    first = card_text(manifest.model, manifest.parts, manifest.evidence)
    assert first == card_text(manifest.model, manifest.parts, replace(manifest.evidence))


def test_what_people_wrote_stays_and_the_numbers_of_another_version_do_not() -> None:
    manifest = complete()
    written = (
        "---\nlicense: mit\n---\n# Churn, by ana\n\nFor the retention team.\n\n## How well it does\n\n- recall: 0.1\n\n"
        "### By plan\n\nold\n\n## Limits\n\nNobody under 18.\n"
    )
    card = card_text(manifest.model, manifest.parts, manifest.evidence, written)
    sections = sections_of(card)
    assert card.startswith("---\nlicense: mit\n---\n# Churn, by ana\n\nFor the retention team.\n")
    assert sections["Limits"].strip() == "Nobody under 18."
    assert "- recall: 0.7500" in sections["How well it does"]
    assert "0.1\n" not in card
    assert "By plan" not in card
    assert "train train.csv" in sections["What this version is"]
    assert card_text(manifest.model, manifest.parts, manifest.evidence, card) == card


@given(st.text(alphabet="#=-`ab \n<!>", max_size=200))
def test_any_text_is_a_card_whose_sections_can_be_read(text: str) -> None:
    manifest = complete()
    card = card_text(manifest.model, manifest.parts, manifest.evidence, text)
    assert all(isinstance(is_filled(title, said), bool) for title, said in sections_of(card).items())


def test_a_card_that_is_a_book_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CARD.md"
    path.write_bytes(b"a" * (CARD_BYTES_MAX + 1))
    with pytest.raises(TooLarge, match=str(CARD_BYTES_MAX)):
        read_card(path)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_card(path)
    with pytest.raises(NotFound):
        read_card(tmp_path / "none.md")

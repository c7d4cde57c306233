"""The model card's stub."""

from dataclasses import replace

from holdfast.flow.bundle.card import card_text
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

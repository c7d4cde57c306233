"""Where what Holdfast writes stands in a bundle."""

from holdfast.names import RelativePath

__all__ = ["CARD", "LOCK", "OUTPUTS", "PATCH", "ROWS"]

LOCK = RelativePath("environment/requirements.lock")
PATCH = RelativePath("evidence/uncommitted.patch")
CARD = RelativePath("CARD.md")
ROWS = RelativePath("holdout/rows.json")
OUTPUTS = RelativePath("holdout/outputs.json")

"""Families of calls that the walk asks as one; it is read in both environments, so it imports no MLflow."""

__all__ = ["FAMILIES", "family_of"]

FAMILIES = {
    "MCP servers": ("mcp_",),
    "workspaces": ("workspace",),
    "prompts": ("prompt",),
    "evaluation datasets": ("_dataset", "search_datasets"),
}
"""Names of families and what is in their calls' names."""


def family_of(name: str) -> str | None:
    """The family that a call belongs to."""
    word = name.partition(".")[2] if not name.startswith("edge: ") else ""
    return next((family for family, marks in FAMILIES.items() if any(mark in word for mark in marks)), None)

"""What a folder holds."""

from pathlib import Path


def names(folder: Path) -> list[str]:
    """The names in `folder`, sorted."""
    return sorted(path.name for path in folder.iterdir())

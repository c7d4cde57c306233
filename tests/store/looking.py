"""What a folder holds."""

from pathlib import Path


def names(folder: Path) -> list[str]:
    """The names in `folder`, sorted."""
    return sorted(path.name for path in folder.iterdir())


def files(folder: Path) -> list[Path]:
    """The files below `folder`, sorted; none when it does not exist."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def packs(root: Path) -> list[Path]:
    """The packs of the store in `root`."""
    return files(root / "packs")


def exact_files(root: Path) -> list[Path]:
    """The exact files of the store in `root`."""
    return files(root / "blobs")


def index_files(root: Path) -> list[Path]:
    """The index files of the store in `root`."""
    return files(root / "index")

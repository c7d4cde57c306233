"""Two snapshots of the project in the current folder compared: how many files came, went or changed.

    python _diff.py sha256:… sha256:…

A process of its own, so that what it costs can be measured. `--probe` only says whether this Holdfast can do it.
"""

import importlib
import sys
from pathlib import Path

from holdfast.config import Settings
from holdfast.digest import Digest
from holdfast.wire import open_project


def main() -> None:
    """Compare, and print the number of differences."""
    compare = getattr(importlib.import_module("holdfast.store.tree"), "diff_trees", None)
    if compare is None:
        raise SystemExit("this Holdfast has no diff_trees")
    if sys.argv[1:] == ["--probe"]:
        return
    old, new = map(Digest.parse, sys.argv[1:])
    with open_project(Settings.find(Path.cwd())) as project:
        print(sum(1 for _ in compare(project.store, old, new)))


if __name__ == "__main__":
    main()

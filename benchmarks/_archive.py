"""Snapshots of the project in the current folder to an archive in another folder, or back from it.

    python _archive.py send FOLDER sha256:… sha256:…
    python _archive.py fetch FOLDER sha256:… sha256:…

A process of its own, so that what it costs can be measured. What is fetched is hashed on the way, each blob against its
digest.
"""

import sys
from pathlib import Path

from holdfast.config import Settings
from holdfast.digest import Digest
from holdfast.store.local import LocalStore
from holdfast.store.remote.address import Address
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.store.tree import load_tree
from holdfast.wire import open_project
from holdfast.wire.remotes import open_remote


def main() -> None:
    """Do what was asked, and print the bytes that travelled."""
    way, folder, *named = sys.argv[1:]
    trees = [Digest.parse(one) for one in named]
    settings = Settings.find(Path.cwd())
    with open_project(settings) as project:
        store = project.store
        if not isinstance(store, LocalStore):
            raise SystemExit("the project has no store of its own")
        remote = open_remote(settings, Address.parse(folder), None)
        incoming = Incoming(store, remote)
        travelled = incoming.fetch(trees).bytes if way == "fetch" else 0
        files = [entry.digest for tree in trees for entry in load_tree(store, tree).entries]
        if way == "fetch":
            print(travelled + incoming.fetch(files).bytes)
        else:
            print(Outgoing(store.root, remote).send([*files, *trees], bases={}).bytes)


if __name__ == "__main__":
    main()

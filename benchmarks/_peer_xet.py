"""hf_xet as a command, run by the interpreter of the peers' environment: upload, download, version.

python _peer_xet.py upload STORE FOLDER POINTERS.json
python _peer_xet.py download STORE FOLDER POINTERS.json
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import hf_xet


def upload(endpoint: str, folder: Path, pointers: Path) -> None:
    """Upload every file of a folder in one commit, and write down path, hash and size of each."""
    paths = sorted(f"{parent}/{name}" for parent, _, names in os.walk(folder) for name in names)
    commit = hf_xet.XetSession().new_upload_commit(endpoint=endpoint)
    handles = [(path, commit.start_upload_file(path)) for path in paths]
    commit.wait_to_finish()
    found = [(os.path.relpath(path, folder), handle.result().xet_info) for path, handle in handles]
    pointers.write_text(json.dumps([[path, info.hash, info.file_size] for path, info in found]))


def download(endpoint: str, folder: Path, pointers: Path) -> None:
    """Download every file that was written down."""
    wanted = json.loads(pointers.read_text())
    for inside in {(folder / path).parent for path, _, _ in wanted}:
        inside.mkdir(parents=True, exist_ok=True)
    group = hf_xet.XetSession().new_file_download_group(endpoint=endpoint)
    for path, digest, size in wanted:
        group.start_download_file(hf_xet.XetFileInfo(digest, size), str(folder / path))
    group.wait_to_finish()


def main() -> None:
    """Do what the first argument says."""
    match sys.argv[1:]:
        case ["version"]:
            print(version("hf-xet"))
        case [("upload" | "download") as word, store, folder, pointers]:
            work = upload if word == "upload" else download
            work(f"local://{Path(store).absolute()}", Path(folder), Path(pointers))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()

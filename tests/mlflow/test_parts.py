"""Large files with a real MLflow client: it sends them in parts and reads them in ranges, through any process."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.access import Role
from tests.mlflow.rooms import ours
from tests.mlflow.venvs import Client

pytestmark = pytest.mark.slow

SMALL_PARTS = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1000000",
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "1000000",
    "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": "700000",
}

PEOPLE = {"root": Role.ADMIN, "ana": Role.CONTRIBUTOR}

SCRIPT = """
import hashlib, json, pathlib, random, sys
import mlflow
from mlflow.store.artifact import http_artifact_repo

ranges = []
before = http_artifact_repo.download_chunk
def counted(**said):
    ranges.append(said["range_start"])
    return before(**said)
http_artifact_repo.download_chunk = counted

given = {"large.bin": random.Random(1).randbytes(4_200_000), "small.txt": b"small", "empty": b""}
folder = pathlib.Path("given")
folder.mkdir()
for name, data in given.items():
    (folder / name).write_bytes(data)
with mlflow.start_run() as run:
    mlflow.log_artifacts("given", "model")
back = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model", dst_path="back"))
print(json.dumps([{name: (back / name).read_bytes() == data for name, data in given.items()}, sorted(ranges)]))
"""


@pytest.mark.parametrize("asks", [True, False], ids=["asks", "asks nobody"])
def test_the_newest_client_sends_parts_and_reads_ranges(newest: Client, tmp_path: Path, *, asks: bool) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with ours(tmp_path / "room", workers=2, people=PEOPLE if asks else None) as room:
        who = {"MLFLOW_TRACKING_TOKEN": room.tokens["ana"]} if asks else {}
        said = newest.run(script, room.url, tmp_path, **SMALL_PARTS, **who)
    same, ranges = json.loads(said.splitlines()[-1])
    assert same == {"large.bin": True, "small.txt": True, "empty": True}
    assert [one for one in ranges if one] == [700_000 * number for number in range(1, 6)]
    with closing(sqlite3.connect(room.folder / ".holdfast/registry.db")) as raw:
        uploads = raw.execute("SELECT path, parts, digest IS NOT NULL FROM file_uploads").fetchall()
        left = raw.execute("SELECT count(*) FROM file_parts").fetchone()
    assert [(path.rpartition("/")[2], *rest) for path, *rest in uploads] == [("large.bin", 5, 1)]
    assert left == (0,)

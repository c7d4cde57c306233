"""Files over MLflow's protocol: in, out, listed, taken away, and refused where they are frozen."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from holdfast.errors import NoSpace
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.tables import logged_models
from holdfast.store.local import LocalStore
from holdfast.store.local_writer import LocalWriter
from holdfast.wire.mlflow import open_shelf
from tests.web.mlflow.served import Served, served

ROOT = "/api/2.0/mlflow-artifacts/artifacts"
RUN = f"{ROOT}/3/run/artifacts"
LARGE = bytes(range(256)) * (20 << 10)  # five megabytes


class Client:
    """Asks in bytes."""

    def __init__(self, behind: Served) -> None:
        self._behind = behind

    def request(self, method: str, path: str, **sent: Any) -> httpx.Response:
        return self._behind.loop.run(self._behind.client.request(method, path, **sent))

    def get(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("GET", path, **sent)

    def put(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("PUT", path, **sent)

    def post(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("POST", path, **sent)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as behind:
        place = "mlflow-artifacts:/3/models/m-1/artifacts"
        behind.run("run", int(behind.experiment(3)))
        model = {"id": "m-1", "experiment": 3, "name": "m", "place": place, "type": "", "status": "PENDING"}
        with open_shelf(behind.project, behind.project.store).database.change() as connection:
            connection.execute(insert(logged_models), {**model, "created_by": "ana", "created_ms": 1, "updated_ms": 1})
        yield behind


@pytest.fixture
def client(behind: Served) -> Client:
    return Client(behind)


@pytest.fixture
def files(behind: Served) -> SqlFiles:
    return open_shelf(behind.project, behind.project.store).files


@pytest.mark.parametrize("data", [b"", b"flavors: {}\n", LARGE])
def test_what_was_put_comes_back_byte_for_byte(client: Client, data: bytes) -> None:
    put = client.put(f"{RUN}/model/MLmodel", content=data)
    assert (put.status_code, put.content) == (200, b"")
    got = client.get(f"/ajax-api{RUN.removeprefix('/api')}/model/MLmodel")
    assert got.content == data
    assert got.headers["content-type"].startswith("text/plain")
    assert got.headers["content-disposition"] == "attachment; filename=MLmodel"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-length"] == str(len(data))
    assert client.get(f"{RUN}/model/MLmodel", headers={"if-none-match": got.headers["etag"]}).status_code == 304
    head = client.request("HEAD", f"{RUN}/model/MLmodel")
    assert (head.headers["etag"], head.headers["content-length"]) == (got.headers["etag"], str(len(data)))
    assert head.content == b""


def test_a_body_of_no_stated_length_is_taken_in_pieces(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(LARGE), 70_000):
            yield LARGE[at : at + 70_000]

    assert client.put(f"{RUN}/big.bin", content=pieces()).status_code == 200
    assert client.get(f"{RUN}/big.bin").content == LARGE


@pytest.mark.parametrize("data", [b"0123456789" * 1000, LARGE])
@pytest.mark.parametrize(
    ("asked", "begin", "end"), [("bytes=5-7", 5, 8), ("bytes=9990-", 9990, None), ("bytes=-3", -3, None)]
)
def test_a_range_is_answered_with_its_place(
    client: Client, data: bytes, asked: str, begin: int, end: int | None
) -> None:
    client.put(f"{RUN}/a.bin", content=data)
    got = client.get(f"{RUN}/a.bin", headers={"range": asked})
    first = begin % len(data)
    assert (got.status_code, got.content) == (206, data[begin:end])
    assert got.headers["content-range"] == f"bytes {first}-{first + len(got.content) - 1}/{len(data)}"
    assert got.headers["content-length"] == str(len(got.content))


def test_a_range_past_the_end_is_refused_and_what_is_none_is_ignored(client: Client) -> None:
    client.put(f"{RUN}/a.bin", content=b"0123456789")
    past = client.get(f"{RUN}/a.bin", headers={"range": "bytes=10-"})
    assert (past.status_code, past.headers["content-range"]) == (416, "bytes */10")
    for none in ("bytes=3-1", "bytes=-", "bytes=0-1,4-5", "lines=1-2"):
        assert client.get(f"{RUN}/a.bin", headers={"range": none}).status_code == 200
    changed = client.get(f"{RUN}/a.bin", headers={"range": "bytes=0-1", "if-range": '"sha256:0"'})
    assert changed.content == b"0123456789"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ('q"u.txt', 'attachment; filename="q\\"u.txt"'),
        ("réseau.txt", "attachment; filename=reseau.txt; filename*=UTF-8''r%C3%A9seau.txt"),
        ("日本", "attachment; filename=download; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
    ],
)
def test_any_name_is_told_in_a_header(client: Client, name: str, said: str) -> None:
    assert client.put(f"{RUN}/{name}", content=b"x").status_code == 200
    got = client.get(f"{RUN}/{name}")
    assert (got.content, got.headers["content-disposition"]) == (b"x", said)
    assert client.get(ROOT, params={"path": "3/run/artifacts"}).json()["files"][0]["path"] == name


def test_a_folder_is_listed_relative_to_itself(client: Client) -> None:
    for name in ("MLmodel", "data/model.pkl", "data/more/x", "a.txt"):
        client.put(f"{RUN}/model/{name}", content=name.encode())
    assert client.get(ROOT, params={"path": "3/run/artifacts/model/"}).json() == {
        "files": [
            {"path": "MLmodel", "is_dir": False, "file_size": 7},
            {"path": "a.txt", "is_dir": False, "file_size": 5},
            {"path": "data", "is_dir": True},
        ]
    }
    of_run = client.get("/api/2.0/mlflow/artifacts/list", params={"run_id": "run", "path": "model/data"}).json()
    assert of_run["root_uri"] == "mlflow-artifacts:/3/run/artifacts"
    assert [one["path"] for one in of_run["files"]] == ["model/data/model.pkl", "model/data/more"]
    assert client.get(ROOT, params={"path": "3/run/artifacts/model/MLmodel"}).json() == {}


def test_files_are_reached_by_what_they_belong_to(client: Client) -> None:
    client.put(f"{RUN}/a.txt", content=b"of the run")
    client.put(f"{ROOT}/3/models/m-1/artifacts/MLmodel", content=b"of the model")
    assert client.get("/get-artifact", params={"run_uuid": "run", "path": "a.txt"}).content == b"of the run"
    path = "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files"
    assert client.get(path, params={"artifact_file_path": "MLmodel"}).content == b"of the model"
    sent = client.post(
        "/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": "run", "path": "d/b.json"}, content=b"{}"
    )
    assert sent.status_code == 200
    assert client.get(f"{RUN}/d/b.json").content == b"{}"


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("/get-artifact", {"run_id": "no", "path": "a"}, "Run with id=no not found"),
        (
            "/model-versions/get-artifact",
            {"name": "m", "version": "1", "path": "a"},
            "Model Version (name=m, version=1)",
        ),
        (f"{RUN}/none", {}, "No such artifact: '3/run/artifacts/none'"),
    ],
)
def test_what_there_is_not_is_said_in_the_words_of_mlflow(
    client: Client, path: str, params: dict[str, str], message: str
) -> None:
    got = client.get(path, params=params)
    assert (got.status_code, got.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert got.json()["message"].startswith(message)


@pytest.mark.parametrize("path", ["..%2fx", "a/..%2f..%2fx", "%2fetc", "a%23b", "a%5cb", "%252e%252e/x", "a%00"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_a_path_that_leads_out_is_refused(client: Client, files: SqlFiles, method: str, path: str) -> None:
    got = client.request(method, f"{ROOT}/{path}", content=b"x" if method == "PUT" else None)
    assert (got.status_code, got.json()["message"]) == (400, "Invalid path")
    assert files.below("") == []
    for name in ("path", "artifact_file_path"):
        asked = {"run_id": "run", name: "../x"}
        where = "/get-artifact" if name == "path" else "/api/2.0/mlflow/logged-models/m-1/artifacts/files"
        assert client.get(where, params=asked).json()["message"] == "Invalid path"


def test_a_file_of_a_registered_version_is_neither_swapped_nor_deleted(client: Client, files: SqlFiles) -> None:
    client.put(f"{RUN}/model/model.pkl", content=b"first")
    why = "The files of registered version churn v1 are immutable; log a new model instead."
    files.freeze("3/run/artifacts/model", why)
    for got in (
        client.put(f"{RUN}/model/model.pkl", content=b"swapped"),
        client.put(f"{RUN}/model/more", content=LARGE),
        client.delete(f"{RUN}/model/model.pkl"),
        client.delete(RUN),
        client.delete(f"{ROOT}/3"),
    ):
        assert (got.status_code, got.json()) == (
            403,
            {
                "error_code": "PERMISSION_DENIED",
                "message": why,
                "sqlstate": "KAM00",
                "error_class": "PERMISSION_DENIED",
            },
        )
    assert client.get(f"{RUN}/model/model.pkl").content == b"first"


def test_names_are_taken_away(client: Client, files: SqlFiles) -> None:
    for name in ("a", "d/b", "d/c"):
        client.put(f"{RUN}/{name}", content=b"x")
    assert client.delete(f"{RUN}/d").json() == client.delete(f"{RUN}/nothing").json() == {}
    assert [one.path for one in files.below("")] == ["3/run/artifacts/a"]
    assert client.delete(f"{RUN}/").json() == {}
    assert files.below("") == []
    assert client.delete(f"{ROOT}/").status_code == 400


def test_a_folder_cannot_be_put_or_got(client: Client) -> None:
    client.put(f"{RUN}/d/a", content=b"x")
    got = client.get(f"{RUN}/d")
    assert (got.status_code, got.json()["message"]) == (
        400,
        "Artifact path refers to a directory, not a file: '3/run/artifacts/d'",
    )
    assert "must include a filename" in client.put(f"{RUN}/e/", content=b"x").json()["message"]


def test_urls_past_the_server_are_not_offered_and_said_so_that_clients_go_on(client: Client) -> None:
    up = client.post("/api/2.0/mlflow/artifacts/presigned-upload-url", json={"run_id": "run", "path": "a"})
    assert (up.status_code, up.json()["message"][:72]) == (
        400,
        "Presigned upload is not supported for proxied artifact storage (artifact",
    )
    down = client.post("/api/2.0/mlflow/artifacts/presigned-download-url", json={"run_id": "run", "path": "a"})
    assert "Presigned download is not supported" in down.json()["message"]


def test_a_full_disk_is_told_and_leaves_nothing(
    client: Client, files: SqlFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: LocalWriter) -> None:
        raise NoSpace("the disk is full", hint="Make room.")

    monkeypatch.setattr(LocalWriter, "commit", full)
    got = client.put(f"{RUN}/a", content=b"x" * 100_000)
    assert (got.status_code, got.json()["message"]) == (500, "the disk is full. Make room.")
    assert files.below("") == []


def test_a_damaged_file_is_never_answered_whole(client: Client, behind: Served) -> None:
    client.put(f"{RUN}/small", content=b"x" * 100_000)
    store = behind.project.store
    assert isinstance(store, LocalStore)
    for pack in (store.root / "packs").glob("*/*"):
        pack.chmod(0o644)
        pack.write_bytes(bytes(byte ^ 1 for byte in pack.read_bytes()))
    got = client.get(f"{RUN}/small")
    assert (got.status_code, got.json()["error_code"]) == (500, "DATA_LOSS")


def test_a_range_of_a_damaged_file_is_an_error_and_no_answer_that_breaks_off(client: Client, behind: Served) -> None:
    client.put(f"{RUN}/large", content=LARGE)
    store = behind.project.store
    assert isinstance(store, LocalStore)
    for pack in (store.root / "packs").glob("*/*"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(data)
    got = client.get(f"{RUN}/large", headers={"range": "bytes=0-9"})
    assert (got.status_code, got.json()["error_code"]) == (500, "DATA_LOSS")

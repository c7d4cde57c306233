"""Large files over MLflow's protocol: in parts, and by URLs that need nothing but what came with them."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from holdfast.access import Doors, Grant, NewToken, NewUser, Pattern, Role
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.tables import file_parts
from holdfast.names import ModelName
from holdfast.tracking import NewRun
from holdfast.web.bearer import TICKET_HEADER
from holdfast.wire import open_project
from holdfast.wire.people import open_doors
from tests.blank import blank_project
from tests.web.mlflow.served import Served, serving

FILES = "/api/2.0/mlflow-artifacts"
MPU = f"{FILES}/mpu"
DATA = Random(1).randbytes(3 << 20)
PART = 1 << 20
NAMED = "/data/weights.bin"
"""As clients name it: by where it is on their machine."""


class Asking:
    """A server asked as MLflow's client asks it: with a token, but URLs that it was given with nothing of its own."""

    def __init__(self, server: Served, secrets: dict[str, str], folder: str, doors: Doors) -> None:
        self.server = server
        self.doors = doors
        self.folder = folder
        self._secrets = secrets

    @property
    def files(self) -> SqlFiles:
        return self.server.shelf.files

    def bare(self, method: str, url: str, **sent: Any) -> httpx.Response:
        return self.server.loop.run(self.server.client.request(method, url, **sent))

    def by(self, who: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._secrets[who]}", **sent.pop("headers", {})}
        return self.bare(method, path, headers=headers, **sent)

    def begun(self, parts: int = 3, **more: Any) -> dict[str, Any]:
        said = {"path": NAMED, "num_parts": parts}
        answer = self.by("ana", "POST", f"{MPU}/create/{self.folder}", json=said, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sent(self, begun: dict[str, Any], data: bytes = DATA) -> list[dict[str, Any]]:
        parts = []
        for one in begun["credentials"]:
            number = one["part_number"]
            piece = data[(number - 1) * PART : number * PART]
            answer = self.bare("PUT", one["url"], content=piece, headers=one["headers"])
            assert answer.status_code == 200, answer.text
            parts.append({"part_number": number, "etag": answer.headers["ETag"], "url": one["url"]})
        return parts

    def ended(self, verb: str, begun: dict[str, Any], who: str = "ana", **more: Any) -> httpx.Response:
        said = {"path": NAMED, "upload_id": begun["upload_id"], **more}
        return self.by(who, "POST", f"{MPU}/{verb}/{self.folder}", json=said)


@contextmanager
def asked(folder: Path, *, asks: bool) -> Iterator[Asking]:
    with open_project(blank_project(folder)) as project:
        doors, secrets = open_doors(project), {}
        for name, role, pattern in (
            ("ana", Role.CONTRIBUTOR, "churn"),
            ("ben", Role.CONTRIBUTOR, "fraud"),
            ("eve", Role.VIEWER, "churn"),
        ):
            doors.add_user(NewUser(name), "root")
            doors.grant(name, Grant(role, Pattern(pattern)), "root")
            secrets[name] = doors.issue(NewToken(name, "test"), "root").secret
        run = project.tracking.start_run(NewRun("run", model=ModelName("churn")), "ana")
        with serving(project, asks=asks) as server:
            yield Asking(server, secrets, f"7/{run.id}/artifacts/model", doors)


@pytest.fixture(params=[True, False], ids=["asks", "asks nobody"])
def asking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asking]:
    with asked(tmp_path, asks=request.param) as found:
        yield found


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Asking]:
    """A server that asks who they are."""
    with asked(tmp_path, asks=True) as found:
        yield found


@pytest.mark.thorough
def test_parts_become_the_file_and_its_ranges_are_read(asking: Asking) -> None:
    begun = asking.begun()
    assert [one["part_number"] for one in begun["credentials"]] == [1, 2, 3]
    assert asking.ended("complete", begun, parts=asking.sent(begun)).json() == {}
    told = asking.by("eve", "GET", f"{FILES}/presigned/{asking.folder}/weights.bin")
    assert (told.status_code, told.headers["cache-control"]) == (200, "no-store")
    found = told.json()
    assert (found["url"], found["file_size"]) == (
        f"http://server{FILES}/artifacts/{asking.folder}/weights.bin",
        len(DATA),
    )
    read = b""
    for begin in range(0, len(DATA), PART):
        headers = {**found["headers"], "Range": f"bytes={begin}-{begin + PART - 1}"}
        answer = asking.bare("GET", found["url"], headers=headers)
        assert answer.status_code == 206
        read += answer.content
    assert read == DATA


@pytest.mark.thorough
def test_a_part_is_let_in_by_its_ticket_and_by_nothing_else(known: Asking) -> None:
    begun = known.begun()
    first, second, _ = begun["credentials"]
    assert list(first["headers"]) == [TICKET_HEADER]
    for url, headers in (
        (first["url"], {}),
        (first["url"], second["headers"]),
        (first["url"], {TICKET_HEADER: "made.1.up"}),
        (first["url"], {"authorization": f"Bearer {first['headers'][TICKET_HEADER]}"}),
        (f"{FILES}/artifacts/{known.folder}/weights.bin", first["headers"]),
        (first["url"].replace(begun["upload_id"], "0" * 32), first["headers"]),
    ):
        assert known.bare("PUT", url, content=b"x", headers=headers).status_code == 401
    for method in ("GET", "POST", "DELETE"):
        assert known.bare(method, first["url"], headers=first["headers"]).status_code == 401
    assert known.bare("PUT", first["url"], content=b"x", headers=first["headers"]).status_code == 200


def test_a_range_is_read_by_its_ticket_for_its_path_alone(known: Asking) -> None:
    for name in ("a b%20c.bin", "other"):
        known.files.put(f"{known.folder}/{name}", [b"data"])
    found = known.by("eve", "GET", f"{FILES}/presigned/{known.folder}/a%20b%2520c.bin").json()
    assert known.bare("GET", found["url"], headers=found["headers"]).content == b"data"
    assert known.bare("GET", found["url"]).status_code == 401
    other = f"{FILES}/artifacts/{known.folder}/other"
    assert known.bare("GET", other, headers=found["headers"]).status_code == 401
    assert known.bare("DELETE", found["url"], headers=found["headers"]).status_code == 401


def test_a_ticket_opens_nothing_but_links_whoever_wrote_it(known: Asking) -> None:
    write = known.doors.tickets(known.doors.tokens("ana")[0].id, 60)
    for method, path in (
        ("GET", "/api/v1/models"),
        ("GET", "/api/2.0/mlflow/experiments/search"),
        ("POST", f"{MPU}/create/{known.folder}"),
        ("PUT", f"{FILES}/artifacts/{known.folder}/x"),
        ("DELETE", f"{FILES}/artifacts/{known.folder}/x"),
        ("GET", f"{FILES}/presigned/{known.folder}/x"),
    ):
        assert known.bare(method, path, headers={TICKET_HEADER: write(f"{method} {path}")}).status_code == 401
    path = f"{FILES}/artifacts/{known.folder}/x"
    assert known.bare("GET", path, headers={TICKET_HEADER: write(f"GET {path}")}).status_code == 404


def test_what_is_remembered_of_a_ticket_lets_no_token_in(known: Asking) -> None:
    known.files.put(f"{known.folder}/x", [b"data"])
    found = known.by("eve", "GET", f"{FILES}/presigned/{known.folder}/x").json()
    assert known.bare("GET", found["url"], headers=found["headers"]).status_code == 200
    # What the ticket is remembered under, shown as a password.
    shown = f"x:{found['headers'][TICKET_HEADER]}\nGET {httpx.URL(found['url']).path}"
    headers = {"authorization": f"Basic {b64encode(shown.encode()).decode()}"}
    assert known.bare("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers=headers).status_code == 401


@pytest.mark.thorough
def test_who_may_not_write_there_begins_sends_completes_and_aborts_nothing(known: Asking) -> None:
    begun = known.begun()
    url = begun["credentials"][0]["url"]
    for who in ("ben", "eve"):
        said = {"path": NAMED, "num_parts": 1}
        assert known.by(who, "POST", f"{MPU}/create/{known.folder}", json=said).status_code == 403
        assert known.by(who, "PUT", url, content=b"x").status_code == 403
        assert known.ended("complete", begun, who, parts=[]).status_code == 403
        assert known.ended("abort", begun, who).status_code == 403
    assert known.by("ben", "GET", f"{FILES}/presigned/{known.folder}/weights.bin").status_code == 403


def test_a_right_that_is_taken_back_ends_an_upload_that_is_under_way(known: Asking) -> None:
    begun = known.begun()
    one = begun["credentials"][0]
    known.server.client.headers.pop("authorization", None)
    open_doors(known.server.project).revoke("ana", Pattern("churn"), "root")
    assert known.bare("PUT", one["url"], content=b"x", headers=one["headers"]).status_code == 403
    with known.server.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(file_parts)).scalar_one() == 0


def test_what_did_not_come_or_is_another_thing_makes_no_file(asking: Asking) -> None:
    begun = asking.begun()
    parts = asking.sent(begun)
    wrong = [{**parts[0], "etag": parts[1]["etag"]}, *parts[1:]]
    for said in (wrong, parts[:2], parts[::-1], []):
        answer = asking.ended("complete", begun, parts=said)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert asking.by("ana", "GET", f"{FILES}/presigned/{asking.folder}/weights.bin").status_code == 404
    assert asking.ended("complete", begun, parts=parts).status_code == 200


def test_an_aborted_upload_takes_nothing_more_and_aborting_again_is_no_error(asking: Asking) -> None:
    begun = asking.begun()
    asking.sent(begun)
    for _ in range(2):
        assert asking.ended("abort", begun).json() == {}
    one = begun["credentials"][0]
    answer = asking.bare("PUT", one["url"], content=b"x", headers=one["headers"])
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert asking.ended("complete", begun, parts=[]).status_code == 404


def test_a_frozen_folder_takes_no_upload_and_none_that_began_before(asking: Asking) -> None:
    begun = asking.begun()
    parts = asking.sent(begun)
    asking.files.freeze(asking.folder, "it is registered")
    said = {"path": NAMED, "num_parts": 1}
    for answer in (
        asking.by("ana", "POST", f"{MPU}/create/{asking.folder}", json=said),
        asking.ended("complete", begun, parts=parts),
    ):
        assert (answer.status_code, answer.json()["message"]) == (403, "it is registered")


@pytest.mark.parametrize(
    ("named", "path"),
    [("weights.bin", "weights.bin"), (r"C:\models\weights.bin", "weights.bin"), ("/tmp/a:b c", "a:b c")],
)
def test_a_file_is_called_as_on_its_clients_machine(known: Asking, named: str, path: str) -> None:
    answer = known.by("ana", "POST", f"{MPU}/create/{known.folder}", json={"path": named, "num_parts": 1})
    assert known.server.shelf.uploads.find(answer.json()["upload_id"]).path == f"{known.folder}/{path}"


@pytest.mark.parametrize("said", [{}, {"path": "a/"}, {"path": ".."}, {"path": "a", "num_parts": 10_001}])
def test_what_is_no_file_or_too_much_of_one_is_refused(known: Asking, said: dict[str, Any]) -> None:
    answer = known.by("ana", "POST", f"{MPU}/create/{known.folder}", json=said)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert known.by("ana", "PUT", f"{MPU}/parts/{'0' * 32}/x", content=b"").status_code == 400


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "models.example.org"}, "http://models.example.org"),
        ({"host": "models.example.org:8443", "x-forwarded-proto": "https"}, "https://models.example.org:8443"),
        ({"host": "[::1]:80", "x-forwarded-proto": "gopher"}, "http://[::1]:80"),
        ({"host": "a/b", "x-forwarded-host": "evil.example.org"}, "http://server"),
    ],
)
def test_urls_lead_to_where_the_client_reached_the_server(known: Asking, headers: dict[str, str], origin: str) -> None:
    [one] = known.begun(1, headers=headers)["credentials"]
    assert one["url"].startswith(f"{origin}{MPU}/parts/")


def test_urls_lead_to_where_the_server_was_told_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PUBLIC_URL", "https://models.example.org/holdfast/")
    with asked(tmp_path, asks=True) as known:
        [one] = known.begun(1)["credentials"]
        assert offered(known) == {True}
    assert one["url"].startswith(f"https://models.example.org/holdfast{MPU}/parts/")


def test_clients_that_do_not_insist_send_files_whole_to_a_server_that_was_not_told_where_it_is(known: Asking) -> None:
    assert offered(known) == {False}


def offered(known: Asking) -> set[bool]:
    said = known.by("eve", "GET", "/api/3.0/mlflow/server-info").json()
    return {said["multipart_uploads_enabled"], said["multipart_downloads_enabled"]}

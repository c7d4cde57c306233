"""The routes of a replica, over real workers: shapes, errors, and the headers that say who answered."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.serving.replica import Replica
from holdfast.web.inference import bodies
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.override import Overriding, Secret, anybody, nobody
from holdfast.web.problems import HTTP_STATUS
from tests.serving.building import ROWS, Built
from tests.serving.stages import HandMovedStage, Shelf, pointer, run, running, until, until_epoch

pytestmark = pytest.mark.slow


@asynccontextmanager
async def calling(replica: Replica, overriding: Overriding = nobody) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(replica_app(replica, overriding=overriding), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
        yield client


@asynccontextmanager
async def serving(
    first: Built, second: Built, overriding: Overriding = nobody
) -> AsyncIterator[tuple[httpx.AsyncClient, Replica]]:
    """Version 2 holds the stage and version 1 is last-known-good."""
    stage, shelf = HandMovedStage(), Shelf(first, second)
    epoch = stage.move(pointer(2, second), pointer(1, first))
    async with running(stage, shelf) as replica, calling(replica, overriding) as client:
        await until_epoch(replica, epoch)
        await until(lambda: replica.route is not None and replica.route.standby is not None, "the standby")
        yield client, replica


def stamped(answer: httpx.Response, built: Built, version: int, reason: str = "primary") -> bool:
    return {name: answer.headers.get(name) for name in STAMP} == {
        "x-model-version": str(version),
        "x-model-digest": str(built.digest),
        "x-route-epoch": "1",
        "x-route-reason": reason,
    }


STAMP = ("x-model-version", "x-model-digest", "x-route-epoch", "x-route-reason")


def test_invocations_take_and_give_the_shapes_of_mlflow(first: Built, second: Built) -> None:
    rows = [{key: one[key] for key in ROWS[0]} for one in ROWS[20:24]]
    columns = {key: [one[key] for one in rows] for key in ROWS[0]}
    bare = [list(one.values()) for one in rows]
    shapes: list[dict[str, Any]] = [
        {"dataframe_records": rows},
        {"dataframe_split": {"columns": list(columns), "data": bare}},
        {"dataframe_split": {"index": [0, 1, 2, 3], "columns": list(columns), "data": bare}},
        {"inputs": columns},
        {"inputs": rows},
        {"instances": rows},
        {"instances": bare},
    ]

    async def work() -> None:
        async with serving(first, second) as (client, _):
            for shape in shapes:
                answer = await client.post("/invocations", json=shape)
                assert answer.status_code == 200, shape
                said = answer.json()
                assert said["predictions"] == second.outputs.predictions[20:24], shape
                assert (said["version"], said["digest"]) == (2, str(second.digest))
                assert stamped(answer, second, 2)

    run(work)


def test_the_open_inference_protocol_names_the_version_in_every_answer(first: Built, second: Built) -> None:
    columns = {key: [one[key] for one in ROWS] for key in ROWS[0]}
    kinds = {"age": "FP64", "calls": "INT64", "plan": "BYTES", "sleep": "FP64"}
    request = {
        "id": "abc",
        "inputs": [{"name": n, "shape": [40], "datatype": kinds[n], "data": data} for n, data in columns.items()],
    }

    async def work() -> None:
        async with serving(first, second, anybody) as (client, _):
            for number, built, path in (
                (2, second, "/v2/models/churn"),
                (2, second, "/v2/models/churn/versions/2"),
                (1, first, "/v2/models/churn/versions/1"),
            ):
                reason = "override" if number == 1 else "primary"
                answer = await client.post(f"{path}/infer", json=request)
                said = answer.json()
                assert (said["model_name"], said["model_version"], said["id"]) == ("churn", str(number), "abc")
                assert said["parameters"]["digest"] == str(built.digest)
                outputs = {tensor["name"]: tensor for tensor in said["outputs"]}
                assert outputs["predictions"]["data"] == built.outputs.predictions
                assert outputs["predictions"]["datatype"] == "INT64"
                assert outputs["scores"]["shape"] == [40, 2]
                assert stamped(answer, built, number, reason), dict(answer.headers)

                described = await client.get(path)
                said = described.json()
                assert stamped(described, built, number, reason)
                assert said["versions"] == ["2", "1"]
                assert said["parameters"]["model_version"] == str(number)
                assert {tensor["name"]: tensor["datatype"] for tensor in said["inputs"]} == kinds
                assert [tensor["name"] for tensor in said["outputs"]] == ["predictions", "scores"]
                ready = await client.get(f"{path}/ready")
                assert ready.json() == {"name": "churn", "ready": True}
            server = await client.get("/v2")
            assert server.json()["name"] == "holdfast"
            assert server.json()["parameters"]["model_version"] == "2"

    run(work)


def test_rows_come_and_answers_go_in_every_kind_of_body(first: Built, second: Built) -> None:
    rows = [{key: one[key] for key in ROWS[0]} for one in ROWS[20:24]]
    table = pa.Table.from_pylist(rows)
    arrow, parquet = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(arrow, table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, parquet)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    sent = {
        "application/json": json.dumps(rows).encode(),
        "application/jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "text/csv": "\r\n".join(lines).encode(),
        "application/vnd.apache.arrow.stream": arrow.getvalue(),
        "application/vnd.apache.parquet": parquet.getvalue(),
    }
    expected = second.outputs.predictions[20:24]

    async def work() -> None:
        async with serving(first, second) as (client, _):
            for kind, body in sent.items():
                for path in ("/invocations", "/predict"):
                    answer = await client.post(path, content=body, headers={"content-type": kind})
                    assert answer.status_code == 200, (kind, answer.text)
                    assert answer.json()["predictions"] == expected, kind
            assert answer.json()["scores"] == second.outputs.scores[20:24]
            assert (answer.json()["version"], answer.json()["digest"]) == (2, str(second.digest))
            packed = {"content-type": "text/csv", "content-encoding": "gzip", "accept": "text/csv"}
            answer = await client.post("/predict", content=gzip.compress(sent["text/csv"]), headers=packed)
            assert answer.headers["content-type"] == "text/csv"
            assert stamped(answer, second, 2)
            assert [int(line.split(",")[0]) for line in answer.text.split()[1:]] == expected
            wanted = {"accept": "application/vnd.apache.arrow.stream"}
            answer = await client.post("/predict", content=sent["application/json"], headers=wanted)
            assert pa.ipc.open_stream(answer.content).read_all()["prediction"].to_pylist() == expected
            answer = await client.post("/predict", content=b"<rows/>", headers={"content-type": "text/xml"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media")
            answer = await client.post("/predict", content=b"age\nold\n", headers={"content-type": "text/csv"})
            assert answer.status_code == 422

    run(work)


def test_only_those_who_may_choose_the_version_and_their_answers_say_so(first: Built, second: Built) -> None:
    rows = {"rows": ROWS[20:24]}
    tensors = {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [1]}]}

    async def work() -> None:
        async with serving(first, second, Secret(b"0123456789abcdef")) as (client, _):
            named = {"x-holdfast-version": "1"}
            answer = await client.post("/predict", json=rows, headers=named)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
            assert stamped(answer, second, 2)
            answer = await client.post("/predict", json=rows, headers={**named, "authorization": "Bearer guessed"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_refused")
            may = {"authorization": "Bearer 0123456789abcdef"}
            for path in ("/predict", "/invocations"):
                body = rows if path == "/predict" else {"instances": rows["rows"]}
                answer = await client.post(path, json=body, headers={**named, **may})
                assert answer.json()["predictions"] == first.outputs.predictions[20:24]
                assert stamped(answer, first, 1, "override")
            answer = await client.post("/predict", json=rows, headers={**may, "x-holdfast-version": "7"})
            assert answer.status_code == 404
            answer = await client.post("/v2/models/churn/versions/1/infer", json=tensors)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
            answer = await client.post("/predict", json=rows, headers={"x-holdfast-version": "2"})
            assert stamped(answer, second, 2)
            assert answer.status_code == 200

    run(work)


def test_health_says_who_answers(first: Built, second: Built) -> None:
    async def work() -> None:
        async with serving(first, second) as (client, _):
            for path in ("/healthz", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/version"):
                answer = await client.get(path)
                assert answer.status_code == 200, path
                assert stamped(answer, second, 2), path
            said = (await client.get("/version")).json()
            assert (said["model"], said["version"], said["digest"]) == ("churn", 2, str(second.digest))
            assert (said["epoch"], said["stage"], said["state"]) == (1, "production", "ready")
            assert said["last_known_good"] == 1

    run(work)


def test_whose_process_ended_is_told_so_and_the_log_names_request_and_version(
    first: Built, second: Built, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with serving(first, second) as (client, _):
            for plan, says in (("raise", "the version's own code failed"), ("die", "the process that ran the version")):
                rows = {"dataframe_records": [{**ROWS[0], "plan": plan}]}
                answer = await client.post("/invocations", json=rows, headers={"x-request-id": f"of-{plan}"})
                assert answer.status_code == 500
                error = answer.json()["error"]
                assert error["code"] == "bundle_failed"
                assert error["message"].startswith(says), plan
                (line,) = [one.getMessage() for one in caplog.records if f"of-{plan}" in one.getMessage()]
                assert f"request of-{plan}, version 2: bundle_failed: " in line

    run(work)


def test_errors_are_one_shape_name_the_version_and_show_no_inside(
    first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "REQUEST_BYTES_MAX", 5000)
    bad_type = {"dataframe_records": [{**ROWS[0], "calls": "many"}]}
    raising = {"dataframe_records": [{**ROWS[0], "plan": "raise"}]}

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1000

    cases: list[tuple[str, str, dict[str, Any], str, int]] = [
        ("POST", "/invocations", {"json": bad_type}, "invalid_input", HTTP_STATUS["invalid_input"]),
        ("POST", "/invocations", {"content": b"{"}, "invalid_input", HTTP_STATUS["invalid_input"]),
        ("POST", "/invocations", {"json": raising}, "bundle_failed", 500),
        ("POST", "/invocations", {"content": b" " * 5001}, "too_large", 413),
        ("POST", "/invocations", {"content": pieces}, "too_large", 413),
        ("GET", "/invocations", {}, "usage", 405),
        ("GET", "/nothing/here", {}, "not_found", 404),
        ("GET", "/v2/models/other", {}, "not_found", 404),
        ("GET", "/v2/models/churn/versions/3", {}, "not_found", 404),
        ("GET", "/v2/models/churn/versions/..%2f..", {}, "not_found", 404),
        ("POST", "/v2/models/churn/versions/3/infer", {"json": {}}, "not_found", 404),
        ("POST", "/v2/models/churn/infer", {"json": {}}, "invalid_input", HTTP_STATUS["invalid_input"]),
        ("POST", "/v2/models/churn/infer", {"content": b" " * 5001}, "too_large", 413),
    ]

    async def work() -> None:
        async with serving(first, second) as (client, replica):
            for method, path, given, code, status in cases:
                sent = {**given, "content": given["content"]()} if callable(given.get("content")) else given
                answer = await client.request(method, path, **sent)
                assert answer.status_code == status, (path, answer.text)
                said = answer.json()
                error = said if path.startswith("/v2") else said["error"]
                assert error["code"] == code, path
                assert error["hint"]
                assert isinstance(error["error" if path.startswith("/v2") else "message"], str)
                assert stamped(answer, second, 2), path
                for inside in ("Traceback", "/srv/secret", "site-packages", ".py", str(first.files.root.parent)):
                    assert inside not in answer.text, path

            def broken() -> None:
                raise RuntimeError("secret")

            monkeypatch.setattr(replica, "report", broken)
            answer = await client.get("/version")
            assert answer.status_code == 500
            assert answer.json()["error"]["code"] == "unexpected"
            assert "secret" not in answer.text
            assert stamped(answer, second, 2)
            monkeypatch.undo()

    run(work)


def test_before_anything_is_open_the_answer_is_try_again(first: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first)
        async with running(stage, shelf) as replica, calling(replica) as client:
            for method, path in (
                ("POST", "/invocations"),
                ("POST", "/v2/models/churn/infer"),
                ("GET", "/readyz"),
                ("GET", "/ping"),
                ("GET", "/v2/health/ready"),
            ):
                answer = await client.request(method, path, content=b"{}")
                assert answer.status_code == 503, path
                assert not [name for name in STAMP if name in answer.headers], path
                if method == "POST":
                    assert answer.headers["retry-after"] == "1"
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/v2")).status_code == 200

    run(work)


def test_the_header_and_the_body_of_every_answer_agree_while_the_stage_moves(first: Built, second: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second)
        stage.move(pointer(1, first))
        going, seen = True, set()
        async with running(stage, shelf) as replica, calling(replica) as client:
            await until_epoch(replica, 1)

            async def send() -> None:
                while going:
                    answer = await client.post("/invocations", json={"dataframe_records": ROWS[20:26]})
                    assert answer.status_code == 200
                    said = answer.json()
                    built = {1: first, 2: second}[said["version"]]
                    assert answer.headers["x-model-version"] == str(said["version"])
                    assert answer.headers["x-model-digest"] == said["digest"] == str(built.digest)
                    assert said["predictions"] == built.outputs.predictions[20:26]
                    seen.add((answer.headers["x-route-epoch"], said["version"]))

            senders = [asyncio.create_task(send()) for _ in range(4)]

            async def answered(epoch: str) -> None:
                await until(
                    lambda: epoch in dict(seen) or any(sender.done() for sender in senders),
                    f"an answer in epoch {epoch}",
                )

            for epoch in range(2, 8):
                to, good = ((2, second), (1, first)) if epoch % 2 == 0 else ((1, first), (2, second))
                stage.move(pointer(*to), pointer(*good))
                await until_epoch(replica, epoch)
                await answered(str(epoch))
            going = False
            await asyncio.gather(*senders)
        assert seen == {(str(epoch), 2 - epoch % 2) for epoch in range(1, 8)}

    run(work)


def test_the_application_describes_its_routes(first: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first)
        async with running(stage, shelf) as replica, calling(replica) as client:
            paths = json.loads((await client.get("/openapi.json")).text)["paths"]
        assert {"/invocations", "/v2/models/{model}/infer", "/readyz", "/version"} <= set(paths)

    run(work)

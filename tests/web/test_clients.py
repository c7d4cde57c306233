"""Other people's clients of the Open Inference Protocol against a real replica, over HTTP and over gRPC."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

from holdfast.errors import Unavailable
from holdfast.serving.bucketing import WHOLE
from holdfast.serving.keys import KeySource
from holdfast.serving.observing import Observed
from holdfast.serving.replica import Replica
from holdfast.serving.route import Canary
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.grpc_service import grpc_door
from holdfast.web.inference.override import Secret
from holdfast.web.listening import address_of, listen, reserved, serving
from tests.serving.building import ROWS, Built
from tests.serving.stages import HandMovedStage, Shelf, pointer, replica_of, run, running, until

pytestmark = pytest.mark.slow

TOKEN = "0123456789abcdef"
KINDS: dict[str, tuple[str, Any]] = {
    "age": ("FP64", np.float64),
    "calls": ("INT64", np.int64),
    "plan": ("BYTES", np.object_),
    "sleep": ("FP64", np.float64),
}


class Seen:
    """What the replica tells those who watch."""

    def __init__(self) -> None:
        self.all: list[Observed] = []

    def see(self, observed: Observed) -> None:
        self.all.append(observed)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@contextmanager
def replica(first: Built, second: Built) -> Iterator[tuple[Replica, str, str, Seen]]:
    """Version 2 holds the stage and version 1 is last-known-good; served on one port for each protocol."""
    stage, seen = HandMovedStage(), Seen()
    stage.move(pointer(2, second), pointer(1, first))
    made = replica_of(stage, Shelf(first, second))
    made.observers = (seen,)
    with listen() as listening, reserved("127.0.0.1", 0) as held:
        at = address_of(held).removeprefix("http://")
        app = replica_app(made, overriding=Secret(TOKEN.encode()), doors=[grpc_door(at)])
        with serving(app, listening):
            asyncio.run(until(lambda: made.route is not None and made.route.standby is not None, "the standby"))
            yield made, address_of(listening).removeprefix("http://"), at, seen


def inputs(client: Any) -> list[Any]:
    made = []
    for name, (datatype, dtype) in KINDS.items():
        one = client.InferInput(name, [len(ROWS)], datatype)
        one.set_data_from_numpy(np.array([row[name] for row in ROWS], dtype=dtype))
        made.append(one)
    return made


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_client_of_the_protocol_is_answered_in_full(first: Built, second: Built, protocol: str) -> None:
    library: Any = over_http if protocol == "http" else over_grpc
    with replica(first, second) as (_, http, grpc, seen):
        client = library.InferenceServerClient(http if protocol == "http" else grpc)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("churn")
        assert client.is_model_ready("churn", "1")
        described = client.get_model_metadata("churn")
        described = described if protocol == "http" else over_grpc_json(described)
        assert {one["name"]: one["datatype"] for one in described["inputs"]} == {n: k for n, (k, _) in KINDS.items()}
        assert described["versions"] == ["2", "1"]

        found = client.infer("churn", inputs(library), request_id="abc")
        said = found.get_response() if protocol == "http" else over_grpc_json(found.get_response())
        assert (said["model_name"], said["model_version"], said["id"]) == ("churn", "2", "abc")
        assert found.as_numpy("predictions").tolist() == second.outputs.predictions
        assert np.allclose(found.as_numpy("scores"), second.outputs.scores)

        wanted = [library.InferRequestedOutput("scores")]
        found = client.infer("churn", inputs(library), outputs=wanted, model_version="2")
        assert found.as_numpy("predictions") is None
        assert found.as_numpy("scores").shape == (40, 2)

        with pytest.raises(InferenceServerException, match="token"):
            client.infer("churn", inputs(library), model_version="1")
        may = {"authorization": f"Bearer {TOKEN}"}
        found = client.infer("churn", inputs(library), model_version="1", headers=may)
        assert found.as_numpy("predictions").tolist() == first.outputs.predictions
        with pytest.raises(InferenceServerException, match="does not hold version '9'"):
            client.infer("churn", inputs(library), model_version="9", headers=may)
        with pytest.raises(InferenceServerException, match="does not serve 'other'"):
            client.infer("other", inputs(library))
        with pytest.raises(InferenceServerException, match="the rows lack calls, sleep"):
            client.infer("churn", inputs(library)[::2])
        client.close()
    assert [(one.reason, one.live.number, one.error) for one in seen.all] == [
        ("primary", 2, None),
        ("primary", 2, None),
        ("override", 1, None),
        ("primary", 2, "invalid_input"),
    ]


def over_grpc_json(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found


def test_grpc_names_the_version_in_its_metadata_and_keeps_what_is_inside(first: Built, second: Built) -> None:
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    raising = service_pb2.ModelInferRequest(model_name="churn")
    for name, values in (("age", [1.0]), ("calls", [1]), ("plan", [b"raise"]), ("sleep", [0.0])):
        one = raising.inputs.add(name=name, datatype=KINDS[name][0], shape=[1])
        place = {"FP64": "fp64_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}[KINDS[name][0]]
        getattr(one.contents, place).extend(values)
    good = service_pb2.ModelInferRequest.FromString(raising.SerializeToString())
    good.inputs[2].contents.bytes_contents[0] = b"basic"
    with replica(first, second) as (_, _, at, _), grpc.insecure_channel(at) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer, call = stub.ModelInfer.with_call(good, metadata=(("x-request-id", "abc"),))
        assert answer.parameters["digest"].string_param == str(second.digest)
        said = dict(call.initial_metadata())
        assert (said["x-model-version"], said["x-model-digest"]) == ("2", str(second.digest))
        assert (said["x-route-epoch"], said["x-route-reason"], said["x-request-id"]) == ("1", "primary", "abc")

        with pytest.raises(grpc.RpcError) as failed:
            stub.ModelInfer(raising)
        error: Any = failed.value
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in error.details()
        assert dict(error.trailing_metadata())["x-holdfast-code"] == "bundle_failed"
        assert dict(error.initial_metadata())["x-model-version"] == "2"
        good.inputs[0].ClearField("contents")
        with pytest.raises(grpc.RpcError) as failed:
            stub.ModelInfer(good)
        error = failed.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details().startswith("column 'age': 1 values were expected for the shape [1], 0 were sent")


def test_a_canary_takes_its_share_over_grpc_and_those_who_name_the_version_are_none_of_it(
    first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replica(first, second) as (made, http, at, seen):
        route = made.route
        assert route is not None
        assert route.standby is not None
        key = KeySource.parse("header:x-user")
        everybody = Canary(live=route.standby, share=WHOLE, salt="s", key=key, rollout=1, step=0)
        monkeypatch.setattr(made, "_route", replace(route, canary=everybody))
        for library, address in ((over_http, http), (over_grpc, at)):
            client: Any = library.InferenceServerClient(address)
            found = client.infer("churn", inputs(library), headers={"x-user": "ana"})
            assert found.as_numpy("predictions").tolist() == first.outputs.predictions
            found = client.infer("churn", inputs(library), headers={"x-holdfast-version": "2"})
            assert found.as_numpy("predictions").tolist() == second.outputs.predictions
            client.close()
    said = [(one.reason, one.live.number, one.key) for one in seen.all]
    assert said == [("canary", 1, "ana"), ("primary", 2, None)] * 2


def test_before_anything_is_open_grpc_says_try_again(first: Built) -> None:
    async def work() -> None:
        import grpc
        from tritonclient.grpc import service_pb2, service_pb2_grpc

        async with running(HandMovedStage(), Shelf(first)) as waiting:
            with reserved("127.0.0.1", 0) as held:
                at = address_of(held).removeprefix("http://")
                app = replica_app(waiting, doors=[grpc_door(at)])
                async with app.router.lifespan_context(app), grpc.aio.insecure_channel(at) as channel:
                    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
                    live = await stub.ServerLive(service_pb2.ServerLiveRequest())
                    ready = await stub.ServerReady(service_pb2.ServerReadyRequest())
                    model = await stub.ModelReady(service_pb2.ModelReadyRequest(name="churn"))
                    assert (live.live, ready.ready, model.ready) == (True, False, False)
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await stub.ModelInfer(service_pb2.ModelInferRequest(model_name="churn"))
                    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

    run(work)


def test_a_port_that_another_replica_has_is_an_error_at_once() -> None:
    with reserved("127.0.0.1", 0) as held, pytest.raises(Unavailable):
        reserved(*held.getsockname()[:2])

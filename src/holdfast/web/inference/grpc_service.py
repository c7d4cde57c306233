"""The Open Inference Protocol over gRPC: another way in to the same answers, on the same event loop.

    app = replica_app(replica, doors=[grpc_door("127.0.0.1:8082")])

gRPC's Python server polls in a thread of its own and wakes the loop that it was made on through a socket, so it runs on
uvloop as on any other. It is made after the process has been forked, and on one loop of each process: gRPC wakes every
loop that it has seen for every event, and all but one complain (grpc/grpc#25364).

As over HTTP the route is taken once for each request, and each answer names the version: in its message, and in the
initial metadata `x-model-version`, `x-model-digest`, `x-route-epoch`, `x-route-reason` and `x-request-id`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from holdfast.errors import HoldfastError, MissingExtra, Unavailable
from holdfast.runtime.frames import BODY_BYTES_MAX
from holdfast.web.inference.answering import Answering, addressed, named_in
from holdfast.web.inference.app import Door
from holdfast.web.inference.assigning import assigned
from holdfast.web.inference.bodies import REQUEST_BYTES_MAX
from holdfast.web.inference.endpoints import model_described, server_described
from holdfast.web.inference.grpc_messages import SERVICE, messages
from holdfast.web.inference.grpc_tensors import answer_message, asked_of, tensors
from holdfast.web.inference.refusals import silent, told
from holdfast.web.inference.stamp import Spoken, request_id, traceparent
from holdfast.web.problems import status_of

if TYPE_CHECKING:
    import grpc

__all__ = ["GRPC_STATUS", "grpc_door", "require_grpc"]

_LOG = logging.getLogger("holdfast.serving")

_AT_ONCE_MAX = 1024
"""Requests that are looked at together; as many again as may wait for one version, for those that are refused."""

_IN_A_THREAD_BYTES_MIN = 1 << 16
"""A message from here on is turned in a thread: the loop answers everybody else meanwhile."""

_FINISH_SECONDS = 30.0
"""What requests in flight get to finish when the process is told to stop, as over HTTP."""

GRPC_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""gRPC's name for each HTTP status of an error; what is not here is INTERNAL."""


class _Given(NamedTuple):
    """What comes with a request beside its message."""

    spoken: Spoken
    headers: Mapping[bytes, bytes]
    seconds: float | None


_Call: TypeAlias = Callable[[Any, _Given], Awaitable[Any]]


def require_grpc() -> None:
    """Go on only where gRPC can be spoken. Nothing is imported: its library must not be loaded before a fork.

    Raises:
        MissingExtra: grpcio or protobuf is not installed.
    """
    for name, module in (("grpcio", "grpc"), ("protobuf", "google.protobuf")):
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise MissingExtra(f"gRPC needs {name}", hint="Install it: pip install 'holdfast[grpc]'")


def grpc_door(address: str) -> Door:
    """The way in over gRPC, to be opened with the application.

    Args:
        address: host and port to listen on, which `reserved` holds for this replica: all its processes listen there.

    Raises:
        MissingExtra: grpcio or protobuf is not installed.
    """
    require_grpc()
    import grpc

    known = messages()
    options = [
        ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
        ("grpc.max_send_message_length", BODY_BYTES_MAX),
        ("grpc.so_reuseport", 1),
    ]

    @asynccontextmanager
    async def door(answering: Answering) -> AsyncIterator[None]:
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_AT_ONCE_MAX)
        calls = {
            name: grpc.unary_unary_rpc_method_handler(
                _stamped(name, call, answering),
                request_deserializer=known[f"{name}Request"].FromString,
                response_serializer=known[f"{name}Response"].SerializeToString,
            )
            for name, call in _calls(answering).items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, calls),))
        try:
            server.add_insecure_port(address)
        except RuntimeError as error:
            raise Unavailable(f"gRPC cannot listen on {address}", hint="Choose another port.") from error
        await server.start()
        _LOG.info("%s@%s: gRPC at %s", answering.replica.model, answering.replica.stage, address)
        try:
            yield
        finally:
            await server.stop(_FINISH_SECONDS)

    return door


def _calls(answering: Answering) -> dict[str, _Call]:
    """The calls of the protocol, each by its name."""
    known, replica = messages(), answering.replica

    async def live(_: Any, __: _Given) -> Any:
        return known["ServerLiveResponse"](live=True)

    async def ready(_: Any, __: _Given) -> Any:
        return known["ServerReadyResponse"](ready=replica.ready)

    async def model_ready(request: Any, given: _Given) -> Any:
        try:
            held = addressed(given.spoken, replica, request.name, request.version or None)
        except Unavailable:
            return known["ModelReadyResponse"](ready=False)
        return known["ModelReadyResponse"](ready=held.up)

    async def server(_: Any, given: _Given) -> Any:
        said = server_described(given.spoken)
        return known["ServerMetadataResponse"](name=said["name"], version=said["version"], extensions=[])

    async def model(request: Any, given: _Given) -> Any:
        held = addressed(given.spoken, replica, request.name, request.version or None)
        said = model_described(given.spoken, replica, held)
        message = known["ModelMetadataResponse"](
            name=said["name"], versions=said["versions"], platform=said["platform"]
        )
        return tensors(said, message)

    async def infer(request: Any, given: _Given) -> Any:
        spoken, headers, seconds = given
        named = request.model_version or named_in(headers)
        held = await answering.chosen(spoken, request.model_name, named, headers)
        large = request.ByteSize() >= _IN_A_THREAD_BYTES_MIN
        asked = await asyncio.to_thread(asked_of, request) if large else asked_of(request)
        asked = asked._replace(seconds=seconds)
        if named is None:
            held = assigned(spoken, held, headers.items(), asked)
        answer = await answering.score(spoken, held, asked)
        large = len(answer) >= _IN_A_THREAD_BYTES_MIN
        raw = len(request.raw_input_contents) > 0
        message = await asyncio.to_thread(answer_message, answer, raw=raw) if large else answer_message(answer, raw=raw)
        answering.tell(spoken, held, asked, answer)
        return message

    return {
        "ServerLive": live,
        "ServerReady": ready,
        "ModelReady": model_ready,
        "ServerMetadata": server,
        "ModelMetadata": model,
        "ModelInfer": infer,
    }


def _stamped(name: str, call: _Call, answering: Answering) -> "Callable[[Any, grpc.aio.ServicerContext], Any]":
    """One call with the route taken once, the answer stamped, and errors as gRPC has them."""
    import grpc

    async def stamped(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
        headers = _headers(context.invocation_metadata())
        route = answering.replica.take()
        spoken = Spoken(route, request_id(headers.get(b"x-request-id")), traceparent(headers.get(b"traceparent")))
        given = _Given(spoken, headers, context.time_remaining())
        try:
            try:
                answer = await call(request, given)
            except HoldfastError as error:
                said = told(error, f"gRPC {name}", spoken)
                status = GRPC_STATUS.get(status_of(error), "INTERNAL")
            except Exception as error:  # noqa: BLE001 - the edge of the process: gRPC would tell the caller all of it
                _LOG.critical("gRPC %s: an unexpected error", name, exc_info=error)
                said, status = silent("unexpected"), "INTERNAL"
            else:
                await context.send_initial_metadata(_metadata(spoken))
                return answer
            context.set_trailing_metadata((("x-holdfast-code", str(said["code"])),))
            await context.send_initial_metadata(_metadata(spoken))
            await context.abort(grpc.StatusCode[status], f"{said['message']}. {said['hint']}")
        finally:
            answering.replica.leave(route)

    return stamped


def _headers(metadata: Any) -> dict[bytes, bytes]:
    """The metadata of a request as headers; gRPC has them in lower case already."""
    pairs = metadata or ()
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in pairs}


def _metadata(spoken: Spoken) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode(), value.decode()) for name, value in spoken.headers())

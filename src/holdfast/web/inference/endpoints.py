"""The routes of a replica that do not score: health, and what the Open Inference Protocol (V2) asks about a model.

What a route answers is a function of the replica and of the `Spoken` of the request; the routes themselves only parse,
call and present.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from holdfast.canonical import JsonObject
from holdfast.registry import ReplicaState
from holdfast.serving.bucketing import WHOLE
from holdfast.serving.live import Live
from holdfast.serving.replica import Replica
from holdfast.serving.route import Canary
from holdfast.web.inference.answering import addressed
from holdfast.web.inference.stamp import SCOPE_KEY, Spoken

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["health_routes", "model_described", "server_described", "v2_routes"]

_DATATYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""The protocol's name for each dtype of a feature schema; everything else travels as BYTES."""


def _status(spoken: Spoken, replica: Replica) -> JsonObject:
    """What `/version` and `/readyz` say: who answers now, and whether that is who should."""
    live, route, report = spoken.live, spoken.route, replica.report()
    return {
        "model": str(replica.model),
        "stage": str(replica.stage),
        "version": None if live is None else live.number,
        "digest": None if live is None else str(live.digest),
        "epoch": None if route is None else route.epoch,
        "last_known_good": None if route is None or route.standby is None else route.standby.number,
        "canary": None if route is None or route.canary is None else _canary(route.canary),
        "replica": replica.id,
        "state": str(report.state),
        "error": "the stage's version could not be opened" if report.state is ReplicaState.FAILED else None,
    }


def _canary(canary: Canary) -> JsonObject:
    return {
        "version": canary.live.number,
        "digest": str(canary.live.digest),
        "share": canary.share / WHOLE,
        "rollout": canary.rollout,
        "step": canary.step,
    }


def model_described(spoken: Spoken, replica: Replica, live: Live) -> JsonObject:
    """The model as the V2 protocol describes it: tensors in and out, and which version says so."""
    columns = () if live.schema is None else live.schema.columns
    return {
        "name": str(replica.model),
        "versions": [] if spoken.route is None else [str(one.number) for one in spoken.route.lives],
        "platform": "holdfast",
        "inputs": [
            {"name": column.name, "datatype": _DATATYPES.get(column.dtype, "BYTES"), "shape": [-1]}
            for column in columns
        ],
        "outputs": live.outputs,
        "parameters": {"model_version": str(live.number), "digest": str(live.digest)},
    }


def server_described(spoken: Spoken) -> JsonObject:
    """The server as the V2 protocol describes it, and the version that it answers with."""
    try:
        own = version("holdfast")
    except PackageNotFoundError:
        own = "unknown"
    said = {} if spoken.live is None else {"model_version": str(spoken.live.number), "digest": str(spoken.live.digest)}
    return {"name": "holdfast", "version": own, "extensions": [], "parameters": said}


def health_routes(replica: Replica) -> "APIRouter":
    """`/healthz`, `/readyz`, `/ping` and `/version`."""
    from fastapi import APIRouter, Request
    from fastapi.responses import JSONResponse, Response

    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> Response:
        """The process runs; it may still be loading."""
        return JSONResponse({"status": "ok"})

    @routes.get("/readyz")
    async def readyz(request: Request) -> Response:
        """A request that came now would be answered; 503 otherwise, with the reason."""
        return JSONResponse(
            {"ready": replica.ready, **_status(request.scope[SCOPE_KEY], replica)}, 200 if replica.ready else 503
        )

    @routes.get("/ping")
    async def ping() -> Response:
        """`/readyz` for MLflow's and SageMaker's probes: a status and no body."""
        return Response(status_code=200 if replica.ready else 503)

    @routes.get("/version")
    async def which(request: Request) -> Response:
        """The version that answers, its digest, and the stage's epoch."""
        return JSONResponse(_status(request.scope[SCOPE_KEY], replica))

    return routes


def v2_routes(replica: Replica) -> "APIRouter":
    """The Open Inference Protocol: health, and what the model takes and gives; `scoring.py` has `infer`."""
    from fastapi import APIRouter, Request
    from fastapi.responses import JSONResponse, Response

    routes = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @routes.get("")
    async def server(request: Request) -> Response:
        """The server, and the version that it answers with."""
        return JSONResponse(server_described(request.scope[SCOPE_KEY]))

    @routes.get("/health/live")
    async def live() -> Response:
        """The process runs."""
        return JSONResponse({"live": True})

    @routes.get("/health/ready")
    async def ready() -> Response:
        """A request that came now would be answered."""
        return JSONResponse({"ready": replica.ready}, 200 if replica.ready else 503)

    @routes.get("/models/{model}")
    @routes.get("/models/{model}/versions/{number}")
    async def model_of(request: Request, model: str, number: str | None = None) -> Response:
        """The tensors that a held version takes and gives."""
        spoken = request.scope[SCOPE_KEY]
        return JSONResponse(model_described(spoken, replica, addressed(spoken, replica, model, number)))

    @routes.get("/models/{model}/ready")
    @routes.get("/models/{model}/versions/{number}/ready")
    async def model_ready(request: Request, model: str, number: str | None = None) -> Response:
        """Whether a held version would answer now."""
        held = addressed(request.scope[SCOPE_KEY], replica, model, number)
        return JSONResponse({"name": model, "ready": held.up}, 200 if held.up else 503)

    return routes

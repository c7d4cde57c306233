"""What a server says of itself to MLflow's clients.

`holdfast` in the server's information is no field of MLflow's: by it the plugin knows where it is.
"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.config import VERSION
from holdfast.service.line import API
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import V3, Endpoint
from holdfast.web.mlflow.room import Here

__all__ = ["ENDPOINTS", "SPOKEN"]

SPOKEN = "3.18.0"
"""The version of MLflow whose protocol is spoken here: its tracing asks before it sends."""


async def health(_: Request, __: Here) -> Response:
    """That somebody is there."""
    return PlainTextResponse("OK")


async def version(_: Request, __: Here) -> Response:
    """The version of the protocol."""
    return PlainTextResponse(SPOKEN)


def server_info(_: Asked, here: Here) -> JsonObject:
    """What a client may ask for.

    Files in parts, and in ranges, are asked for by URLs. Clients are told of them where somebody has said which address
    leads here: one that a proxy hides would break what goes through in one request.
    """
    is_known = here.shelf.public_url is not None
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": is_known,
        "multipart_downloads_enabled": is_known,
        "artifact_serving_enabled": True,
        "presigned_upload_run_id_supported": False,
        "presigned_upload_model_id_supported": False,
        "model_artifact_presigned_downloads_supported": False,
        "features_enabled": {"gateway": False, "scheduled_issue_detection": False},
        "tracking_auth": "",
        "artifacts_presigned_only": False,
        "holdfast": {"version": VERSION, "api": API},
    }


ENDPOINTS = (
    Endpoint("GET", "/health", None, streams=health),
    Endpoint("GET", "/version", None, streams=version),
    Endpoint("GET", f"{V3}/server-info", Role.VIEWER, answers=server_info),
)

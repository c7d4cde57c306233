"""Our errors in the shape that MLflow's clients read: a code of MLflow's, its status, and one text.

An error whose details have `mlflow` names MLflow's code itself, where ours says less than MLflow's clients tell apart.
"""

from types import MappingProxyType

from starlette.responses import Response

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError
from holdfast.web.mlflow.telling import tell

__all__ = ["CODES", "STATUSES", "refusal", "refused"]

STATUSES = MappingProxyType(
    {
        "BAD_REQUEST": 400,
        "INVALID_PARAMETER_VALUE": 400,
        "RESOURCE_ALREADY_EXISTS": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "RESOURCE_DOES_NOT_EXIST": 404,
        "NOT_FOUND": 404,
        "ENDPOINT_NOT_FOUND": 404,
        "RESOURCE_CONFLICT": 409,
        "RESOURCE_EXHAUSTED": 429,
        "INTERNAL_ERROR": 500,
        "INVALID_STATE": 500,
        "DATA_LOSS": 500,
        "NOT_IMPLEMENTED": 501,
        "TEMPORARILY_UNAVAILABLE": 503,
    }
)
"""MLflow's codes and the statuses that carry them."""

CODES = MappingProxyType(
    {
        "not_found": "RESOURCE_DOES_NOT_EXIST",
        "already_exists": "RESOURCE_ALREADY_EXISTS",
        "usage": "INVALID_PARAMETER_VALUE",
        "invalid_input": "INVALID_PARAMETER_VALUE",
        "too_large": "INVALID_PARAMETER_VALUE",
        "wrong_bytes": "INVALID_PARAMETER_VALUE",
        "unsupported_format": "INVALID_PARAMETER_VALUE",
        "incomplete_version": "PERMISSION_DENIED",
        "gate_refused": "PERMISSION_DENIED",
        "approval_required": "PERMISSION_DENIED",
        "permission_refused": "PERMISSION_DENIED",
        "archived": "PERMISSION_DENIED",
        "unauthenticated": "UNAUTHENTICATED",
        "stage_moved": "RESOURCE_CONFLICT",
        "integrity": "DATA_LOSS",
        "unavailable": "TEMPORARILY_UNAVAILABLE",
        "busy": "TEMPORARILY_UNAVAILABLE",
    }
)
"""Our codes and what they are to MLflow; the others are its `INTERNAL_ERROR`."""

_CLASSES = MappingProxyType(
    {
        "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
        "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
        "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
        "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
        "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
        "NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
        "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
        "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
        "INVALID_STATE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
        "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    }
)
"""What MLflow 3.18 says beside its codes; beside the others it says nothing."""


_SIGN_IN = "Set MLFLOW_TRACKING_TOKEN to a token of this server; holdfast token create makes one."
"""An MLflow client reads neither HOLDFAST_TOKEN nor what `holdfast login` keeps, of which our own hint speaks."""


def refusal(error: HoldfastError) -> tuple[int, JsonObject]:
    """The status and the body of an error.

    Its hint follows the message where the error is one that MLflow does not know: a text of MLflow's stays as it is.
    """
    code = str(error.details.get("mlflow", CODES.get(error.code, "INTERNAL_ERROR")))
    message = error.message
    if error.code == "unauthenticated":
        message = f"{message}. {_SIGN_IN}"
    elif error.code not in {"not_found", "already_exists", "usage", "too_large"} and error.hint:
        lines = error.hint.split("\n")
        # MLflow's client prints the message as it is: a list of things to do stays one.
        message += f". {error.hint}" if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)
    body: JsonObject = {"error_code": code, "message": message}
    if code in _CLASSES:
        body |= dict(zip(("sqlstate", "error_class"), _CLASSES[code], strict=True))
    return STATUSES[code], body


def refused(status: int, said: JsonObject) -> Response:
    """The answer that carries an error; one who is not known hears how to say who they are."""
    headers = {"www-authenticate": 'Basic realm="mlflow"'} if said["error_code"] == "UNAUTHENTICATED" else None
    return tell(said, status, headers)

"""Which paths belong to MLflow's protocol."""

__all__ = ["FILES", "OPEN", "concerns", "is_linked"]

OPEN = frozenset({"/health", "/version"})
"""What everybody is answered, whoever they are."""

FILES = "/api/2.0/mlflow-artifacts"
"""Below here are the files that clients read and write."""

_LINKED = (("GET", f"{FILES}/artifacts/"), ("PUT", f"{FILES}/mpu/parts/"))
"""What links lead to: see `links.py`."""

_ROOTS = ("/api/2.0/", "/api/3.0/", "/api/2.0mlflow/", "/ajax-api/")
_PLACES = frozenset({"/health", "/version", "/v1/traces", "/get-artifact", "/model-versions/get-artifact", "/graphql"})


def concerns(path: str) -> bool:
    """Whether a path belongs to MLflow's protocol."""
    return path.startswith(_ROOTS) or path in _PLACES


def is_linked(method: str, path: str) -> bool:
    """Whether a client may have been given a link to ask this."""
    return any(method == one and path.startswith(below) for one, below in _LINKED)

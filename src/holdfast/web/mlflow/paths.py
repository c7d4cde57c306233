"""Which paths belong to MLflow's protocol."""

__all__ = ["OPEN", "concerns"]

OPEN = frozenset({"/health", "/version"})
"""What everybody is answered, whoever they are."""

_ROOTS = ("/api/2.0/", "/api/3.0/", "/api/2.0mlflow/", "/ajax-api/")
_PLACES = frozenset({"/health", "/version", "/v1/traces", "/get-artifact", "/model-versions/get-artifact", "/graphql"})


def concerns(path: str) -> bool:
    """Whether a path belongs to MLflow's protocol."""
    return path.startswith(_ROOTS) or path in _PLACES

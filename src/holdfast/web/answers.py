"""Answers as JSON, for every part of the HTTP edge."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from holdfast.canonical import Json

__all__ = ["answer"]


def answer(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The JSON of a value."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, headers, media_type="application/json")

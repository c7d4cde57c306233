"""Asking a Holdfast server: one line to it, with its errors, its patience and its limits.

    line = Line("https://registry.example.org", token="hf_…")
    line.get("/models")                              -> what the answer's JSON holds
    line.send("POST", "/models", {"model": "churn"}, actor="ana")

`registry.http`, `tracking.http` and `store.remote.service` speak over it; nothing here knows what they say.
"""

from holdfast.service.line import Line

__all__ = ["Line"]

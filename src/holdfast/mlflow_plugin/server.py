"""Which tracking server is Holdfast: it says so in its server-info, which MLflow's servers have too."""

import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import http_request

try:
    from mlflow.utils.credentials import get_default_host_creds
except ImportError:  # MLflow 2.9 keeps it elsewhere, under another name
    from mlflow.tracking._tracking_service.utils import _get_default_host_creds as get_default_host_creds

__all__ = ["Server", "find_server", "get_default_host_creds", "known_server"]

_INFO = "/api/3.0/mlflow/server-info"

_ANSWER_SECONDS_MAX = 3
"""As MLflow's own client waits for this answer."""

_SILENCE_SECONDS = 60.0
"""A server that answered neither us nor MLflow is not asked again sooner: the script waits for each question."""


@dataclass(frozen=True, slots=True)
class Server:
    """A tracking server that was asked.

    Attributes:
        uri: its address, as MLflow was given it; a password may stand in it.
        is_holdfast: whether it is ours; None: it did not answer.
        token: the identity that MLflow's client shows to it.
        asked: when, by a clock that nobody sets.
    """

    uri: str
    is_holdfast: bool | None
    token: str | None = field(repr=False)
    asked: float

    @property
    def address(self) -> str:
        """Its address without the name and the password that may stand in it: what may be kept, and shown."""
        parts = urlsplit(self.uri)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


_known: dict[str, Server] = {}


def find_server(uri: str, *, awake: bool = False) -> Server:
    """What is known of the server at `uri`; it is asked once, and again where it did not answer.

    Whatever is no address of HTTP is somebody else's, and is not asked.

    Args:
        uri: the address.
        awake: MLflow's client just had an answer from there: the server may have been starting when it was asked first.
    """
    if urlsplit(uri).scheme not in {"http", "https"}:
        return Server(uri, is_holdfast=False, token=None, asked=0.0)
    known = _known.get(uri)
    if known is None or (known.is_holdfast is None and (awake or time.monotonic() - known.asked > _SILENCE_SECONDS)):
        known = _known[uri] = _ask(uri)
    return known


def known_server(uri: str) -> Server | None:
    """What is known of the server at `uri` without asking it."""
    return _known.get(uri)


def _ask(uri: str) -> Server:
    credentials = get_default_host_creds(uri)
    told = urlsplit(uri).password  # which MLflow's client sends before what its variables say
    token = unquote(told) if told else credentials.token or credentials.password
    try:
        answer = http_request(
            credentials, _INFO, "GET", max_retries=0, timeout=_ANSWER_SECONDS_MAX, raise_on_status=False
        )
    except MlflowException:  # it does not answer; the script will meet that by itself
        return Server(uri, None, token, time.monotonic())
    return Server(uri, _says_holdfast(answer), token, time.monotonic())


def _says_holdfast(answer: Any) -> bool:
    try:
        said = answer.json()
    except ValueError:
        return False
    return answer.status_code == 200 and isinstance(said, dict) and isinstance(said.get("holdfast"), dict)  # noqa: PLR2004

"""What the calls share: the client, what earlier ones have made, and answers without what changes by itself."""

import json
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import mlflow

__all__ = ["Call", "Walk", "plain"]

Call = tuple[str, Callable[["Walk"], object]]
"""The name of a public call, or `edge: ` and what is asked, and what asks it."""

_TIMES = re.compile(r"(time|timestamp|timestamp_ms|time_ms|time_ns|duration|duration_ms|_at)$")
_CHANGING = frozenset(
    {"mlflow.source.name", "mlflow.source.git.commit", "mlflow.user", "user_id", "mlflow.source.type"}
)
_HEX = re.compile(r"\b(?:m-|tr-|s-)?[0-9a-f]{32}\b|\bwh_[0-9a-f]{20}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOO_EXACT = re.compile(
    r" Error: .*| Valid keys are .*| with exception HTTPConnectionPool.*| Response text: .*",
    re.DOTALL,
)
"""Ends of messages that speak of the server's own database, retries, or what else it could have understood."""
_SET = re.compile(r"\{('[^{}]*')\}")
_HERE = re.compile(r'^\{"tags": \{"mlflow\.user".*', re.DOTALL)
_LONG = re.compile(r"\b\d{13,19}\b")


class Walk:
    """One walk over all calls, against one server."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.client = mlflow.MlflowClient()
        self._kept: dict[str, Any] = {}
        self._words: dict[str, str] = {}

    def keep(self, name: str, value: Any) -> Any:
        """Keep a value for later calls, under a name."""
        self._kept[name] = value
        return value

    def __getattr__(self, name: str) -> Any:
        try:
            return self._kept[name]
        except KeyError:
            raise AttributeError(f"an earlier call has not made {name}") from None

    def file(self, name: str, text: str) -> str:
        """A new file with this text."""
        path = Path(tempfile.mkdtemp(dir=self.folder)) / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def ask(self, asks: Callable[["Walk"], object]) -> dict[str, Any]:
        """What a call answers: a plain value, or how it was refused."""
        try:
            return {"answer": self._settled(plain(asks(self)))}
        except mlflow.MlflowException as error:
            return {"refused": error.error_code, "message": self._words_of(str(error.message))}
        except Exception as error:  # noqa: BLE001 - whatever a client raises is an answer of its server's
            return {"failed": type(error).__name__, "message": self._words_of(str(error))[:300]}

    def _settled(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            told = {name: inner for name, inner in value.items() if not str(inner).startswith("Incomplete, without ")}
            return {
                name: self._settled(inner, str(name))
                for name, inner in sorted(told.items())
                if name not in _CHANGING
                and not str(name).startswith("mlflow.source.git")
                and inner not in (None, {}, [])
            }
        if isinstance(value, list):
            settled = [self._settled(inner, key) for inner in value]
            return sorted(settled, key=str) if key == "metrics" else settled
        if isinstance(value, int | float) and not isinstance(value, bool) and value and _TIMES.search(key):
            return "<time>"
        if isinstance(value, str):
            return self._words_of(value)
        return value

    def _words_of(self, text: str) -> str:
        text = text.replace(self.url, "<server>").replace(str(self.folder), "<folder>")
        text = _TOO_EXACT.sub("...", text)
        text = _HERE.sub("<this script>", text)
        text = _SET.sub(lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", text)
        text = _HEX.sub(lambda found: self._words.setdefault(found[0], f"<id {len(self._words) + 1}>"), text)
        return _LONG.sub("<time>", text)


def plain(value: Any) -> Any:
    """As JSON could say it; what knows its properties says those."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if hasattr(value, "to_dict") and type(value).__name__ in {"DataFrame", "Series"}:
        return json.loads(value.to_json(orient="records"))
    if hasattr(value, "_properties"):
        return {str(key): plain(inner) for key, inner in value}
    if isinstance(value, Iterable):
        return [plain(inner) for inner in value]
    if hasattr(value, "__dict__"):
        return {str(key): plain(inner) for key, inner in vars(value).items() if not key.startswith("_")}
    return repr(value)

"""The log lines of a server, for people or for programs: one line for each request and for each thing that happens.

A program reads JSON: `time`, `level`, `process`, `event`, and what belongs to that event. The line of a request holds
no token, no body, no query and no path: of a path only the template of its route.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["LogFormat", "begin_logging", "printable"]

LogFormat = Literal["text", "json"]

_CHARACTERS_MAX = 200
"""Of what others say of themselves."""


_JSON = json.JSONEncoder(ensure_ascii=False, default=str, separators=(",", ":"))


class AsJson(logging.Formatter):
    """One JSON object a line. What a record carries as `said` becomes its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = dict(getattr(record, "said", {}))
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.process,
            "event": said.pop("event", "note"),
            **said,
        }
        if line["event"] != "request":
            line["message"] = record.getMessage()
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _JSON.encode(line)


def begin_logging(kind: LogFormat) -> None:
    """Have this process, and those it starts, write their log to standard error."""
    writing = logging.StreamHandler()
    writing.setFormatter(AsJson() if kind == "json" else logging.Formatter("%(asctime)s %(process)d %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[writing])
    for library in ("alembic", "httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)


def printable(text: str) -> str:
    """What others say of themselves, fit for a line: nothing in it begins another one."""
    short = text[:_CHARACTERS_MAX]
    return (
        short
        if short.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in short)
    )

"""Names of files as MLflow's clients write them: parsed once, and never again anything but a name.

No file of a disk is opened by such a name. It is kept to what can be written into a folder all the same, for clients
make folders of what they are told.
"""

import re
from pathlib import PureWindowsPath
from urllib.parse import unquote

from holdfast.errors import UsageError
from holdfast.names import RelativePath

__all__ = ["LAST", "bounds", "folders_of", "owner_of", "safe_path"]

_DECODINGS_MAX = 8
"""Clients decode what they are told until nothing changes; a name that is still another one by then is no name."""

LAST = "\U0010ffff"
"""No character, and greater than all that are."""

_CONTROL = re.compile(f"[\x00-\x1f\x7f\ufffd{LAST}]")
"""U+FFFD stands for bytes of a request that are no text: two such names would be one."""

_UNSAFE = ("#", "\\", "\x00")
"""What no name may hold, and none may come to hold by being decoded."""


def safe_path(text: str) -> str:
    """The path that a client means, with a single slash between its parts; empty for the root.

    Args:
        text: decoded once, as it comes out of a URL or a query.

    Raises:
        UsageError: `Invalid path`: with a control character; absolute, with `..`, `#` or a backslash, or one that
            becomes such a path for whoever decodes it once more; or longer than a path of a version may be. Other
            control characters may come out of that: older clients name images so, and all write them with `%` again.
    """
    if _CONTROL.search(text):
        raise _invalid(text)
    _refuse_unsafe(text)
    path = found = _plain(text)
    for _ in range(_DECODINGS_MAX):
        _refuse_unsafe(found)
        _refuse_unsafe(_plain(found))
        seen, found = found, unquote(found, errors="replace")
        if found == seen:
            break
    else:
        raise _invalid(text)
    if path:
        try:
            RelativePath(path)
        except UsageError as error:
            raise _invalid(text) from error
    return path


def folders_of(path: str) -> list[str]:
    """The folders that a path is in, the outermost first, and the path itself."""
    parts = path.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]


def owner_of(path: str) -> str:
    """What a file belongs to, for people: `run <id>`, `logged model <id>`, or where it stands."""
    first, kind, id_, *_ = [*path.split("/"), "", "", ""]
    if not id_:
        return f"files of {first}"
    return {"models": f"logged model {id_}", "traces": f"trace {id_}"}.get(kind, f"run {kind}")


def bounds(folder: str) -> tuple[str, str]:
    """Between these two stand all paths below a folder, and no other; everything is below the root."""
    return (f"{folder}/", f"{folder}0") if folder else ("", LAST)  # a nought follows the slash


def _plain(text: str) -> str:
    return "/".join(part for part in text.split("/") if part not in {"", "."})


def _refuse_unsafe(path: str) -> None:
    is_elsewhere = path.startswith(("/", "file:")) or PureWindowsPath(path).is_absolute()
    if is_elsewhere or any(mark in path for mark in _UNSAFE):
        raise _invalid(path)
    if ".." in path.split("/"):
        raise _invalid(path)


def _invalid(path: str) -> UsageError:
    return UsageError("Invalid path", hint="Write it relative, with plain names and slashes.", path=path[:200])

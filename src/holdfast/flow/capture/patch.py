r"""Patches that bring new files, in the format that `git apply` takes.

    additions_patch([Addition(b"features.py", b"WINDOW = 7\n")])

Made here, and not by adding the files to Git's index, because a capture must not touch the user's index, and a call to
`git diff --no-index` for each file would take as long as the rest of the capture.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Addition", "additions_patch"]

_PLAIN_NAME = re.compile(rb"[A-Za-z0-9._/+@,=-]+\Z")
_NO_NEWLINE = b"\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class Addition:
    """A file that the patch creates.

    Attributes:
        path: relative to the repository's root, as the file system spells it.
        data: its bytes; text, which is to say without a NUL.
        executable: whether its owner may run it.
    """

    path: bytes
    data: bytes
    executable: bool = False


def additions_patch(additions: Iterable[Addition]) -> bytes:
    """One patch that creates all the files."""
    return b"".join(_creates(addition) for addition in additions)


def _creates(addition: Addition) -> bytes:
    before, after = _quoted(b"a/" + addition.path), _quoted(b"b/" + addition.path)
    mode = b"100755" if addition.executable else b"100644"
    head = b"diff --git " + before + b" " + after + b"\nnew file mode " + mode + b"\n"
    if not addition.data:
        return head
    lines = addition.data.split(b"\n")
    ended = lines[-1] == b""
    if ended:
        lines.pop()
    count = b"1" if len(lines) == 1 else b"1,%d" % len(lines)
    body = b"".join(b"+" + line + b"\n" for line in lines)
    return (
        head
        + b"--- /dev/null\n+++ "
        + after
        + b"\n@@ -0,0 +"
        + count
        + b" @@\n"
        + body
        + (b"" if ended else _NO_NEWLINE)
    )


def _quoted(name: bytes) -> bytes:
    """A name as Git writes it: bytes that could be misread stand as octal escapes between quotes."""
    if _PLAIN_NAME.match(name):
        return name
    return (
        b'"' + b"".join(bytes([byte]) if _PLAIN_NAME.match(bytes([byte])) else b"\\%03o" % byte for byte in name) + b'"'
    )

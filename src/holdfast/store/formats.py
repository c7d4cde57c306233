"""Whether a document of the store is one that this Holdfast reads."""

import re

from holdfast.canonical import Reader
from holdfast.errors import UnsupportedFormat

__all__ = ["accepted_version"]

_VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\Z")


def accepted_version(document: Reader, *, name: str, major: int) -> str:
    """Take `format` and `version` from `document`; the version, when the format is `name` and its major is `major`.

    A newer minor version is read: it adds fields only, and those are kept.

    Raises:
        UnsupportedFormat: another format, another major version, or neither field.
    """
    found, version = document.text("format"), document.text("version")
    if found != name:
        raise UnsupportedFormat(
            f"{document.where}: the format is {found[:80]!r}; {name!r} was expected",
            hint="This is not what its place says it is; check which file or digest was given.",
            found=found[:80],
            expected=name,
        )
    match = _VERSION.match(version)
    if match is None or int(match[1]) != major:
        raise UnsupportedFormat(
            f"{document.where}: {name} {version[:80]!r} is not read by this Holdfast, which reads {major}.x",
            hint="Use the Holdfast that wrote it, or a newer one.",
            found=version[:80],
            expected=f"{major}.x",
        )
    return version

"""What a policy may name: what pickles may import, and the keys whose signatures count."""

import re

from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.formats import is_refused
from holdfast.runtime.key_files import is_fingerprint

__all__ = ["allowable", "nameable"]

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+\Z")


def allowable(name: str) -> bool:
    """A digest, or a name that can be allowed: what calls, finds or reads whatever it is given cannot be."""
    if ":" in name:
        try:
            Digest.parse(name)
        except UsageError:
            return False
        return True
    module, _, last = name.rpartition(".")
    return _NAME.match(name) is not None and not is_refused(module, last)


def nameable(key: str) -> bool:
    """The fingerprint of a key, written whole; or a file, which is looked for when it is needed."""
    return is_fingerprint(key) if key.startswith("sha256:") else bool(key.strip()) and key.isprintable()

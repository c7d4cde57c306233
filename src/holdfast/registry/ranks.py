"""The numbers of Python packages' versions, as texts that a database sorts as installers do (PEP 440).

    rank("1.9") < rank("1.26.0rc1") < rank("1.26") == rank("1.26.0") < rank("1.26.1")

The local part, behind a `+`, counts for nothing: `2.1.0+cu121` ranks as `2.1.0`.
"""

import re

__all__ = ["rank"]

_DIGITS_MAX = 18
"""Of one number in a version: calendar versions have eight; a rank stays short."""

_VERSION = re.compile(
    r"""v?(?:(?P<epoch>[0-9]+)!)?(?P<numbers>[0-9]+(?:\.[0-9]+)*)
        (?:[-_.]?(?P<stage>a|b|c|rc|alpha|beta|pre|preview)[-_.]?(?P<pre>[0-9]*))?
        (?:(?P<post>-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*))?
        (?:[-_.]?dev[-_.]?(?P<dev>[0-9]*))?
        (?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?""",
    re.VERBOSE | re.ASCII,
)

_STAGES = {"a": "1", "alpha": "1", "b": "2", "beta": "2"}
_CANDIDATE = "3"

_DEV, _FINAL, _POST, _MORE = "0", "4", "5", "6"
"""What follows the numbers, in the order in which it sorts; with `_MORE` another number does."""


def rank(version: str) -> str | None:
    """The text by which a version sorts; None for what is no version of a Python package."""
    found = _VERSION.fullmatch(version.strip().lower())
    if found is None or any(len(digits) > _DIGITS_MAX for digits in re.findall("[0-9]+", version.partition("+")[0])):
        return None
    numbers = found["numbers"].split(".")
    while len(numbers) > 1 and not int(numbers[-1]):
        numbers.pop()
    said = _number(found["epoch"]) + _MORE.join(_number(one) for one in numbers)
    if found["stage"] is not None:
        said += _STAGES.get(found["stage"], _CANDIDATE) + _number(found["pre"])
    if found["post"] is not None:
        said += _POST + _number("".join(re.findall("[0-9]", found["post"])))
    # A development version comes before what it becomes, and that before what follows it.
    return said + (_DEV + _number(found["dev"]) if found["dev"] is not None else _FINAL)


def _number(digits: str | None) -> str:
    """The number behind its length, so that texts sort as the numbers do."""
    plain = str(int(digits or "0"))
    return f"{len(plain):02d}{plain}"

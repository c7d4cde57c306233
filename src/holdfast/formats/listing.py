"""What a scan says about one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.canonical import JsonObject

__all__ = ["Ground", "Import", "Listing", "Standing", "printable", "worst"]

_SHOWN_CHARACTERS_MAX = 200
"""What is kept of a name that somebody wrote into a file; a real one takes sixty."""


class Standing(StrEnum):
    """What opening a file could do, from nothing to anything."""

    DATA = "data"
    ALLOWED = "allowed"
    UNREADABLE = "unreadable"
    CODE = "code"


_ORDER = tuple(Standing)


def worst(standings: Sequence[Standing]) -> Standing:
    """The worst of them; `data` when there is none."""
    return max(standings, key=_ORDER.index, default=Standing.DATA)


class Ground(StrEnum):
    """Why a name may be imported, or that it may not."""

    LISTED = "listed"
    OWN = "own"
    POLICY = "policy"
    REFUSED = "refused"


@dataclass(frozen=True, order=True, slots=True)
class Import:
    """One name that loading the file would import.

    Attributes:
        name: module and name, such as `os.system`.
        called: whether it would be called as well, with what the file gives it.
        ground: why it may be, or that it may not.
    """

    name: str
    called: bool
    ground: Ground

    def to_json(self) -> JsonObject:
        """One entry of `imports`."""
        return {"name": self.name, "called": self.called, "ground": str(self.ground)}


@dataclass(frozen=True, slots=True)
class Listing:
    """What one file is by its content, and what opening it could do.

    Attributes:
        kind: such as `pickle`, `npy` or `safetensors`; `unknown` when nothing recognises it.
        standing: the worst that was found.
        imports: every name that a pickle in it would import, in order.
        reasons: what else is to be said, one sentence each; never empty for `unreadable`.
        pickled: whether there is a pickle in it.
        own: whether it is a source of the bundle's own code, which runs by design.
    """

    kind: str
    standing: Standing
    imports: tuple[Import, ...] = ()
    reasons: tuple[str, ...] = ()
    pickled: bool = False
    own: bool = False

    @property
    def refused(self) -> tuple[str, ...]:
        """The names that stand on no ground."""
        return tuple(found.name for found in self.imports if found.ground is Ground.REFUSED)

    def to_json(self) -> JsonObject:
        """The listing as a verdict keeps it."""
        return {
            "kind": self.kind,
            "standing": str(self.standing),
            "imports": [found.to_json() for found in self.imports],
            "reasons": list(self.reasons),
            "own": self.own,
        }


def printable(text: str) -> str:
    """A text out of a file, safe to be shown and written down: short, and of characters only."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= _SHOWN_CHARACTERS_MAX else f"{shown[:_SHOWN_CHARACTERS_MAX]}…"

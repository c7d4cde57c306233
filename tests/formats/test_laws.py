"""Whatever the bytes are, a scan ends with a listing; and what an unpickler would import is never called data."""

import io
import pickle
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.canonical import encode, plain
from holdfast.formats import Budget, Standing, scan
from tests.effort import examples
from tests.formats.attacks import ATTACKS

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=12,
)
PICKLES = st.builds(pickle.dumps, VALUES, st.integers(0, 5)) | st.sampled_from(sorted(ATTACKS.values()))
INSTRUCTIONS = st.lists(
    st.sampled_from(
        [bytes((code,)) for code in range(256)]
        + [
            b"cos\nsystem\n",
            b"ios\nsystem\n",
            b"\x8c\x02os",
            b"\x8c\x06system",
            b"\x80\x04",
            b"I0\n",
            b"g0\n",
            b"p0\n",
            b"K\x00",
        ]
    ),
    max_size=14,
).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A pickle with a few of its bytes changed, left out or put in."""
    data = bytearray(draw(PICKLES))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 2)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 4))]
            case _:
                data[at:at] = draw(INSTRUCTIONS)
    return bytes(data)


class _Found(BaseException):
    """Nothing that an unpickler could catch."""


class Careful(pickle.Unpickler):
    """An unpickler that stops at the first name that it is asked to import: it imports nothing and calls nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0].isidentifier():
            raise _Found
        raise pickle.UnpicklingError(name)


class CarefulInPython(pickle._Unpickler):
    """The same, on the unpickler that is written in Python, as joblib's is."""

    find_class = Careful.find_class


_ASKS_FOR_ROOM, _FILLS_ROOM = b"\x96", b"r"
"""Instructions for which unpicklers take as much memory as a damaged pickle asks for."""


def would_import(data: bytes) -> bool:
    """Whether either unpickler comes to a name."""
    if _ASKS_FOR_ROOM in data:
        return False
    for kind in (CarefulInPython,) if _FILLS_ROOM in data else (Careful, CarefulInPython):
        try:
            kind(io.BytesIO(data)).load()
        except _Found:
            return True
        except (Exception, MemoryError):  # noqa: BLE001, S112 - unpicklers raise anything at all
            continue
    return False


@settings(max_examples=examples(400), deadline=None)
@given(st.binary(max_size=60) | mutated() | INSTRUCTIONS)
@example(b"I007\ncos\nsystem\n.")
@example(b"]Nbcos\nsystem\n.")
@example(b"cos\nsystem")
@example(b"isystem")
@example(b"(S'true'\nisystem")
@example(b"GIF89axxxcos\nsystem\n;")
def test_what_would_be_imported_is_never_called_data(data: bytes) -> None:
    found = scan(data, "x", budget=Budget(10_000, 1_000_000))
    encode(plain(found.to_json()))
    if would_import(data):
        assert found.standing is not Standing.DATA
    if found.standing is Standing.UNREADABLE:
        assert found.reasons


@settings(max_examples=examples(100), deadline=None)
@given(VALUES, st.integers(3, 5))
def test_a_pickle_of_plain_values_is_data(value: object, protocol: int) -> None:
    assert scan(pickle.dumps(value, protocol), "x").standing is Standing.DATA

"""An archive of every format that ever was is read bit by bit, and what it holds rests on what it always rested on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.canonical import decode
from holdfast.digest import hash_bytes
from holdfast.store.local import LocalStore
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.store.remote.remote import Remote
from tests.store.looking import files
from tests.store.remote.families import added, file_of, resting

MUSEUM = Path(__file__).parents[2] / "museum"
EXHIBITS = sorted(MUSEUM.glob("archive-*"))

_BYTES = 1_600


def _chance(seed: int) -> Iterator[int]:
    """A linear congruential generator (Numerical Recipes, 2nd edition, section 7.1), so that no library has a part."""
    while True:
        seed = (1_664_525 * seed + 1_013_904_223) % (1 << 32)
        yield seed >> 24


def _numbers(width: int, moved: int) -> bytes:
    """Numbers whose last byte is one of two; `moved` turns a few of their lowest bits over."""
    base, bits = _chance(width), _chance(moved)
    data = bytearray(
        next(base) if width == 1 or at % width < width - 1 else 0x3C + next(base) % 2 for at in range(_BYTES)
    )
    for at in range(0, _BYTES if moved else 0, width):
        data[at] ^= next(bits) % 8 == 0
    return bytes(data)


def _model(width: int, dtype: str, moved: int) -> bytes:
    return file_of({"w": _numbers(width, moved)}, dtype, width)


CONTENTS = [
    *(
        _model(width, dtype, moved)
        for width, dtype in ((1, "U8"), (2, "BF16"), (4, "F32"), (8, "F64"))
        for moved in (0, 9)
    ),
    b"".join(b"%d,%d\n" % (number, number * number) for number in range(150)),
    b"small",
]
"""What each of them holds: for each width a base and what was tuned from it; a text; a blob kept whole."""


@pytest.fixture(params=EXHIBITS, ids=lambda path: path.name)
def exhibit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "archive"))


def test_no_exhibit_is_lost() -> None:
    assert [path.name for path in EXHIBITS] == ["archive-3.0"]


def test_an_exhibit_is_read_directly_and_stays_as_it_is(exhibit: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in files(exhibit)}
    store = RemoteStore(Remote(FolderTransport(exhibit), tmp_path / "cache"), 1 << 20)
    assert list(store.digests()) == sorted(map(hash_bytes, CONTENTS))
    for data in CONTENTS:
        assert store.read(hash_bytes(data), bytes_max=5_000) == data
    assert store.check().ok
    assert {path: path.read_bytes() for path in files(exhibit)} == before


def test_an_exhibit_is_fetched_and_takes_more(exhibit: Path, tmp_path: Path) -> None:
    remote = Remote(FolderTransport(exhibit), tmp_path / "cache")
    assert {place.codec for _, place in resting(remote)} == {17, 18, 20, 24}
    store = LocalStore(tmp_path / "store")
    Incoming(store, remote).fetch([hash_bytes(data) for data in CONTENTS])
    for data in CONTENTS:
        assert store.read(hash_bytes(data), bytes_max=5_000) == data
    assert store.check().ok
    [digest] = added(store, _model(2, "BF16", 11))
    Outgoing(store.root, remote).send([digest], bases={digest: [hash_bytes(CONTENTS[2])]})
    assert RemoteStore(Remote(FolderTransport(exhibit), tmp_path / "other"), 1 << 20).check().ok
    assert decode((exhibit / "config.json").read_bytes(), what="config")["version"] == "3.0"

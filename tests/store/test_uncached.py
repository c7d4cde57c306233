"""Writing past the page cache gives the same bytes as any other way, whatever the system makes of it."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.store.uncached import UncachedWriter
from tests.effort import examples
from tests.store.looking import names

BYTES_MAX = 1 << 16


def written(folder: Path, pieces: list[bytes]) -> bytes:
    path = folder / str(len(names(folder)))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        writer = UncachedWriter(descriptor, BYTES_MAX)
        for piece in pieces:
            writer.write(piece)
    finally:
        os.close(descriptor)
    return path.read_bytes()


lengths = st.sampled_from([0, 1, 511, 512, 4095, 4096, 8192, 12288, BYTES_MAX]) | st.integers(0, BYTES_MAX)


@settings(deadline=None, max_examples=examples(60))
@given(lengths=st.lists(lengths, max_size=6))
def test_the_pieces_follow_one_another(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    pieces = [bytes([65 + number]) * length for number, length in enumerate(lengths)]
    assert written(tmp_path_factory.mktemp("files"), pieces) == b"".join(pieces)


def test_a_system_that_takes_odd_pieces_gets_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:1000])))
    assert written(tmp_path, [b"a" * 8192, b"b" * 4096, b"c"]) == b"a" * 8192 + b"b" * 4096 + b"c"


def test_a_system_that_does_not_know_this_way_is_written_to_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.fcntl

    def refuse(descriptor: int, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(descriptor, command, flags)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert written(tmp_path, [b"a" * 8192, b"b"]) == b"a" * 8192 + b"b"


def test_any_other_refusal_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, [b"a" * 4096])

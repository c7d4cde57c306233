"""Bytes come out as they went in, and never more of them than was said."""

import random
import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UnsupportedFormat
from holdfast.store.codec import PLAIN, ZSTD, pack_bytes, unpack_bytes

CODECS = [ZSTD, 2, 4, 8]

# Short random bytes do not shrink; repeated ones do, and their length is seldom a multiple of anything.
data = st.binary(max_size=300) | st.builds(
    lambda piece, times, rest: piece * times + rest,
    st.binary(min_size=1, max_size=16),
    st.integers(1, 200),
    st.binary(max_size=9),
)


def frame(plain: bytes, *, sized: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=sized).compress(plain)


@given(data, st.sampled_from(CODECS))
def test_what_was_packed_is_unpacked(plain: bytes, hint: int) -> None:
    codec, stored = pack_bytes(plain, hint)
    assert codec in {PLAIN, hint}
    assert len(stored) <= len(plain)
    assert unpack_bytes(codec, stored, len(plain)) == plain


@pytest.mark.parametrize("hint", CODECS)
@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 4095, 4096, 4097, 4099, 4103])
def test_every_codec_takes_every_length(hint: int, length: int) -> None:
    plain = (b"\x00\x3f" * length)[:length]
    codec, stored = pack_bytes(plain, hint)
    assert codec == (hint if length >= 64 else PLAIN)
    assert unpack_bytes(codec, stored, length) == plain


def test_what_does_not_shrink_is_kept_as_it_is() -> None:
    plain = random.Random(1).randbytes(5000)
    assert pack_bytes(plain) == (PLAIN, plain)


def test_numbers_with_like_exponents_shrink_once_they_are_split() -> None:
    chance = random.Random(1)
    plain = b"".join(bytes([chance.randrange(256), chance.randrange(256), 0x3F]) + b"\x3e" for _ in range(3000))
    assert len(pack_bytes(plain, 4)[1]) < len(pack_bytes(plain, ZSTD)[1])


@pytest.mark.parametrize("codec", [3, 5, 6, 7, 9, 255])
def test_a_codec_that_is_not_given_is_refused(codec: int) -> None:
    with pytest.raises(UnsupportedFormat):
        unpack_bytes(codec, b"x", 1)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sized", [True, False], ids=["sized", "unsized"])
def test_a_frame_never_gives_more_than_was_said(codec: int, sized: bool) -> None:
    bomb = frame(bytes(200_000_000), sized=sized)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"length|rror|bytes"):
            unpack_bytes(codec, bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_frame_that_lies_about_its_length_sets_nothing_aside() -> None:
    """The length in a frame's own header is what a decompressor would set aside."""
    honest = frame(bytes(1 << 20))
    parameters = zstandard.get_frame_parameters(honest)
    assert parameters.content_size == 1 << 20
    liar = honest.replace((1 << 20).to_bytes(4, "little"), (1 << 31).to_bytes(4, "little"), 1)
    assert zstandard.get_frame_parameters(liar).content_size == 1 << 31
    with pytest.raises(ValueError, match=r"length|rror|bytes"):
        unpack_bytes(ZSTD, liar, 1 << 20)


@pytest.mark.parametrize("stated", [999, 1001, 0])
def test_a_frame_of_another_length_is_refused(stated: int) -> None:
    with pytest.raises(ValueError, match=r"length|rror|bytes"):
        unpack_bytes(ZSTD, frame(b"x" * 1000), stated)


@given(st.binary(max_size=200), st.sampled_from(CODECS), st.integers(0, 10_000))
def test_any_bytes_are_unpacked_or_refused(stored: bytes, codec: int, length: int) -> None:
    with suppress(ValueError):
        assert len(unpack_bytes(codec, stored, length)) == length


@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(CODECS))
def test_a_spoilt_frame_is_unpacked_to_its_length_or_refused(at: int, value: int, codec: int) -> None:
    plain = b"".join(b"%d," % number for number in range(1000))
    stored = bytearray(frame(plain))
    stored[at % len(stored)] = value
    with suppress(ValueError):
        assert len(unpack_bytes(codec, bytes(stored), len(plain))) == len(plain)

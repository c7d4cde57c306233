"""Bytes come out as they went in, and never more of them than was said."""

import random
import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UnsupportedFormat
from holdfast.store.codec import (
    PLAIN,
    ZSTD,
    base_of,
    needs_base,
    pack_bytes,
    pack_on_base,
    unpack_bytes,
    without_base,
)

CODECS = [ZSTD, 2, 4, 8]
BASED = [17, 18, 20, 24]
ID = bytes(range(32))

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


@given(st.data(), data, st.sampled_from(CODECS))
def test_what_was_packed_on_a_base_is_unpacked_beside_it(draw: st.DataObject, plain: bytes, hint: int) -> None:
    base = draw.draw(st.binary(min_size=len(plain), max_size=len(plain)))
    codec, stored = pack_on_base(plain, hint, ID, base)
    assert codec in BASED
    assert needs_base(codec)
    assert without_base(codec) == hint
    assert base_of(codec, stored) == ID
    assert unpack_bytes(codec, stored, len(plain), base) == plain


@given(st.data(), data.filter(bool), st.sampled_from(CODECS))
def test_another_base_gives_other_bytes_or_is_refused(draw: st.DataObject, plain: bytes, hint: int) -> None:
    base = draw.draw(st.binary(min_size=len(plain), max_size=len(plain)))
    other = draw.draw(st.binary(max_size=len(plain) + 3).filter(lambda found: found != base))
    codec, stored = pack_on_base(plain, hint, ID, base)
    if len(other) == len(plain):
        assert unpack_bytes(codec, stored, len(plain), other) != plain
    else:
        with pytest.raises(ValueError, match="base"):
            unpack_bytes(codec, stored, len(plain), other)


@pytest.mark.parametrize(
    ("codec", "planes"),
    [
        (17, "0102030405060708090a0b"),
        (18, "0103050709020406080a0b"),
        (20, "010502060307040809 0a0b"),
        (24, "0102030405060708090a0b"),
    ],
)
def test_known_bytes_on_a_known_base_mean_what_they_always_meant(codec: int, planes: str) -> None:
    """The frame holds its bytes as they are (RFC 8878, one raw block), so that no library has a part in it."""
    inside = bytes.fromhex(planes)
    stored = ID + bytes.fromhex("28b52ffd 20 0b 590000") + inside
    plain = bytes.fromhex("f1f2f3f4f5f6f7f8f9fafb")
    assert unpack_bytes(codec, stored, 11, b"\xf0" * 11) == plain
    assert base_of(codec, stored) == ID


def test_fine_tuned_weights_take_half_on_their_base() -> None:
    chance = random.Random(1)
    base = b"".join(bytes([chance.randrange(256), chance.choice((0x3B, 0x3C))]) for _ in range(4000))
    plain = bytes(byte ^ (chance.choice((0, 0, 1)) if at % 2 == 0 else 0) for at, byte in enumerate(base))
    assert len(pack_on_base(plain, 2, ID, base)[1]) < len(pack_bytes(plain, 2)[1]) / 2


@pytest.mark.parametrize("codec", BASED)
def test_without_its_base_nothing_is_read(codec: int) -> None:
    stored = ID + frame(b"x" * 100)
    with pytest.raises(UnsupportedFormat) as caught:
        unpack_bytes(codec, stored, 100)
    assert "archives" in caught.value.message
    with pytest.raises(ValueError, match="base"):
        base_of(codec, ID[:-1])


@pytest.mark.parametrize("codec", [*CODECS, PLAIN, 16, 19, 255])
def test_other_codecs_rest_on_nothing(codec: int) -> None:
    assert not needs_base(codec)
    assert base_of(codec, b"") is None
    assert without_base(codec) == codec


@pytest.mark.parametrize("codec", [3, 5, 6, 7, 9, 16, 19, 22, 255])
def test_a_codec_that_is_not_given_is_refused(codec: int) -> None:
    with pytest.raises(UnsupportedFormat):
        unpack_bytes(codec, b"x", 1)


@pytest.mark.parametrize("codec", [*CODECS, *BASED])
@pytest.mark.parametrize("sized", [True, False], ids=["sized", "unsized"])
def test_a_frame_never_gives_more_than_was_said(codec: int, sized: bool) -> None:
    bomb = (ID if needs_base(codec) else b"") + frame(bytes(200_000_000), sized=sized)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"length|rror|bytes"):
            unpack_bytes(codec, bomb, 1000, bytes(1000))
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


@given(st.binary(max_size=200), st.sampled_from([*CODECS, *BASED]), st.integers(0, 10_000))
def test_any_bytes_are_unpacked_or_refused(stored: bytes, codec: int, length: int) -> None:
    with suppress(ValueError):
        assert len(unpack_bytes(codec, stored, length, bytes(length))) == length


@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(CODECS))
def test_a_spoilt_frame_is_unpacked_to_its_length_or_refused(at: int, value: int, codec: int) -> None:
    plain = b"".join(b"%d," % number for number in range(1000))
    stored = bytearray(frame(plain))
    stored[at % len(stored)] = value
    with suppress(ValueError):
        assert len(unpack_bytes(codec, bytes(stored), len(plain))) == len(plain)

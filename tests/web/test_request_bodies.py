"""Packed bodies are unpacked up to a limit; what is damaged is an error of ours."""

import asyncio
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, InvalidInput, TooLarge, UnsupportedMedia
from holdfast.web.inference import bodies
from holdfast.web.inference.bodies import inflated


def unpacked(encoding: bytes, body: bytes) -> bytes:
    return asyncio.run(inflated(encoding, body))


@given(st.binary(max_size=200))
def test_a_packed_body_is_what_it_was(body: bytes) -> None:
    assert unpacked(b"gzip", gzip.compress(body)) == body
    assert unpacked(b"identity", body) == body


def test_a_bomb_is_too_large_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "REQUEST_BYTES_MAX", 1000)
    assert len(unpacked(b"gzip", gzip.compress(b"0" * 1000))) == 1000
    with pytest.raises(TooLarge):
        unpacked(b"gzip", gzip.compress(b"0" * 1001))
    monkeypatch.setattr(bodies, "_AT_ONCE_BYTES_MAX", 1)
    with pytest.raises(TooLarge):
        unpacked(b"x-gzip", gzip.compress(b"0" * 1_000_000))


def test_what_is_cut_off_followed_by_something_or_packed_otherwise_is_refused() -> None:
    packed = gzip.compress(b"rows")
    for body in (packed[:-1], packed + b"x", b"rows", b""):
        with pytest.raises(InvalidInput):
            unpacked(b"gzip", body)
    with pytest.raises(UnsupportedMedia):
        unpacked(b"br", packed)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_body_or_an_error_of_ours(body: bytes) -> None:
    try:
        unpacked(b"gzip", body)
    except HoldfastError:
        return

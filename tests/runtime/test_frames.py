"""Frames: what is packed is received, and no length is believed before it is bounded."""

import socket
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import TooLarge, Unavailable
from holdfast.runtime import frames
from tests.patience import PATIENCE_SECONDS

headers = st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=50), st.integers(), st.booleans()))


@given(st.lists(st.tuples(headers, st.binary(max_size=2000)), min_size=1, max_size=5))
def test_frames_come_out_as_they_went_in_and_in_order(sent: list[tuple[dict[str, Any], bytes]]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(PATIENCE_SECONDS)
        for header, body in sent:
            ours.sendall(frames.pack(header, body))
        assert [frames.receive(theirs) for _ in sent] == sent


def test_a_frame_that_arrives_byte_by_byte_is_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(PATIENCE_SECONDS)
        data = frames.pack({"op": "predict"}, b"rows")

        def drip() -> None:
            for place in range(len(data)):
                ours.sendall(data[place : place + 1])

        sender = threading.Thread(target=drip)
        sender.start()
        assert frames.receive(theirs) == ({"op": "predict"}, b"rows")
        sender.join()


@pytest.mark.parametrize("sizes", [(frames.HEADER_BYTES_MAX + 1, 0), (2, frames.BODY_BYTES_MAX + 1), (2**32 - 1, 0)])
def test_lengths_past_the_limits_are_refused_before_anything_is_read(sizes: tuple[int, int]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(frames.PREFIX.pack(*sizes))
        with pytest.raises(TooLarge):
            frames.receive(theirs)


def test_a_body_past_the_limit_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "BODY_BYTES_MAX", 10)
    with pytest.raises(TooLarge):
        frames.pack({}, b"x" * 11)


@pytest.mark.parametrize("cut", [0, 3, 8, 12])
def test_a_sender_that_is_gone_in_the_middle_is_unavailable(cut: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(frames.pack({"op": "predict"}, b"rows")[:cut])
        with pytest.raises(Unavailable, match="ended"):
            frames.receive(theirs)


def test_a_sender_that_is_silent_is_late_not_gone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(0.05)
        with pytest.raises(Unavailable, match="in time"):
            frames.receive(theirs)

"""Frames that stand in the body of another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import TooLarge
from holdfast.runtime.frames import PREFIX, split

FRAMES = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=6)


def joined(frames: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(PREFIX.pack(len(header), len(body)) + header + body for header, body in frames)


@given(FRAMES)
def test_frames_that_were_joined_are_split_again(frames: list[tuple[bytes, bytes]]) -> None:
    assert split(joined(frames)) == frames


@given(FRAMES.filter(bool), st.integers(min_value=1))
def test_what_is_cut_off_is_no_frame(frames: list[tuple[bytes, bytes]], cut: int) -> None:
    whole, last = joined(frames), len(joined(frames[-1:]))
    missing = 1 + cut % (last - 1)
    with pytest.raises(ValueError, match="cut off"):
        split(whole[:-missing])


def test_a_length_past_its_limit_is_not_believed() -> None:
    with pytest.raises(TooLarge):
        split(PREFIX.pack(2**32 - 1, 2**32 - 1))

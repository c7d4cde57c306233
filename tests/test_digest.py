"""Digests: the names of bytes."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import digest
from holdfast.digest import Digest, hash_bytes, hash_stream
from holdfast.errors import UsageError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_nothing_is_the_one_that_everybody_knows() -> None:
    assert str(hash_bytes(b"")) == f"sha256:{EMPTY}"
    assert hash_stream(io.BytesIO()) == (Digest(EMPTY), 0)
    assert hash_bytes(b"").short == EMPTY[:12]


@given(st.binary(max_size=200), st.integers(1, 64))
def test_a_stream_has_the_digest_of_its_bytes_however_they_come(data: bytes, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "READ_BYTES", piece)
        assert hash_stream(io.BytesIO(data)) == (hash_bytes(data), len(data))
    assert hash_bytes(data).hex == hashlib.sha256(data).hexdigest()


def test_a_stream_is_read_from_where_it_stands() -> None:
    stream = io.BytesIO(b"abcd")
    stream.seek(2)
    assert hash_stream(stream) == (hash_bytes(b"cd"), 2)


@pytest.mark.parametrize(
    "text",
    [
        "", EMPTY, "sha256:", f"sha256:{EMPTY.upper()}", f"sha256:{EMPTY}0", f"sha256:{EMPTY[1:]}", f"sha256:{EMPTY}\n",
        f" sha256:{EMPTY}", f"SHA256:{EMPTY}", f"sha1:{EMPTY}", f"none:{EMPTY}", f"b3:{EMPTY}", f"sha256:{'g' * 64}",
        "sha256:" + "\u0661" * 64, "sha256:sha256:" + EMPTY[7:],
    ],
)  # fmt: skip
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a digest") as error:
        Digest.parse(text)
    assert "sha256:" in error.value.hint


def test_a_digest_cannot_be_made_of_anything_else() -> None:
    for wrong in ("", EMPTY[:-1], EMPTY.upper(), f"sha256:{EMPTY}"):
        with pytest.raises(UsageError):
            Digest(wrong)


def test_a_hostile_digest_does_not_fill_the_message() -> None:
    with pytest.raises(UsageError) as error:
        Digest.parse("x" * 1_000_000)
    assert len(error.value.message) < 200


def test_digests_are_ordered_and_hashed_by_their_digits() -> None:
    low, high = Digest("0" * 64), Digest("f" * 64)
    assert sorted([high, low]) == [low, high]
    assert len({low, high, Digest("0" * 64)}) == 2

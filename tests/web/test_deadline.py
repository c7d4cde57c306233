"""How long a caller waits, as its header says."""

import pytest

from holdfast.errors import InvalidInput
from holdfast.web.inference.deadline import seconds_allowed


@pytest.mark.parametrize(("said", "seconds"), [(b"250", 0.25), (b"1", 0.001), (b"30000", 30.0), (b"0250", 0.25)])
def test_milliseconds_are_read(said: bytes, seconds: float) -> None:
    assert seconds_allowed([(b"host", b"x"), (b"x-request-timeout-ms", said)]) == seconds


def test_nothing_said_is_nothing_asked() -> None:
    assert seconds_allowed([(b"host", b"x")]) is None


@pytest.mark.parametrize("said", [b"", b"0", b"-1", b"1.5", b"1e3", b"soon", b"\xb2", b"9" * 10])
def test_anything_else_is_refused(said: bytes) -> None:
    with pytest.raises(InvalidInput):
        seconds_allowed([(b"x-request-timeout-ms", said)])

"""Golden files: bytes and digests that a change of code must not change.

    pytest --update-goldens tests/goldens      rewrites them; look at the difference before it is committed

A difference is a change of format, and needs a line under "Changes" in docs/FORMAT.md.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "files"

Golden = Callable[[str, bytes], None]
"""`golden(name, data)`: `data` is what the golden file `name` holds."""


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    update = request.config.getoption("--update-goldens")

    def compare(name: str, data: bytes) -> None:
        path = FOLDER / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        assert path.is_file(), f"no golden file {name}: write it with pytest tests/goldens --update-goldens"
        assert path.read_bytes() == data

    return compare

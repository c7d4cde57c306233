import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.flow.capture.patch import Addition, additions_patch
from tests.effort import examples

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."} and not name.lower().startswith(".git")
)


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(name=names, data=st.binary(max_size=200).map(lambda data: data.replace(b"\0", b"")), executable=st.booleans())
def test_git_apply_creates_exactly_the_file(name: str, data: bytes, executable: bool) -> None:
    patch = additions_patch([Addition(name.encode(), data, executable)])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=folder, input=patch, check=True)
        created = Path(folder) / name
        assert created.read_bytes() == data
        assert bool(created.stat().st_mode & 0o100) == executable


def test_no_additions_are_no_patch() -> None:
    assert additions_patch([]) == b""

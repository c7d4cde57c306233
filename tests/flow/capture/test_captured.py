from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import decode, encode
from holdfast.digest import hash_bytes
from holdfast.errors import UnsupportedFormat
from holdfast.flow.capture.captured import Capture, Distribution, FileSeen, SeedCall, Seeds, requirements_lock
from holdfast.flow.capture.git import CodeState, UntrackedFile
from holdfast.flow.capture.locks import LockFile

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digests = st.binary(max_size=4).map(hash_bytes)
small = st.integers(0, 2**53 - 1)
facts = st.dictionaries(text, text | small | st.booleans(), max_size=3)
files = st.builds(FileSeen, text, small, st.integers(0, 2**63))
distributions = st.builds(Distribution, text, text, st.none() | text, st.booleans())
calls = st.builds(SeedCall, text, st.none() | text | small, small, small, st.booleans())
untracked = st.builds(UntrackedFile, text, small, st.none() | digests, st.booleans())


def many(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=3).map(tuple)


codes = st.builds(
    CodeState,
    state=text,
    reason=st.none() | text,
    folder=text,
    commit=st.none() | text,
    branch=st.none() | text,
    remote=st.none() | text,
    dirty=st.booleans(),
    changed=many(text),
    untracked=many(untracked),
    patch_digest=st.none() | digests,
    notes=many(text),
    patch=st.binary(max_size=10),
)
times = st.datetimes(timezones=st.just(UTC))
captures = st.builds(
    Capture,
    argv=many(text),
    folder=text,
    started=times,
    finished=times,
    wall_seconds=st.floats(0, 1e9),
    code=codes,
    exit_code=st.none() | st.integers(0, 255),
    killed_by=st.none() | text,
    processes=small,
    interpreter=facts,
    frameworks=facts,
    system=facts,
    hardware=facts,
    packages=many(distributions),
    used=many(distributions),
    seeds=st.builds(Seeds, st.none() | small, st.none() | text, many(calls)),
    environment=st.dictionaries(text, text, max_size=3),
    locks=many(st.builds(LockFile, text, digests)),
    inputs=many(files),
    outputs=many(files),
    notes=many(text),
)


@given(captures)
def test_from_json_undoes_to_json(capture: Capture) -> None:
    assert Capture.from_json(capture.to_json()) == capture


@given(captures)
def test_canonical_json_can_carry_every_capture(capture: Capture) -> None:
    assert Capture.from_json(decode(encode(capture.to_json()), what="capture")) == capture


def test_a_missing_field_is_an_error_that_names_its_place() -> None:
    with pytest.raises(UnsupportedFormat, match=r"capture\.argv"):
        Capture.from_json({"argv": 3})


def captured(*used: Distribution) -> Capture:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Capture(("x",), "/", now, now, 0.0, CodeState("not_a_repository"), used=used)


def test_the_requirements_lock_pins_in_order_of_name_and_leaves_holdfast_out() -> None:
    capture = captured(
        Distribution("scipy", "1.17.1"), Distribution("NumPy", "2.4.6"), Distribution("holdfast", "0.1.0")
    )
    assert requirements_lock(capture) == "NumPy==2.4.6\nscipy==1.17.1\n"


def test_what_came_from_no_index_is_a_comment_in_the_lock() -> None:
    capture = captured(
        Distribution("mylib", "0.1", origin="file:///srv/ana/mylib", editable=True),
        Distribution("fork", "2.0", origin="git+https://example.org/fork@abc"),
        Distribution("broken", ""),
    )
    lines = requirements_lock(capture).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("# ") for line in lines)


def test_a_file_knows_whether_it_is_still_the_one_that_was_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1")
    seen = FileSeen(str(path), path.stat().st_size, path.stat().st_mtime_ns)
    assert seen.unchanged()
    path.write_text("22")
    assert not seen.unchanged()
    path.unlink()
    assert not seen.unchanged()

"""Decisions on their way: through a journal that is cut off anywhere, and through a page and its finder."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.canonical import decode
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError
from holdfast.names import ModelName, StageName
from holdfast.serving.ledger.decision import Decision
from holdfast.serving.ledger.journal import Head, Journal, read_journal
from holdfast.serving.ledger.page import finder, may_have, read_page, write_page
from tests.effort import examples

LAW = settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])

HEAD = Head(ModelName("churn"), StageName("production"), "one", 3, 0.5, 30)

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
digests = st.builds(lambda n: str(hash_bytes(b"%d" % n)), st.integers(0, 5))
decisions = st.builds(
    Decision,
    request_id=printable,
    at_us=st.integers(0, 4_000_000_000_000_000),
    version=st.integers(1, 2**53 - 1),
    digest=digests,
    epoch=st.integers(0, 2**53 - 1),
    reason=st.sampled_from(["primary", "canary", "override"]),
    key_digest=st.none() | digests,
    salt=st.binary(max_size=16),
    shape=st.sampled_from(["invocations", "v2"]),
    input_kept=st.sampled_from(["whole", "redacted", "hashed", "none"]),
    input_digest=st.none() | digests,
    input=st.none() | st.binary(max_size=200),
    output=st.none() | st.binary(max_size=200),
    error=st.none() | printable,
    seconds=st.floats(0, 100),
    sent=st.sampled_from(["json", "csv"]),
    wanted=st.sampled_from(["json", "arrow"]),
    head=st.none() | st.integers(0, 100),
)
many = st.lists(decisions, max_size=4)


def written(folder: Path, given_: list[Decision], dropped: int) -> Path:
    journal = Journal(folder / "000003.open", HEAD)
    journal.append(given_[:2], 0)
    journal.append(given_[2:], dropped)
    journal.close()
    return journal.path


@LAW
@given(many, st.integers(0, 9))
def test_a_journal_gives_back_what_was_written(given_: list[Decision], dropped: int) -> None:
    with TemporaryDirectory() as folder:
        data = written(Path(folder), given_, dropped).read_bytes()
    found = read_journal(io.BytesIO(data), "it")
    assert (list(found.decisions()), found.head, found.dropped) == (given_, HEAD, dropped)


@LAW
@given(many, st.data())
def test_a_journal_that_was_cut_off_gives_back_what_was_whole(given_: list[Decision], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        whole = written(Path(folder), given_, 0).read_bytes()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        found = list(read_journal(io.BytesIO(cut), "it").decisions())
    except IntegrityError:
        return  # not even its head is there
    assert found == given_[: len(found)]
    assert cut != whole or found == given_
    read = read_journal(io.BytesIO(cut), "it")
    assert read.whole or list(read.decisions()) == found
    assert not read.whole or cut == whole or len(found) < len(given_)


@LAW
@given(st.lists(decisions, min_size=2, max_size=5), st.data())
def test_a_flipped_bit_ends_a_journal_and_makes_up_nothing(given_: list[Decision], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        whole = bytearray(written(Path(folder), given_, 0).read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = list(read_journal(io.BytesIO(bytes(whole)), "it").decisions())
    except IntegrityError:
        return
    assert found == given_[: len(found)]


@LAW
@given(many)
def test_a_page_gives_back_what_was_written_and_the_same_bytes_again(given_: list[Decision]) -> None:
    with TemporaryDirectory() as folder:
        pages = [Path(folder) / name for name in ("one", "two")]
        for path in pages:
            write_page(path, HEAD, given_)
        assert pages[0].read_bytes() == pages[1].read_bytes()
        with pages[0].open("rb") as source:
            assert [decision for decision, _ in read_page(source)] == given_
        with pages[0].open("rb") as source:
            assert {(beside["model"], beside["stage"]) for _, beside in read_page(source)} <= {("churn", "production")}
        ids = [one.request_id for one in given_]
        for request_id in (*ids, "another one"):
            with pages[0].open("rb") as source:
                found = [decision for decision, _ in read_page(source, request_id)]
            assert found == [one for one in given_ if one.request_id == request_id]


def test_a_page_says_what_it_is(tmp_path: Path) -> None:
    write_page(tmp_path / "page", HEAD, [])
    said = pq.read_schema(tmp_path / "page").metadata[b"holdfast"]
    assert decode(said, what="it") == {
        "format": "holdfast.ledger",
        "format_version": "1.0",
        "replica": "one",
        "sequence": 3,
        "sample": 0.5,
    }


@LAW
@given(st.lists(printable, max_size=50), printable)
def test_a_finder_never_denies_what_is_there(ids: list[str], other: str) -> None:
    found = finder(ids)
    assert all(may_have(found, one) for one in ids)
    assert len(found) == 8 + 4 * len(ids)
    assert other in ids or not may_have(found, other)


@pytest.mark.parametrize("data", [b"", b"HFLEDF\x01\nabc", b"PAR1"])
def test_what_is_no_finder_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        may_have(data, "x")


@pytest.mark.parametrize("data", [b"", b"PAR1PAR1", b"x" * 1_000])
def test_what_is_no_page_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        list(read_page(io.BytesIO(data)))

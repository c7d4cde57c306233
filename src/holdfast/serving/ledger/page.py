"""A page: decisions as a Parquet file, and the finder beside it; docs/FORMAT.md has both.

A page is read by anything that reads Parquet. The finder spares a search from opening pages that cannot have a request:
it is a fortieth of a page, and says for a request's id either "not here" or "look".
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from holdfast.canonical import JsonObject, encode
from holdfast.errors import IntegrityError, MissingExtra
from holdfast.registry.ledger_pages import PAGE_FORMAT, PAGE_VERSION
from holdfast.runtime.sent import JSON
from holdfast.serving.ledger.breathing import breathe
from holdfast.serving.ledger.decision import Decision
from holdfast.serving.ledger.journal import Head
from holdfast.serving.reading import ROWS_MAX, read_answer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BRIEF", "FINDER_BYTES_MAX", "finder", "may_have", "read_page", "require_parquet", "write_page"]

_MAGIC = b"HFLEDF\x01\n"
_WIDTH = 4
"""Bytes of the hash of an id: among fifty thousand decisions one look in ninety thousand is for nothing."""

FINDER_BYTES_MAX = 256 << 20
"""Sixty-four million decisions, far more than a page takes."""

_GROUP_ROWS = 2_000
"""Rows that are made into Parquet together: a page has some dozens of such groups, of which a search opens one."""

BRIEF = ("request_id", "answered_at", "version", "digest", "epoch", "reason", "error", "seconds")
"""The columns of which a list is made."""

_DICTIONARY = ["model", "stage", "digest", "reason", "shape", "sent", "wanted", "input_kept", "error"]


def require_parquet() -> None:
    """Make sure that pages can be written and read here.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingExtra(
            "the decision ledger is kept as Parquet, which needs pyarrow",
            hint="Install it: pip install 'holdfast[tables]'",
        ) from error


def _schema(head: Head | None) -> "pa.Schema":
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    columns = [
        ("request_id", text, False),
        ("answered_at", pa.timestamp("us", tz="UTC"), False),
        ("model", text, False),
        ("stage", text, False),
        ("version", number, False),
        ("digest", text, False),
        ("epoch", number, False),
        ("reason", text, False),
        ("key_digest", text, True),
        ("salt", pa.binary(), False),
        ("shape", text, False),
        ("sent", text, False),
        ("wanted", text, False),
        ("head", number, True),
        ("input_kept", text, False),
        ("input_digest", text, True),
        ("input", pa.binary(), True),
        ("output", pa.binary(), True),
        ("error", text, True),
        ("seconds", pa.float64(), False),
        ("rows", number, True),
    ]
    said: JsonObject = {"format": PAGE_FORMAT, "format_version": PAGE_VERSION}
    if head is not None:
        said |= {"replica": head.replica, "sequence": head.sequence, "sample": head.sample}
    fields = [pa.field(name, kind, nullable=nullable) for name, kind, nullable in columns]
    return pa.schema(fields, {b"holdfast": encode(said)})


def write_page(path: Path, head: Head, decisions: Iterable[Decision]) -> None:
    """Write decisions as a page into a new file; the same ones give the same bytes.

    Raises:
        MissingExtra: pyarrow is not installed.
        OSError: the operating system refused.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, left = _schema(head), iter(decisions)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=_DICTIONARY) as writer:
        while some := list(islice(left, _GROUP_ROWS)):
            columns = []
            for field in schema:
                columns.append(pa.array([_value(one, field.name, head) for one in some], field.type))
                breathe()
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _value(decision: Decision, name: str, head: Head) -> Any:
    if name == "answered_at":
        return decision.at_us
    if name in {"model", "stage"}:
        return str(getattr(head, name))
    return _rows(decision) if name == "rows" else getattr(decision, name)


def _rows(decision: Decision) -> int | None:
    """How many rows were answered; None where that is not read, of long answers and of none."""
    found = None if decision.output is None else read_answer(decision.shape, decision.output)
    return None if found is None or len(found.predictions) >= ROWS_MAX else len(found.predictions)


def read_page(
    source: BinaryIO, request_id: str | None = None, *, columns: Sequence[str] | None = None
) -> Iterator[tuple[Decision, JsonObject]]:
    """The decisions of a page, each with the columns that a decision does not have: `model`, `stage`, `rows`.

    Args:
        source: the page.
        request_id: only those of this request.
        columns: only these are read, and the rest of each decision is empty.

    Raises:
        MissingExtra: pyarrow is not installed.
        IntegrityError: it is no page.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        page = pq.ParquetFile(source)
        wanted = [name for name in columns or _schema(None).names if name in page.schema_arrow.names]
        for group in range(page.num_row_groups):
            places = None
            if request_id is not None:
                ids = page.read_row_group(group, columns=["request_id"]).column(0).to_pylist()
                places = [place for place, one in enumerate(ids) if one == request_id]
                if not places:
                    continue
            found = page.read_row_group(group, columns=wanted)
            for row in (found if places is None else found.take(places)).to_pylist():
                yield _decision(row)
    except (pa.ArrowException, KeyError) as error:
        raise IntegrityError(
            f"this is no page of the ledger: {error}", hint="Run: holdfast check", found=type(error).__name__
        ) from error


def _decision(row: dict[str, Any]) -> tuple[Decision, JsonObject]:
    at = row.get("answered_at")
    beside = {name: row.get(name) for name in ("model", "stage", "rows")}
    decision = Decision(
        request_id=row["request_id"],
        at_us=0 if at is None else round(at.timestamp() * 1_000_000),
        version=row.get("version") or 0,
        digest=row.get("digest") or "",
        epoch=row.get("epoch") or 0,
        reason=row.get("reason") or "",
        key_digest=row.get("key_digest"),
        salt=row.get("salt") or b"",
        shape=row.get("shape") or "",
        input_kept=row.get("input_kept") or "",
        input_digest=row.get("input_digest"),
        input=row.get("input"),
        output=row.get("output"),
        error=row.get("error"),
        seconds=row.get("seconds") or 0.0,
        sent=row.get("sent") or JSON,
        wanted=row.get("wanted") or JSON,
        head=row.get("head"),
    )
    return decision, beside


def finder(request_ids: Iterable[str]) -> bytes:
    """The finder of a page with these requests."""
    return _MAGIC + b"".join(sorted(map(_short, request_ids)))


def may_have(found: bytes, request_id: str) -> bool:
    """Whether the page of a finder may have a request; False is certain.

    Raises:
        IntegrityError: it is no finder.
    """
    if not found.startswith(_MAGIC) or (len(found) - len(_MAGIC)) % _WIDTH:
        raise IntegrityError("this is no finder of a page", hint="Run: holdfast check")
    hashes = memoryview(found)[len(_MAGIC) :]
    wanted = _short(request_id)

    def at(place: int) -> bytes:
        return bytes(hashes[place * _WIDTH : (place + 1) * _WIDTH])

    count = len(hashes) // _WIDTH
    place = bisect_left(range(count), wanted, key=at)
    return place < count and at(place) == wanted


def _short(request_id: str) -> bytes:
    return hashlib.sha256(request_id.encode()).digest()[:_WIDTH]

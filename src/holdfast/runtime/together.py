"""Several requests answered in one call of a bundle's code, inside the worker; each as if it had come alone.

A call on sixty-four rows costs little more than one on a single row, because most of it is the libraries' own overhead.
Each request's rows are checked by themselves, so one that does not fit fails alone; and where the call on all rows
fails, each request is answered alone, so that only the one that is to blame fails.

It changes nothing but time as long as the bundle answers each row for itself. `one_by_one` is there to find out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError
from holdfast.runtime.frames import pack
from holdfast.runtime.pipeline import Answer, Pipeline
from holdfast.runtime.rows import Table
from holdfast.runtime.sent import JSON
from holdfast.runtime.shapes import answer_body

__all__ = ["Part", "answer_together", "one_by_one", "sample"]


@dataclass(frozen=True, slots=True)
class Part:
    """One of several requests, read and checked.

    Attributes:
        shape: of the request and its answer.
        request: the request itself.
        rows: its rows, as the bundle's code is handed them.
        alone: answers it by itself, with a frame.
        wanted: what kind of bytes its answer is to be.
    """

    shape: str
    request: JsonObject
    rows: Table
    alone: Callable[[], bytes]
    wanted: str = JSON


def answer_together(parts: Sequence[Part], pipeline: Pipeline, stamp: JsonObject, rows_max: int) -> list[bytes]:
    """The frame of each part's answer, in order.

    Args:
        parts: the requests.
        pipeline: the open bundle.
        stamp: what is written into every answer.
        rows_max: how many rows one call takes; a request with more has a call of its own.
    """
    frames = []
    for some in _calls(parts, rows_max):
        if len(some) == 1:
            frames.append(some[0].alone())
            continue
        try:
            frames += _in_one_call(some, pipeline, stamp)
        except HoldfastError:
            frames += [part.alone() for part in some]
    return frames


def _calls(parts: Sequence[Part], rows_max: int) -> Iterator[list[Part]]:
    held: list[Part] = []
    count = 0
    for part in parts:
        if held and count + part.rows.count > rows_max:
            yield held
            held, count = [], 0
        held.append(part)
        count += part.rows.count
    if held:
        yield held


def _in_one_call(parts: Sequence[Part], pipeline: Pipeline, stamp: JsonObject) -> list[bytes]:
    answer = pipeline.score(_joined([part.rows for part in parts]))
    frames, at = [], 0
    for part in parts:
        end = at + part.rows.count
        own = Answer(answer.predictions[at:end], answer.scores[at:end], answer.classes)
        frames.append(pack({"ok": True}, answer_body(part.shape, own, part.request, stamp, part.wanted)))
        at = end
    return frames


def _joined(tables: Sequence[Table]) -> Table:
    """Checked rows, one table behind the other: all of them have the columns of one schema."""
    columns = tuple(
        [value for table in tables for value in table.columns[place]] for place in range(len(tables[0].columns))
    )
    return Table(tables[0].names, columns, sum(table.count for table in tables))


def one_by_one(pipeline: Pipeline, table: Table) -> Answer:
    """What the bundle answers when every row comes alone."""
    answers = [pipeline.predict(table.row(place)) for place in range(table.count)]
    return Answer(
        [prediction for answer in answers for prediction in answer.predictions],
        [score for answer in answers for score in answer.scores],
        answers[0].classes if answers else None,
    )


def sample(table: Table, count: int) -> Table:
    """As many rows, from the whole of the table; all of them where it has no more."""
    if table.count <= count:
        return table
    places = [place * table.count // count for place in range(count)]
    return Table(table.names, tuple([column[place] for place in places] for column in table.columns), count)

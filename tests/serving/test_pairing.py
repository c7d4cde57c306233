"""Two answers to one request: when they are compared, and who failed when they are not."""

import io
import json
from typing import Any

import pyarrow as pa
import pytest

from holdfast.flow.shadow.counts import Counts
from holdfast.flow.shadow.plan import Plan
from holdfast.runtime.sent import ARROW, Sent
from holdfast.runtime.shapes import INVOCATIONS, V2
from holdfast.serving.pairing import Mirrored, Said, count


def tensors(predictions: list[Any], scores: list[float] | None = None) -> bytes:
    outputs = [{"name": "predictions", "shape": [len(predictions)], "data": predictions}]
    if scores is not None:
        outputs.append({"name": "scores", "shape": [len(scores)], "data": scores})
    return json.dumps({"outputs": outputs}).encode()


REQUEST = json.dumps({"dataframe_records": [{"plan": "basic"}, {"plan": "plus"}]}).encode()


def counted(mirrored: Mirrored, said: Said) -> Counts:
    found = Counts()
    count(found, Plan(by=("plan", "absent")), mirrored, said)
    return found


@pytest.mark.parametrize(
    ("answer", "error", "said", "expected"),
    [
        (tensors([1, 0]), None, Said(tensors([1, 1]), None, 0.1), {"requests": 1}),
        (tensors([1, 0]), None, Said(b"", "bundle_failed", 0.1), {"only_shadow": 1}),
        (tensors([1, 0]), None, Said(tensors([1]), None, 0.1), {"only_shadow": 1}),
        (tensors([1, 0]), None, Said(b"nonsense", None, 0.1), {"only_shadow": 1}),
        (b"", "bundle_failed", Said(tensors([1, 0]), None, 0.1), {"only_primary": 1}),
        (b"", "invalid_input", Said(b"", "invalid_input", 0.1), {"both": 1}),
        (b'{"outputs": []}', None, Said(tensors([1]), None, 0.1), {"unread": 1}),
        (b"prediction\r\n1\r\n", None, Said(b"", "bundle_failed", 0.1), {"only_shadow": 1}),
    ],
)
def test_each_pair_counts_once(answer: bytes, error: str | None, said: Said, expected: dict[str, int]) -> None:
    found = counted(Mirrored(V2, b"{}", answer, error, 0.1), said)
    assert {"requests": found.requests, "unread": found.unread, **found.errors} == {
        "requests": 0, "unread": 0, **expected,
    }  # fmt: skip


def test_scores_are_compared_where_both_have_them() -> None:
    mirrored = Mirrored(V2, b"{}", tensors([1, 0], [0.9, 0.2]), None, 0.1)
    assert sum(counted(mirrored, Said(tensors([1, 0], [0.8, 0.2]), None, 0.1)).differences.values()) == 2
    assert not counted(mirrored, Said(tensors([1, 0]), None, 0.1)).differences


def test_groups_are_read_from_the_request() -> None:
    answer = b'{"predictions": [1, 0]}'
    found = counted(Mirrored(INVOCATIONS, REQUEST, answer, None, 0.1), Said(b'{"predictions": [1, 1]}', None, 0.1))
    assert found.groups == {("plan", "basic"): 1, ("plan", "plus"): 1}
    assert found.groups_agreed == {("plan", "basic"): 1, ("plan", "plus"): 0}
    assert not counted(Mirrored(INVOCATIONS, b"no rows", answer, None, 0.1), Said(answer, None, 0.1)).groups


def test_what_needs_a_wall_around_it_is_not_read_for_groups() -> None:
    answer, written = b'{"predictions": [1, 0]}', io.BytesIO()
    table = pa.table({"plan": ["basic", "plus"]})
    with pa.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table)
    mirrored = Mirrored(INVOCATIONS, written.getvalue(), answer, None, 0.1, Sent(ARROW))
    found = counted(mirrored, Said(answer, None, 0.1))
    assert (found.requests, found.groups) == (1, {})
